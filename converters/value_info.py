"""What an ONNX file declares of one input or output: element type and shape."""

from onnx import TensorProto, TensorShapeProto, TypeProto, ValueInfoProto
from onnx.helper import tensor_dtype_to_np_dtype

from converters.errors import UnsupportedTypeError
from converters.signature import DTYPES, Shape

Dim = int | str | None
"""A size, a symbol that has one size wherever it stands, or nothing known."""


def dtype_of(value: ValueInfoProto) -> str:
    """The element type as numpy names it; UnsupportedTypeError if this is no plain tensor or no type of a board's."""
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        raise _unsupported(value, _KINDS.get(kind or "", "of no type"))
    element = value.type.tensor_type.elem_type
    # The name first: numpy's for bfloat16 and the like belongs to a further package.
    name = TensorProto.DataType.Name(element) if element in TensorProto.DataType.values() else f"type {element}"
    if name.lower() not in _ONNX_NAMES:
        raise _unsupported(value, f"of {name.lower()}")
    return str(tensor_dtype_to_np_dtype(element))


def dims_of(value: ValueInfoProto) -> tuple[Dim, ...] | None:
    """The declared dimensions; None where not even their number is declared."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(_dim(dim) for dim in tensor.shape.dim)


def set_shape(tensor: TypeProto.Tensor, shape: Shape) -> None:
    """Declare a static shape."""
    tensor.ClearField("shape")
    tensor.shape.SetInParent()  # a scalar has a shape without dimensions
    for size in shape:
        tensor.shape.dim.add().dim_value = size


def _dim(dim: TensorShapeProto.Dimension) -> Dim:
    if dim.dim_value > 0:
        return dim.dim_value
    return None if dim.dim_param in _UNKNOWN else dim.dim_param


_UNKNOWN = frozenset({"", "?", "None", "-1"})
"""What exporters write for a size they do not know, beside a value of 0 or -1: these are no symbols.

Paddle2ONNX writes "?" for height and for width alike.
"""
_ONNX_NAMES = {{"float32": "float", "float64": "double"}.get(dtype, dtype) for dtype in DTYPES}
_KINDS = {
    "sequence_type": "a sequence",
    "map_type": "a map",
    "optional_type": "an optional value",
    "sparse_tensor_type": "a sparse tensor",
    "opaque_type": "an opaque value",
}


def _unsupported(value: ValueInfoProto, what: str) -> UnsupportedTypeError:
    return UnsupportedTypeError(
        f"{value.name!r} is {what}; inputs and outputs must be tensors of {', '.join(sorted(DTYPES))}",
        "export the model without the pre- or postprocessing that needs it, or cast it inside the model",
    )
