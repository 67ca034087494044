"""Images made larger or smaller, one axis after the other, with ONNX's own rules for where a new place lies.

https://onnx.ai/onnx/operators/onnx__Resize.html
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from compression.training.operators.node import Node, Operator, Unsupported

_REGION = 11
"""Opset from which on a Resize has a region before its scales, sizes after them, and rules other than asymmetric."""

Places = NDArray[np.float32]

_COORDINATES = ("align_corners", "asymmetric", "half_pixel", "pytorch_half_pixel")
_ROUNDED: dict[str, Callable[[Places], Places]] = {
    "ceil": np.ceil,
    "floor": np.floor,
    "round_prefer_ceil": lambda places: np.floor(places + 0.5),
    "round_prefer_floor": lambda places: np.ceil(places - 0.5),
}
_DEFAULTS: dict[str, int | bytes] = {
    "antialias": 0,
    "exclude_outside": 0,
    "keep_aspect_ratio_policy": b"stretch",
}
"""Attributes of which no other value is supported."""

_SMOOTH = {3: "linear", 4: "bilinear", 5: "trilinear"}
"""What torch calls linear interpolation, by the rank of the image."""


@dataclass(frozen=True)
class Axis:
    """One axis that is resized; `scale` is the file's, which need not be `after / before`."""

    before: int
    after: int
    scale: float

    def places(self, coordinates: str) -> Places:
        """Where each new place lies in the image as it was: in float32, as runtimes do, since halves are rounded."""
        new = np.arange(self.after, dtype=np.float32)
        if coordinates == "align_corners":
            return new * np.float32(self.before - 1) / np.float32(max(self.after - 1, 1))
        if coordinates == "asymmetric":
            return new / np.float32(self.scale)
        if coordinates == "pytorch_half_pixel" and self.after == 1:
            return new
        return (new + np.float32(0.5)) / np.float32(self.scale) - np.float32(0.5)


def _resize(node: Node) -> Operator:
    """Of the first axis, which counts images, neither scale nor size is read: a batch stays as large as it is."""
    interpolate, measure, axes = _interpolation(node), _measure(node), node.get("axes", None)

    def run(x: Tensor, *given: Tensor | None) -> Tensor:
        along = [axis % x.dim() for axis in axes] if axes else range(x.dim())
        measured = measure([x.shape[axis] for axis in along], given)
        return interpolate(
            x, {axis: each for axis, each in zip(along, measured, strict=True) if axis and each.scale != 1}
        )

    return run


def _measure(node: Node) -> Callable[[Sequence[int], Sequence[Tensor | None]], list[Axis]]:
    """A function of the sizes before and the node's inputs but the first."""
    if node.opset >= _REGION and node.has(3):
        sizes = node.reader("sizes", 3)
        return lambda lengths, given: [
            Axis(before, after, after / before) for before, after in zip(lengths, sizes(given[2]), strict=True)
        ]
    scales = _scales(node)
    return lambda lengths, _: [
        Axis(before, int(before * np.float32(scale)), scale) for before, scale in zip(lengths, scales, strict=True)
    ]


def _scales(node: Node) -> tuple[float, ...]:
    if "scales" in node.attributes:  # Upsample of opset 7
        return tuple(node.attributes["scales"])
    place = 2 if node.operator == "Resize" and node.opset >= _REGION else 1
    if place not in node.constants:
        raise Unsupported("its scales are computed by the graph")
    return tuple(float(scale) for scale in node.constants[place].reshape(-1))


def _interpolation(node: Node) -> Callable[[Tensor, dict[int, Axis]], Tensor]:
    mode = node.get("mode", b"nearest").decode()
    old = node.operator == "Upsample" or node.opset < _REGION
    coordinates = "asymmetric" if old else node.get("coordinate_transformation_mode", b"half_pixel").decode()
    rounding = None if old else node.get("nearest_mode", b"round_prefer_floor").decode()
    if mode not in ("nearest", "linear"):
        raise Unsupported(mode)
    if coordinates not in _COORDINATES:
        raise Unsupported(coordinates)
    for name, default in _DEFAULTS.items():
        if node.get(name, default) != default:
            raise Unsupported(name)
    if mode == "nearest":
        return lambda x, changes: _nearest(x, changes, coordinates, rounding)
    return lambda x, changes: _linear(x, changes, coordinates)


def _nearest(x: Tensor, changes: dict[int, Axis], coordinates: str, rounding: str | None) -> Tensor:
    chosen = {}
    for axis, change in changes.items():
        # Older versions have no rule; this is what ONNX Runtime does with them.
        rounded = _ROUNDED[rounding or ("ceil" if change.scale < 1 else "floor")](change.places(coordinates))
        chosen[axis] = np.clip(rounded, 0, change.before - 1).astype(np.int64)
    repeated = all(
        changes[axis].after % changes[axis].before == 0
        and np.array_equal(places, np.arange(changes[axis].after) // (changes[axis].after // changes[axis].before))
        for axis, places in chosen.items()
    )
    if repeated and _native(x, changes):
        return F.interpolate(x, _sizes(x, changes))
    for axis, places in chosen.items():
        x = x.index_select(axis, torch.from_numpy(places).to(x.device))
    return x


def _linear(x: Tensor, changes: dict[int, Axis], coordinates: str) -> Tensor:
    exact = all(change.scale == change.after / change.before and change.after > 1 for change in changes.values())
    if _native(x, changes) and exact and coordinates != "asymmetric":
        return F.interpolate(x, _sizes(x, changes), mode=_SMOOTH[x.dim()], align_corners=coordinates == "align_corners")
    for axis, change in changes.items():
        places = np.clip(change.places(coordinates), 0, change.before - 1)
        below = np.floor(places).astype(np.int64)
        above = np.minimum(below + 1, change.before - 1)
        share = torch.from_numpy(places - below).to(x).reshape(-1, *(1,) * (x.dim() - 1 - axis))
        low, high = (x.index_select(axis, torch.from_numpy(each).to(x.device)) for each in (below, above))
        x = torch.lerp(low, high, share)
    return x


def _native(x: Tensor, changes: dict[int, Axis]) -> bool:
    """Torch resizes images with channels, and nothing but their height, width and depth."""
    return x.dim() in _SMOOTH and min(changes, default=2) >= 2


def _sizes(x: Tensor, changes: dict[int, Axis]) -> list[int]:
    return [changes[axis].after if axis in changes else x.shape[axis] for axis in range(2, x.dim())]


OPERATORS: dict[str, Callable[[Node], Operator]] = {"Resize": _resize, "Upsample": _resize}
