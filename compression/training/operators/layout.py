"""Operators that move elements, and leave them as they are."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from compression.training.operators.node import Node, Operator, Unsupported
from compression.training.operators.windows import for_torch


def _concat(node: Node) -> Operator:
    axis = node.attributes["axis"]
    return lambda *given: torch.cat(given, axis)


def _split(node: Node) -> Operator:
    """Into equal parts, but for a smaller last one, where no sizes are given."""
    axis, count = node.get("axis", 0), node.outputs
    if node.is_given("split", 1):
        sizes = node.reader("split", 1)
        return lambda x, given=None: torch.split(x, list(sizes(given)), axis)
    return lambda x, *_: torch.split(x, -(-x.shape[axis] // count), axis)


def _slicing(node: Node) -> Operator:
    """Slices as Python's: ONNX's "as far as it goes" are numbers far outside."""
    starts, ends = node.reader("starts", 1), node.reader("ends", 2)
    axes, steps = (node.reader(name, place) for name, place in (("axes", 3), ("steps", 4)))
    has_axes, has_steps = node.is_given("axes", 3), node.is_given("steps", 4)

    def run(
        x: Tensor,
        start: Tensor | None = None,
        end: Tensor | None = None,
        axis: Tensor | None = None,
        step: Tensor | None = None,
    ) -> Tensor:
        begins, stops = starts(start), ends(end)
        along = axes(axis) if has_axes else range(len(begins))
        by = steps(step) if has_steps else (1,) * len(begins)
        for each, *bounds in zip(along, begins, stops, by, strict=True):
            x = _sliced(x, each, slice(*bounds))
        return x

    return run


def _sliced(x: Tensor, axis: int, part: slice) -> Tensor:
    if part.step > 0:
        return x[(*(slice(None),) * (axis % x.dim()), part)]
    backwards = range(*part.indices(x.shape[axis]))  # which torch has no views of
    return x.index_select(axis, torch.tensor(backwards, dtype=torch.int64, device=x.device))


def _gather(node: Node) -> Operator:
    axis = node.get("axis", 0)

    def run(x: Tensor, places: Tensor) -> Tensor:
        size, along = x.shape[axis], axis % x.dim()
        chosen = x.index_select(along, torch.where(places < 0, places + size, places).reshape(-1))
        return chosen.reshape(*x.shape[:along], *places.shape, *x.shape[along + 1 :])

    return run


def _pad(node: Node) -> Operator:
    mode = node.get("mode", b"constant").decode()
    if mode not in ("constant", "reflect", "edge", "wrap"):
        raise Unsupported(f"mode {mode}")
    if node.has(2) and 2 not in node.constants:
        raise Unsupported("its value is computed by the graph")
    value = node.constants[2].item() if node.has(2) else node.get("value", 0.0)
    axes = node.integers("axes", 3) if node.has(3) else None
    pads = node.reader("pads", 1)

    def run(x: Tensor, given: Tensor | None = None, *_: Tensor | None) -> Tensor:
        places = pads(given)
        along = range(x.dim()) if axes is None else [axis % x.dim() for axis in axes]
        ends = dict(zip(along, zip(places[: len(along)], places[len(along) :], strict=True), strict=True))
        if mode == "constant":
            return F.pad(x, for_torch([ends.get(axis, (0, 0)) for axis in range(x.dim())]), value=value)
        for axis, (begin, end) in ends.items():
            if begin or end:
                x = x.index_select(axis, _mirrored(x.shape[axis], begin, end, mode).to(x.device))
        return x

    return run


def _mirrored(size: int, begin: int, end: int, mode: str) -> Tensor:
    """Which places of an axis the padded one shows; negative padding takes places away."""
    kept = np.arange(size)[max(-begin, 0) : size + min(end, 0)]
    return torch.from_numpy(np.pad(kept, (max(begin, 0), max(end, 0)), mode=mode))  # type: ignore[call-overload]  # a str


def _transpose(node: Node) -> Operator:
    order = node.get("perm", None)
    return lambda x: x.permute(*(order or reversed(range(x.dim()))))


def _depth_to_space(node: Node) -> Operator:
    size, channels_first = node.attributes["blocksize"], node.get("mode", b"DCR") == b"CRD"

    def blocks_first(x: Tensor) -> Tensor:
        count, channels, height, width = x.shape
        blocks = x.reshape(count, size, size, channels // size**2, height, width)
        return blocks.permute(0, 3, 4, 1, 5, 2).reshape(count, channels // size**2, height * size, width * size)

    return (lambda x: F.pixel_shuffle(x, size)) if channels_first else blocks_first


def _space_to_depth(node: Node) -> Operator:
    size = node.attributes["blocksize"]

    def run(x: Tensor) -> Tensor:
        count, channels, height, width = x.shape
        blocks = x.reshape(count, channels, height // size, size, width // size, size)
        return blocks.permute(0, 3, 5, 1, 2, 4).reshape(count, channels * size**2, height // size, width // size)

    return run


OPERATORS: dict[str, Callable[[Node], Operator]] = {
    "Concat": _concat,
    "DepthToSpace": _depth_to_space,
    "Gather": _gather,
    "Pad": _pad,
    "Slice": _slicing,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Transpose": _transpose,
}
