"""Operators that give elements another shape, and those that compute with shapes.

A constant shape in the file holds the batch size of the export. Reshape and Flatten therefore go by the shapes
that ONNX infers for it: an input that has them but for `times` as many in its leading axis gives an output with
`times` as many in its. Any other input takes the constant as it is, so that torch refuses what does not fit.
"""

from collections.abc import Callable
from math import prod

import numpy as np
import torch
from onnx import TensorProto, numpy_helper
from torch import Tensor

from compression.training.operators.node import Node, Operator, Unsupported

_ELEMENTS: dict[int, torch.dtype] = {
    TensorProto.BFLOAT16: torch.bfloat16,
    TensorProto.BOOL: torch.bool,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.FLOAT: torch.float32,
    TensorProto.INT16: torch.int16,
    TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64,
    TensorProto.INT8: torch.int8,
    TensorProto.UINT8: torch.uint8,
}


def _element(number: int) -> torch.dtype:
    """Unsupported."""
    if number not in _ELEMENTS:
        raise Unsupported(f"elements of {TensorProto.DataType.Name(number).lower()}")
    return _ELEMENTS[number]


def _reshape(node: Node) -> Operator:
    """https://onnx.ai/onnx/operators/onnx__Reshape.html."""
    reader, zero_copies = node.reader("shape", 1), not node.get("allowzero", 0)

    def literally(x: Tensor, given: Tensor | None = None) -> Tensor:
        sizes = reader(given)
        if zero_copies:
            sizes = tuple(size or x.shape[axis] for axis, size in enumerate(sizes))
        return x.reshape(sizes)

    return _in_batches(node, literally) if node.is_fixed("shape", 1) else literally


def _flatten(node: Node) -> Operator:
    axis = node.get("axis", 1)

    def literally(x: Tensor) -> Tensor:
        rows = prod(x.shape[:axis])
        return x.reshape(rows, -1 if x.numel() else prod(x.shape[axis:]))

    return _in_batches(node, literally)


def _in_batches(node: Node, literally: Callable[..., Tensor]) -> Operator:
    before, after = node.shapes[0], node.made
    if not before or not after:
        return literally
    (lead, *rest), (first, *others) = before, after

    def run(x: Tensor, *given: Tensor | None) -> Tensor:
        if x.dim() == len(rest) + 1 and list(x.shape[1:]) == rest and x.shape[0] % lead == 0:
            return x.reshape(x.shape[0] // lead * first, *others)
        return literally(x, *given)

    return run


def _squeeze(node: Node) -> Operator:
    """All axes of one place at the export, where none are named."""
    axes = node.integers("axes", 1) if node.is_given("axes", 1) else _of_one(node)

    def run(x: Tensor, _: Tensor | None = None) -> Tensor:
        gone = {axis % x.dim() for axis in axes}
        return x.reshape([size for axis, size in enumerate(x.shape) if axis not in gone])

    return run


def _of_one(node: Node) -> tuple[int, ...]:
    sizes = node.shapes[0]
    if sizes is None:
        raise Unsupported("which axes it takes away depends on the image")
    return tuple(axis for axis, size in enumerate(sizes) if size == 1)


def _unsqueeze(node: Node) -> Operator:
    """The axes are those of the output."""
    axes = node.integers("axes", 1)

    def run(x: Tensor, _: Tensor | None = None) -> Tensor:
        for axis in sorted(axis % (x.dim() + len(axes)) for axis in axes):
            x = x.unsqueeze(axis)
        return x

    return run


def _shape(node: Node) -> Operator:
    part = slice(node.get("start", 0), node.get("end", None))
    return lambda x: torch.tensor(x.shape[part], dtype=torch.int64, device=x.device)


def _constant_of_shape(node: Node) -> Operator:
    sizes = node.reader("input", 0)
    value = node.get("value", None)
    fill = 0.0 if value is None else numpy_helper.to_array(value).item()
    element = torch.float32 if value is None else _element(value.data_type)
    return lambda given: torch.full(sizes(given), fill, dtype=element, device=given.device)


def _expand(node: Node) -> Operator:
    """To what both shapes broadcast to: a 1 in the given one keeps the size."""
    sizes = node.reader("shape", 1)
    return lambda x, given: x.expand(np.broadcast_shapes(x.shape, sizes(given)))


def _cast(node: Node) -> Operator:
    element = _element(node.attributes["to"])
    return lambda x: x.to(element)


OPERATORS: dict[str, Callable[[Node], Operator]] = {
    "Cast": _cast,
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Shape": _shape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
}
