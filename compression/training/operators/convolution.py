"""Convolutions and matrix products: the layers that have a kernel."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from compression.training.operators import products
from compression.training.operators.node import Node, Operator
from compression.training.operators.windows import Ends, Walk, even, for_torch

_CONV: dict[int, Callable[..., Tensor]] = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}
_CONV_TRANSPOSE: dict[int, Callable[..., Tensor]] = {
    3: F.conv_transpose1d,
    4: F.conv_transpose2d,
    5: F.conv_transpose3d,
}
"""By the rank of the kernel."""


def _conv(node: Node) -> Operator:
    """https://onnx.ai/onnx/operators/onnx__Conv.html."""
    walk, groups = Walk.of(node), node.get("group", 1)
    stride, dilation = walk.stride, walk.dilation

    def run(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
        ends = walk.ends(x.shape[2:], kernel.shape[2:])
        padding = even(ends)
        if padding is None:
            x = F.pad(x, for_torch(ends))
        if groups == 1 and products.pays(x, kernel, _places(walk, x.shape[2:], kernel.shape[2:], padding)):
            return products.convolved(x, kernel, bias, *_pairs(walk), padding or (0, 0))
        return _CONV[kernel.dim()](x, kernel, bias, stride, padding or 0, dilation, groups)

    return run


def _conv_transpose(node: Node) -> Operator:
    """https://onnx.ai/onnx/operators/onnx__ConvTranspose.html."""
    walk, groups = Walk.of(node), node.get("group", 1)
    stride, dilation = walk.stride, walk.dilation
    longer, wanted = tuple(node.get("output_padding", ())), tuple(node.get("output_shape", ()))

    def run(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
        more, ends = _fitted(walk, wanted, longer, x.shape[2:], kernel.shape[2:])
        padding, convolve = even(ends), _CONV_TRANSPOSE[kernel.dim()]
        if groups == 1 and products.pays(x, kernel, math.prod(x.shape[2:])):
            whole = products.convolved_transposed(x, kernel, bias, *_pairs(walk), padding or (0, 0), more)
        else:
            whole = convolve(x, kernel, bias, stride, padding or 0, more, groups, dilation)
        return whole if padding is not None else F.pad(whole, [-places for places in for_torch(ends)])

    return run


def _places(walk: Walk, sizes: torch.Size, window: torch.Size, padding: list[int] | None) -> int:
    """At how many of an image the kernel is used."""
    steps, around = walk.each(walk.strides, window), padding or [0] * len(window)
    return math.prod(
        (size + 2 * ends - extent) // step + 1
        for size, ends, extent, step in zip(sizes, around, walk.extents(window), steps, strict=True)
    )


def _pairs(walk: Walk) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Strides and dilations of an image."""
    return walk.strides or (1, 1), walk.dilations or (1, 1)


def _fitted(
    walk: Walk, wanted: tuple[int, ...], longer: tuple[int, ...], sizes: torch.Size, window: torch.Size
) -> tuple[list[int], Ends]:
    """The output padding, and what is cut off then, so that the output has the size that the file asks for.

    A window smaller than its stride leaves SAME short of that size, and an `output_shape` padded at the end, as ONNX
    Runtime has it: the specification's padding would be negative.
    """
    extra = longer or (0,) * len(window)
    if not (wanted or walk.same):
        return list(extra), walk.ends(sizes, window)
    steps = walk.each(walk.strides, window)
    whole = [
        (size - 1) * step + extent + more
        for size, step, extent, more in zip(sizes, steps, walk.extents(window), extra, strict=True)
    ]
    same = [min(size * step, full) for size, step, full in zip(sizes, steps, whole, strict=True)]
    beyond = [full - target for full, target in zip(whole, wanted[-len(window) :] or same, strict=True)]
    missing = [more + max(-places, 0) for more, places in zip(extra, beyond, strict=True)]
    return missing, [walk.halves(max(places, 0)) for places in beyond]


def _gemm(node: Node) -> Operator:
    """https://onnx.ai/onnx/operators/onnx__Gemm.html."""
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    turn_a, turn_b = bool(node.get("transA", 0)), bool(node.get("transB", 0))

    def run(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
        a, b = a.T if turn_a else a, b.T if turn_b else b
        if bias is None:
            return a @ b if alpha == 1 else alpha * (a @ b)
        return torch.addmm(bias, a, b, beta=beta, alpha=alpha)

    return run


def _matmul(_node: Node) -> Operator:
    """https://onnx.ai/onnx/operators/onnx__MatMul.html."""
    return torch.matmul


OPERATORS = {"Conv": _conv, "ConvTranspose": _conv_transpose, "Gemm": _gemm, "MatMul": _matmul}
