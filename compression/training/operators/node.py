"""One node of an ONNX graph, as the function that builds its operator sees it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray

Operator = Callable[..., torch.Tensor | Sequence[torch.Tensor]]
"""The node's inputs, None where an optional one is left out -> its output, or outputs."""


class Unsupported(Exception):  # noqa: N818 - collected over all nodes: UnsupportedOperatorError names them together
    """The node asks for what torch, or this room, has no counterpart of; the message says what."""


@dataclass(frozen=True)
class Node:
    """`attributes` are those in the file; `constants` the inputs whose values are in the file, by place.

    `shapes` has the inputs' shapes as ONNX infers them from the file and `made` the first output's, None where a size
    is not known.
    """

    operator: str
    opset: int
    attributes: Mapping[str, Any]
    inputs: tuple[bool, ...]
    """Which are given."""
    constants: Mapping[int, NDArray[Any]]
    outputs: int
    shapes: tuple[tuple[int, ...] | None, ...]
    made: tuple[int, ...] | None

    def get(self, name: str, default: Any) -> Any:
        """The value of an attribute."""
        return self.attributes.get(name, default)

    def has(self, place: int) -> bool:
        """The optional input is given."""
        return place < len(self.inputs) and self.inputs[place]

    def is_given(self, name: str, place: int) -> bool:
        """As an attribute, as older versions of an operator have it, or as an input."""
        return name in self.attributes or self.has(place)

    def is_fixed(self, name: str, place: int) -> bool:
        """It is given, and the file says its value."""
        return name in self.attributes or place in self.constants

    def integers(self, name: str, place: int) -> tuple[int, ...]:
        """Of an attribute or, as newer versions of an operator have it, a constant input. Unsupported."""
        if name in self.attributes:
            return tuple(self.attributes[name])
        if place not in self.constants:
            raise Unsupported(f"its {name} are computed by the graph")
        return tuple(int(each) for each in self.constants[place].reshape(-1))

    def reader(self, name: str, place: int) -> Callable[[torch.Tensor | None], tuple[int, ...]]:
        """The same, or what the graph computes: a function of that input."""
        if self.is_fixed(name, place):
            fixed = self.integers(name, place)
            return lambda _: fixed
        return _integers


def _integers(tensor: torch.Tensor | None) -> tuple[int, ...]:
    if tensor is None:
        raise ValueError("a shape or size is neither in the file nor computed")
    return tuple(int(each) for each in tensor.reshape(-1).tolist())
