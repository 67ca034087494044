"""Maxima and means over windows, and over whole images."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from compression.training.operators.node import Node, Operator, Unsupported
from compression.training.operators.windows import Ends, Walk, even, for_torch

_MAX: dict[int, Callable[..., Tensor]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_MEAN: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
"""By the number of axes that the window walks along."""


def _max_pool(node: Node) -> Operator:
    """https://onnx.ai/onnx/operators/onnx__MaxPool.html."""
    walk, window = Walk.of(node), tuple(node.attributes["kernel_shape"])
    pool, strides, dilation = _MAX[len(window)], walk.each(walk.strides, window), walk.dilation

    def run(x: Tensor) -> Tensor:
        ends = _whole_windows(node, walk, x.shape[2:], window)
        padding = _native(ends, window)
        if padding is None:
            x = F.pad(x, for_torch(ends), value=-torch.inf)
        return pool(x, window, strides, padding or 0, dilation)

    return run


def _average_pool(node: Node) -> Operator:
    """https://onnx.ai/onnx/operators/onnx__AveragePool.html."""
    walk, window = Walk.of(node), tuple(node.attributes["kernel_shape"])
    if any(step > 1 for step in walk.dilations):
        raise Unsupported("a dilated mean")
    pool, strides = _MEAN[len(window)], walk.each(walk.strides, window)
    counted = bool(node.get("count_include_pad", 0))

    def run(x: Tensor) -> Tensor:
        sizes = x.shape[2:]
        given, ends = walk.ends(sizes, window), _whole_windows(node, walk, sizes, window)
        padding = _native(ends, window)
        if padding is not None and ends == given:
            return pool(x, window, strides, padding, False, counted)
        places = x.new_ones((1, 1, *sizes))  # those that count: not what the last window needs beyond the padding
        if counted:
            places = F.pad(places, for_torch(given), value=1)
            beyond = [(0, end - known) for (_, end), (_, known) in zip(ends, given, strict=True)]
        else:
            beyond = ends
        share = pool(F.pad(places, for_torch(beyond)), window, strides)
        return pool(F.pad(x, for_torch(ends)), window, strides) / share

    return run


def _native(ends: Ends, window: Sequence[int]) -> list[int] | None:
    """The padding where torch's own pools take it: equal on both sides, and at most half of the window."""
    padding = even(ends)
    wide = padding is not None and any(2 * pad > size for pad, size in zip(padding, window, strict=True))
    return None if wide else padding


def _whole_windows(node: Node, walk: Walk, sizes: Sequence[int], window: Sequence[int]) -> Ends:
    """The padding, and what the last window needs beyond it where the output's size is rounded up."""
    ends = walk.ends(sizes, window)
    if not node.get("ceil_mode", 0) or walk.same:
        return ends
    steps, extents = walk.each(walk.strides, window), walk.extents(window)
    widened = []
    for size, (begin, end), step, extent in zip(sizes, ends, steps, extents, strict=True):
        last = -(-(size + begin + end - extent) // step) * step
        if last >= size + begin:  # a window with nothing but padding at the end is left out
            last -= step
        widened.append((begin, max(last + extent - size - begin, end)))
    return widened


def _global_average_pool(_node: Node) -> Operator:
    return lambda x: x.mean(tuple(range(2, x.dim())), keepdim=True)


def _global_max_pool(_node: Node) -> Operator:
    return lambda x: x.amax(tuple(range(2, x.dim())), keepdim=True)


OPERATORS: dict[str, Callable[[Node], Operator]] = {
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average_pool,
    "GlobalMaxPool": _global_max_pool,
    "MaxPool": _max_pool,
}
