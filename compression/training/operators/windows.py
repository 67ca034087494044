"""How a window walks over an image: the attributes that convolutions and pools share."""

from collections.abc import Sequence
from dataclasses import dataclass

from compression.training.operators.node import Node

Ends = list[tuple[int, int]]
"""What is added before and after each axis, in places."""


@dataclass(frozen=True)
class Walk:
    """Each tuple has one entry per axis and is empty where the file leaves it to the default."""

    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    auto_pad: str

    @classmethod
    def of(cls, node: Node) -> "Walk":
        """The node's own."""
        return cls(
            tuple(node.get("strides", ())),
            tuple(node.get("dilations", ())),
            tuple(node.get("pads", ())),
            node.get("auto_pad", b"NOTSET").decode(),
        )

    @property
    def stride(self) -> int | tuple[int, ...]:
        """As torch takes it."""
        return self.strides or 1

    @property
    def dilation(self) -> int | tuple[int, ...]:
        """As torch takes it."""
        return self.dilations or 1

    @property
    def same(self) -> bool:
        """The padding follows from the size of the input."""
        return self.auto_pad in ("SAME_UPPER", "SAME_LOWER")

    def extents(self, window: Sequence[int]) -> list[int]:
        """Places from the first to the last that a window covers."""
        return [(size - 1) * step + 1 for size, step in zip(window, self.each(self.dilations, window), strict=True)]

    def each(self, values: tuple[int, ...], window: Sequence[int]) -> tuple[int, ...]:
        """`values`, or 1 for every axis."""
        return values or (1,) * len(window)

    def ends(self, sizes: Sequence[int], window: Sequence[int]) -> Ends:
        """The padding for an input of these sizes."""
        if self.same:
            steps = self.each(self.strides, window)
            missing = [
                max((-(-size // step) - 1) * step + extent - size, 0)
                for size, step, extent in zip(sizes, steps, self.extents(window), strict=True)
            ]
            return [self.halves(total) for total in missing]
        if self.auto_pad == "VALID" or not self.pads:
            return [(0, 0)] * len(window)
        return list(zip(self.pads[: len(window)], self.pads[len(window) :], strict=True))

    def halves(self, total: int) -> tuple[int, int]:
        """Of an odd number SAME_UPPER has the larger half at the end."""
        smaller, larger = total // 2, total - total // 2
        return (smaller, larger) if self.auto_pad == "SAME_UPPER" else (larger, smaller)


def for_torch(ends: Ends) -> list[int]:
    """`ends` as `torch.nn.functional.pad` takes them: the last axis first."""
    return [places for pair in reversed(ends) for places in pair]


def even(ends: Ends) -> list[int] | None:
    """The padding as torch's own operators take it; None where an axis has more on one side."""
    return [begin for begin, _ in ends] if all(begin == end for begin, end in ends) else None
