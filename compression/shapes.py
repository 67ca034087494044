"""How large the feature maps are, and so how often a run uses each weight."""

from collections.abc import Mapping, Sequence
from math import prod

from onnx import GraphProto, ModelProto, TensorProto, shape_inference

from compression.errors import BadInputShapeError, nearest
from compression.graph import graphs
from compression.layers import Layer, Use
from compression.tucker import Price

Shape = tuple[int | None, ...]
"""None where a size is not known."""

_SMALL = 1024
"""Up to so many elements a constant may hold sizes that others follow from; larger ones are weights."""


def infer_shapes(model: ModelProto, input_shapes: Mapping[str, Sequence[int]] | None = None) -> dict[str, Shape]:
    """Of every value that ONNX's own inference can tell, with `input_shapes` for inputs of the model.

    BadInputShapeError.
    """
    outline = _outline(model)
    for name, shape in (input_shapes or {}).items():
        _set_shape(outline.graph, name, tuple(shape))
    if input_shapes:  # what the file says of other values was found for other inputs
        del outline.graph.value_info[:]
        for output in outline.graph.output:
            output.type.tensor_type.ClearField("shape")
    inferred = shape_inference.infer_shapes(outline, data_prop=True)
    shapes: dict[str, Shape] = {}
    for graph in graphs(inferred.graph):
        for value in (*graph.input, *graph.value_info, *graph.output):
            tensor = value.type.tensor_type
            if tensor.HasField("shape"):
                shapes[value.name] = tuple(dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim)
    return shapes


def multiply_adds(layer: Layer, shapes: Mapping[str, Shape]) -> Price | None:
    """Of one weight of each part in a run, over all uses; None where a size is not known.

    A batch of unknown size counts as one, and the body of a loop once.
    """
    total = Price(0, 0, 0)
    for use in layer.uses:
        price = _of_product(layer, use, shapes) if layer.form.kind in ("Linear", "MatMul") else _of_conv(use, shapes)
        if price is None:
            return None
        total = Price(total.first + price.first, total.core + price.core, total.last + price.last)
    return total


def _of_conv(use: Use, shapes: Mapping[str, Shape]) -> Price | None:
    """A core that convolves is applied at the places of its output, one that is transposed at those of its input."""
    before, after = (_places(shapes.get(name)) for name in (use.node.input[0], use.node.output[0]))
    if before is None or after is None:
        return None
    return Price(before, before if use.node.op_type == "ConvTranspose" else after, after)


def _places(shape: Shape | None) -> int | None:
    return None if shape is None else _product((shape[0], *shape[2:]))


def _of_product(layer: Layer, use: Use, shapes: Mapping[str, Shape]) -> Price | None:
    values = _product(shapes.get(use.node.output[0]))
    if values is None or len(layer.shape) != 2:
        return None
    rows = values // layer.sizes.outputs
    return Price(rows, rows, rows)


def _product(shape: Shape | None) -> int | None:
    if shape is None or None in shape[1:]:
        return None
    return prod(size or 1 for size in shape)


def _outline(model: ModelProto) -> ModelProto:
    """The model with the shapes of its weights, but not the weights."""
    outline = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    graph = outline.graph
    for field in ("node", "input", "output", "value_info"):
        getattr(graph, field).extend(getattr(model.graph, field))
    for tensor in model.graph.initializer:
        small = prod(tensor.dims) <= _SMALL
        graph.initializer.append(
            tensor if small else TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type)
        )
    return outline


def _set_shape(graph: GraphProto, name: str, shape: tuple[int, ...]) -> None:
    inputs = {value.name: value.type.tensor_type for value in graph.input}
    if name not in inputs:
        raise BadInputShapeError(f"the model has no input {name!r}", nearest(name, inputs))
    tensor = inputs[name]
    given, declared = "x".join(map(str, shape)), [dim.dim_value or dim.dim_param or "?" for dim in tensor.shape.dim]
    fits = len(declared) == len(shape) and all(
        dim.dim_value in (size, 0, -1) for dim, size in zip(tensor.shape.dim, shape, strict=True)
    )
    if min(shape, default=1) < 1 or (tensor.HasField("shape") and not fits):
        raise BadInputShapeError(
            f"{given} for the input {name!r}, which is {'x'.join(map(str, declared))} in the model",
            "give a whole number for every size, those that the model fixes as they are",
        )
    tensor.shape.ClearField("dim")
    for size in shape:
        tensor.shape.dim.add().dim_value = size
