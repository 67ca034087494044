"""One node on its way to older operators."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from onnx import NodeProto, TensorProto, helper, numpy_helper

from converters.facts import Facts


class CannotRewriteError(Exception):
    """The older operators cannot say it; the text says why. The caller knows node and opset."""


@dataclass
class Rewrite:
    """A node of `opset`, and what takes its place: nodes of the opset before it, in order, and their constants.

    New values are named after the node's first output, so that the board's messages tell where they come from.
    """

    node: NodeProto
    opset: int
    facts: Facts
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def input(self, index: int) -> str:
        """The name of an input, "" where it is left out."""
        return str(self.node.input[index]) if index < len(self.node.input) else ""

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute's value (strings as bytes), or the operator's default, which `default` repeats."""
        return next((helper.get_attribute_value(entry) for entry in self.node.attribute if entry.name == name), default)

    def shape(self, index: int) -> tuple[int, ...]:
        """The static shape of an input; CannotRewriteError where it is not known."""
        shape = self.facts.shape(self.input(index))
        if shape is None:
            raise CannotRewriteError(f"the shape of its input {self.input(index)!r} is not known")
        return shape

    def integers(self, index: int) -> list[int]:
        """A constant input of integers; CannotRewriteError where it is computed."""
        value = self.facts.constant(self.input(index))
        if value is None:
            raise CannotRewriteError(f"its input {self.input(index)!r} is computed, and had to be a constant")
        return [int(number) for number in value.ravel()]

    def constant(self, value: ArrayLike, like: str = "") -> str:
        """A new constant: of the element type of the value `like`, or else of its own."""
        array = np.asarray(value)
        if like:
            array = array.astype(helper.tensor_dtype_to_np_dtype(self.facts.element(like) or TensorProto.FLOAT))
        self.constants.append(numpy_helper.from_array(array, self._new_name()))
        return str(self.constants[-1].name)

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """A node with one output, whose name is returned."""
        name = self._new_name()
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def finish(self, operator: str, *inputs: str, **attributes: Any) -> None:
        """The last node: it has the name and the outputs of the old one."""
        self.nodes.append(
            helper.make_node(operator, list(inputs), list(self.node.output), name=self.node.name, **attributes)
        )

    def keep(self, inputs: Sequence[str] | None = None, drop: Sequence[str] = (), **attributes: Any) -> None:
        """The same node with other inputs, and attributes dropped or set: those not named stay."""
        kept = NodeProto()
        kept.CopyFrom(self.node)
        if inputs is not None:
            kept.input[:] = inputs
        stay = [entry for entry in kept.attribute if entry.name not in {*drop, *attributes}]
        del kept.attribute[:]
        kept.attribute.extend([*stay, *(helper.make_attribute(name, value) for name, value in attributes.items())])
        self.nodes.append(kept)

    def _new_name(self) -> str:
        number = len(self.nodes) + len(self.constants)
        return f"{self.node.output[0]}/{self.node.op_type}-{self.opset}/{number}"
