"""In which order a tensor's elements lie: TFLite has the channels last, ONNX has them first.

An order lists a tensor's axes as ONNX numbers them, in the order in which they are stored. Axes of size 1 lie anywhere.
"""

from collections.abc import Iterator
from math import prod

import numpy as np
from numpy.typing import NDArray

from converters.signature import Shape
from converters.tflite.network import Network, Node

Order = tuple[int, ...]

NHWC: Order = (0, 2, 3, 1)

_IMAGES = frozenset(
    {
        "AveragePool",
        "BatchNormalization",
        "Conv",
        "ConvTranspose",
        "GlobalAveragePool",
        "MaxPool",
        "PRelu",
        "Resize",
    }
)
"""Operators whose input has its channels in axis 1: they are wanted last."""

_ROWS = frozenset({"Gemm", "MatMul"})
"""Operators whose input has its channels in the last axis already."""

_INDIFFERENT = frozenset(
    {"Add", "Affine", "Clip", "Concat", "Identity", "LeakyRelu", "Mul", "Pad", "Relu", "Sigmoid", "Sub", "Tanh"}
)
"""Operators that take any order, as long as all inputs have the same."""


def straight(rank: int) -> Order:
    """As ONNX has it."""
    return tuple(range(rank))


def channels_last(rank: int) -> Order:
    """Axis 1 behind all others."""
    return (0, *range(2, rank), 1) if rank > 2 else straight(rank)


def stored(shape: Shape, order: Order) -> Shape:
    """The shape in that order."""
    return tuple(shape[axis] for axis in order)


def same_elements(shape: Shape, one: Order, other: Order) -> bool:
    """Whether both orders put the elements at the same places."""
    long = [[axis for axis in order if shape[axis] > 1] for order in (one, other)]
    return long[0] == long[1]


def wanted(network: Network, name: str) -> Order:
    """The order in which the readers of an input want it: the first that cares decides."""
    rank = len(network.shape(name))
    return _asked(network, name) or (NHWC if rank == 4 else straight(rank))


def _asked(network: Network, name: str) -> Order | None:
    rank = len(network.shape(name))
    for node in network.readers(name):
        found = _asked_by(network, node, rank)
        if found is not None:
            return found
    return None


def _asked_by(network: Network, node: Node, rank: int) -> Order | None:
    if node.operator in _IMAGES:
        return channels_last(rank)
    if node.operator in _ROWS:
        return straight(rank)
    if node.operator == "Softmax":
        axis = int(node.get("axis", -1)) % rank
        return (*(other for other in range(rank) if other != axis), axis)
    if node.operator == "Transpose":
        behind = _asked(network, node.output)
        turned = node.get("perm", list(range(rank))[::-1])
        return tuple(turned[axis] for axis in behind) if behind else None
    if node.operator in _INDIFFERENT and len(network.shape(node.output)) == rank:
        return _asked(network, node.output)
    return None


def places(shape: Shape, order: Order) -> NDArray[np.int64]:
    """For each stored element: which it is in ONNX's order."""
    return np.arange(prod(shape)).reshape(shape).transpose(order).ravel()


def reshaped(before: Shape, after: Shape, order: Order) -> Order | None:
    """The order in which a tensor stored in `order` lies once its shape is `after`; None where no order says it.

    Axes that are split or joined have to lie together and as ONNX has them.
    """
    position = {axis: place for place, axis in enumerate(axis for axis in order if before[axis] > 1)}
    parts: list[tuple[int, list[int]]] = []
    for olds, news in _groups(before, after):
        at = [position[axis] for axis in olds if before[axis] > 1]
        if at and at != list(range(at[0], at[0] + len(at))):
            return None
        parts.append((at[0] if at else -1, news))
    order = tuple(axis for _, news in sorted(parts, key=lambda part: part[0]) for axis in news)
    for usual in (channels_last(len(after)), straight(len(after))):
        if same_elements(after, order, usual):
            return usual
    return order


def _groups(before: Shape, after: Shape) -> Iterator[tuple[list[int], list[int]]]:
    """The fewest axes on either side that hold the same number of elements, from the first axis on."""
    left = right = 0
    while left < len(before) or right < len(after):
        olds, news = [], []
        if left < len(before):
            olds.append(left)
        if right < len(after):
            news.append(right)
        left, right = left + len(olds), right + len(news)
        while (has := prod(before[axis] for axis in olds)) != (asked := prod(after[axis] for axis in news)):
            if has < asked:
                olds.append(left)
                left += 1
            else:
                news.append(right)
                right += 1
        yield olds, news
