"""A graph's nodes as steps of a run, with what is known of them before it: constants, shapes, who reads what last."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, SparseTensorProto, TensorProto, helper

from compression.errors import UnsupportedOperatorError
from compression.graph import Constant, operator_of, opset_of, readers, scopes
from compression.shapes import infer_shapes
from compression.training.operators import Node, Operator, Unsupported, operator

KERNELS: Mapping[str, tuple[int, ...]] = {"Conv": (1,), "ConvTranspose": (1,), "Gemm": (0, 1), "MatMul": (0, 1)}
WEIGHTS: Mapping[str, tuple[int, ...]] = {
    "BatchNormalization": (1, 2),
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "Gemm": (0, 1, 2),
    "InstanceNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "MatMul": (0, 1),
    "PRelu": (1,),
}
"""Where each operator takes its kernels, and where all that training may change."""

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
_OPSETS = range(7, 26)

Values = NDArray[Any]


@dataclass(frozen=True)
class Step:
    """A node: "" is an input that it does without; nothing reads the values `last` after it."""

    run: Operator
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    last: tuple[str, ...]


def steps_of(model: ModelProto, constants: Mapping[str, Values]) -> tuple[Step, ...]:
    """In the order of the graph; `constants`: see `constants_of`. UnsupportedOperatorError names all it cannot run."""
    opset = opset_of(model)
    if opset not in _OPSETS:
        raise UnsupportedOperatorError(
            f"the model is of opset {opset}; those of {_OPSETS[0]} to {_OPSETS[-1]} can be trained",
            "convert it with onnx.version_converter.convert_version",
        )
    known = infer_shapes(model)
    shapes = {name: tuple(size for size in shape if size) for name, shape in known.items() if None not in shape}
    read, kept = readers(model), {output.name for output in model.graph.output}
    steps, refused = [], []
    for node in reversed(model.graph.node):
        if operator_of(node) == "Constant":
            continue
        outputs = _outputs(node, read)
        try:
            run = operator(_described(node, outputs, opset, constants, shapes))
        except Unsupported as error:
            refused.append((node, str(error)))
            continue
        names = {name for name in (*node.input, *outputs) if name}
        steps.append(Step(run, tuple(node.input), outputs, tuple(sorted(names - kept))))
        kept |= names
    if refused:
        raise _error(refused[::-1])
    return tuple(reversed(steps))


def constants_of(model: ModelProto) -> dict[str, Values]:
    """Initializers and what Constant nodes hold, by name, those that something reads.

    ExternalWeightsError, UnsupportedOperatorError.
    """
    read = readers(model)
    tensors: dict[str, Any] = {tensor.name: tensor for tensor in model.graph.initializer}
    tensors.update((sparse.values.name, sparse) for sparse in model.graph.sparse_initializer)
    for node in model.graph.node:
        if operator_of(node) == "Constant":
            tensors[node.output[0]] = helper.get_attribute_value(node.attribute[0])
    return {name: _array(name, value) for name, value in tensors.items() if name in read}


def trained(model: ModelProto, places: Mapping[str, tuple[int, ...]]) -> dict[str, TensorProto]:
    """The floating-point constants that operators read at `places`, directly or in another form: name -> where it is.

    A node in a subgraph is not looked at: it cannot run.
    """
    _, known = next(scopes(model.graph))
    found = {}
    for node in model.graph.node:
        for place in places.get(operator_of(node), ()):
            view = known.get(node.input[place]) if place < len(node.input) else None
            if view and view.constant.tensor is not None and view.constant.element in _FLOATS:
                found[view.constant.name] = view.constant.tensor
    return found


def _array(name: str, value: Any) -> Values:
    """Of a tensor, or of the number, or list of numbers, that a Constant node may have instead."""
    if isinstance(value, TensorProto):
        values = Constant(name, 0, value.data_type, value).array()
    else:
        values = np.asarray(value)
        values = values.astype(np.float32) if values.dtype == np.float64 else values
    if values.dtype.kind not in "biuf":
        form = "sparse" if isinstance(value, SparseTensorProto) else f"of {values.dtype.name}"
        raise UnsupportedOperatorError(
            f"the model's constant {name!r} is {form}", "give a model whose constants are dense, of numpy's own numbers"
        )
    return values


def _outputs(node: NodeProto, read: Mapping[str, int]) -> tuple[str, ...]:
    """Without those at the end that nothing reads, such as a Dropout's mask; a Split needs to know all."""
    names = list(node.output)
    while len(names) > 1 and names[-1] not in read and operator_of(node) != "Split":
        names.pop()
    return tuple(names)


def _described(
    node: NodeProto,
    outputs: tuple[str, ...],
    opset: int,
    constants: Mapping[str, Values],
    shapes: Mapping[str, tuple[int, ...]],
) -> Node:
    return Node(
        operator_of(node),
        opset,
        {each.name: helper.get_attribute_value(each) for each in node.attribute},
        tuple(bool(name) for name in node.input),
        {place: constants[name] for place, name in enumerate(node.input) if name in constants},
        len(outputs),
        tuple(shapes.get(name) for name in node.input),
        shapes.get(outputs[0]),
    )


def _error(refused: list[tuple[NodeProto, str]]) -> UnsupportedOperatorError:
    """One entry for all nodes that are refused for the same reason, called as the first of them."""
    counts = Counter((node.domain, node.op_type, reason) for node, reason in refused)
    first = {(node.domain, node.op_type, reason): node for node, reason in reversed(refused)}
    entries = []
    for key, count in counts.items():
        domain, operator_name, reason = key
        name = first[key].name or first[key].output[0]
        others = f" and {count - 1} more" if count > 1 else ""
        of_domain = f" of {domain}" if domain not in ("", "ai.onnx") else ""
        entries.append(f"{operator_name}{of_domain} ({name!r}{others}{': ' if reason else ''}{reason})")
    return UnsupportedOperatorError(
        f"the model cannot be trained with these operators: {'; '.join(entries)}",
        "compress it without retraining, or give a model without them",
    )
