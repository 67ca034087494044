"""How a window walks over an image: strides, dilations and paddings of convolutions and pools."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from converters.tflite.lowering import Lowering
from converters.tflite.network import Node
from converters.tflite.program import Activation

Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """Over height and width. `pads` are before and after each: behind, they may be more than a window reaches."""

    size: Pair
    strides: Pair
    dilations: Pair
    pads: tuple[Pair, Pair]

    @classmethod
    def of(cls, node: Node, size: Sequence[int], image: Sequence[int]) -> "Window":
        """The node's, over an image [height, width]; of a line, whose height is 1, the same.

        Source: https://onnx.ai/onnx/operators/onnx__Conv.html, and AveragePool for ceil_mode.
        """
        lines = 2 - len(size)
        strides = (*(1,) * lines, *node.get("strides", (1,) * len(size)))
        dilations = (*(1,) * lines, *node.get("dilations", (1,) * len(size)))
        whole = (*(1,) * lines, *size)
        given = tuple(node.get("pads", (0,) * 2 * len(size)))
        pads = [(0, 0)] * lines + list(zip(given[: len(size)], given[len(size) :], strict=True))
        window = cls(_pair(whole), _pair(strides), _pair(dilations), (pads[0], pads[1]))
        mode = node.get("auto_pad", "NOTSET")
        if mode in ("SAME_UPPER", "SAME_LOWER"):
            same = [window._same(axis, image[axis], upper=mode == "SAME_UPPER") for axis in (0, 1)]
            window = cls(window.size, window.strides, window.dilations, (same[0], same[1]))
        if min(size for pair in window.pads for size in pair) < 0:
            raise node.refuse("it has negative padding", "crop the image before it")
        return window

    @property
    def extent(self) -> Pair:
        """From the first place that is read to the last."""
        height, width = ((size - 1) * step + 1 for size, step in zip(self.size, self.dilations, strict=True))
        return height, width

    def _same(self, axis: int, size: int, upper: bool = True) -> Pair:
        """What TFLite's SAME pads, or with the odd place in front."""
        missing = max((ceil(size / self.strides[axis]) - 1) * self.strides[axis] + self.extent[axis] - size, 0)
        less, more = missing // 2, missing - missing // 2
        return (less, more) if upper else (more, less)

    def needed(self, image: Sequence[int], results: Sequence[int]) -> tuple[Pair, Pair]:
        """The padding of `image` without what no window reaches, or with what the last (ceil_mode) goes beyond it."""
        found = []
        for axis in (0, 1):
            before = self.pads[axis][0]
            reach = (results[axis] - 1) * self.strides[axis] + self.extent[axis]
            found.append((before, max(reach - before - image[axis], 0)))
        return found[0], found[1]

    def is_same(self, image: Sequence[int], results: Sequence[int]) -> bool:
        """Whether TFLite's SAME pads just so."""
        pads = self.needed(image, results)
        fits = all(ceil(image[axis] / self.strides[axis]) == results[axis] for axis in (0, 1))
        return fits and all(self._same(axis, image[axis]) == pads[axis] for axis in (0, 1))


def _pair(values: Sequence[int]) -> Pair:
    return int(values[0]), int(values[1])


def padded(lowering: Lowering, image: Activation, pads: tuple[Pair, Pair], lowest: bool = False) -> Activation:
    """The image with zeros around it, or with the lowest value of its grid."""
    if not any(size for pair in pads for size in pair):
        return image
    batch, height, width, channels = image.shape
    shape = (batch, height + sum(pads[0]), width + sum(pads[1]), channels)
    output = lowering.between(f"{lowering.node.output}/padded", shape, like=image)
    places = lowering.integers("pads", np.array([(0, 0), pads[0], pads[1], (0, 0)]))
    if lowest:
        value = lowering.operand("lowest", np.zeros(1), like=image, lowest=True)
        lowering.emit("PADV2", [image, places, value], output)
    else:
        lowering.emit("PAD", [image, places], output)
    return output
