"""Convolutions of images as matrix products: the same numbers, faster on a CPU where there are many weights.

oneDNN's convolutions spend their backward pass on rearranging weights where a layer has more of them than places that
they are used at. Measured with torch 2.13 on one thread (AMD EPYC with AVX512-BF16), batches of 16, kernels of 4 x 4,
forward and backward, as a product and as a convolution: 384 -> 1024 channels at 4 x 4 places 38 and 211 ms in bfloat16,
110 and 191 ms in float32; 256 -> 128 at 4 x 4, which is at the limit below, 7.0 and 9.2 ms, 14.7 and 15.7 ms;
128 -> 256 at 8 x 8, which is beyond it, 29 and 12 ms, 56 and 34 ms.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

WEIGHTS_PER_PLACE = 2048
LEAST_WEIGHTS = 200_000
"""From so many weights on a product is faster: in all, and for each place of the batch that the kernel is used at."""

Pair = Sequence[int]


def pays(x: Tensor, kernel: Tensor, places: int) -> bool:
    """Whether a convolution of `x` (n,c,h,w), its kernel used at `places` of each image, is faster as a product."""
    least = max(LEAST_WEIGHTS, WEIGHTS_PER_PLACE * len(x) * places)
    return x.device.type == "cpu" and kernel.dim() == 4 and kernel.numel() >= least


def convolved(x: Tensor, kernel: Tensor, bias: Tensor | None, stride: Pair, dilation: Pair, padding: Pair) -> Tensor:
    """As `torch.nn.functional.conv2d` of one group: (n,c,h,w), kernel (o,c,kh,kw) -> (n,o,h',w'), channels last."""
    image = F.pad(x.permute(0, 2, 3, 1), (0, 0, padding[1], padding[1], padding[0], padding[0]))
    windows: Tensor = _Windows.apply(image, kernel.shape[2:], stride, dilation)  # type: ignore[no-untyped-call]  # torch
    made = F.linear(windows.flatten(3), kernel.permute(0, 2, 3, 1).flatten(1), bias)
    return made.permute(0, 3, 1, 2)


def convolved_transposed(
    x: Tensor, kernel: Tensor, bias: Tensor | None, stride: Pair, dilation: Pair, padding: Pair, longer: Pair
) -> Tensor:
    """As `torch.nn.functional.conv_transpose2d` of one group: (n,c,h,w), kernel (c,o,kh,kw) -> (n,o,h',w')."""
    columns = x.permute(0, 2, 3, 1) @ kernel.permute(0, 2, 3, 1).flatten(1)
    windows = columns.view(*columns.shape[:3], *kernel.shape[2:], kernel.shape[1])
    whole: Tensor = _Overlap.apply(windows, stride, dilation)  # type: ignore[no-untyped-call]  # torch has no types there
    ends = [more - cut for more, cut in zip(longer, padding, strict=True)]
    image = F.pad(whole, (0, 0, -padding[1], ends[1], -padding[0], ends[0]))
    return (image if bias is None else image + bias).permute(0, 3, 1, 2)


def _views(
    image: Tensor, places: Pair, window: Pair, stride: Pair, dilation: Pair
) -> Iterator[tuple[int, int, Tensor]]:
    """For each place of the window, what it covers of the image (n,h,w,c) at all `places`: a view (n,h',w',c)."""
    spans = [(count - 1) * step + 1 for count, step in zip(places, stride, strict=True)]
    for row in range(window[0]):
        for column in range(window[1]):
            top, left = row * dilation[0], column * dilation[1]
            yield row, column, image[:, top : top + spans[0] : stride[0], left : left + spans[1] : stride[1]]


def _gathered(image: Tensor, window: Pair, stride: Pair, dilation: Pair) -> Tensor:
    """(n,h,w,c) -> (n,h',w',kh,kw,c)."""
    places = [
        (size - (long - 1) * gap - 1) // step + 1
        for size, long, step, gap in zip(image.shape[1:3], window, stride, dilation, strict=True)
    ]
    made = image.new_empty((len(image), *places, *window, image.shape[3]))
    for row, column, view in _views(image, places, window, stride, dilation):
        made[:, :, :, row, column] = view
    return made


def _scattered(windows: Tensor, sizes: Pair, stride: Pair, dilation: Pair) -> Tensor:
    """(n,h',w',kh,kw,c) -> (n,h,w,c): what lies on each other is added, bfloat16 in float32 as convolutions do it."""
    dtype = torch.promote_types(windows.dtype, torch.float32)
    made = windows.new_zeros((len(windows), *sizes, windows.shape[5]), dtype=dtype)
    for row, column, view in _views(made, windows.shape[1:3], windows.shape[3:5], stride, dilation):
        view += windows[:, :, :, row, column]
    return made.to(windows.dtype)


class _Windows(torch.autograd.Function):
    """What each window covers. Its gradient is the overlap, and the other way round: nothing has to be kept for it."""

    @staticmethod
    def forward(context: Any, image: Tensor, window: Pair, stride: Pair, dilation: Pair) -> Tensor:
        context.walk = image.shape[1:3], stride, dilation
        return _gathered(image, window, stride, dilation)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return _scattered(gradient, *context.walk), None, None, None


class _Overlap(torch.autograd.Function):
    """The image that windows add up to."""

    @staticmethod
    def forward(context: Any, windows: Tensor, stride: Pair, dilation: Pair) -> Tensor:
        window = windows.shape[3:5]
        sizes = [
            (count - 1) * step + (long - 1) * gap + 1
            for count, long, step, gap in zip(windows.shape[1:3], window, stride, dilation, strict=True)
        ]
        context.walk = window, stride, dilation
        return _scattered(windows, sizes, stride, dilation)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _gathered(gradient, *context.walk), None, None
