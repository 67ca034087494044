"""An ONNX graph as lowering reads it: nodes whose constants are arrays and whose shapes are known."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper

from converters.errors import DynamicShapeError, NotInTfliteError, UnsupportedTypeError
from converters.facts import facts_of
from converters.proto import real_inputs
from converters.signature import Shape


@dataclass(eq=False)
class Node:
    """A node of the main graph. Of inputs left out the name is ""."""

    operator: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]

    @property
    def label(self) -> str:
        """What a user finds it by."""
        return self.name or self.output

    @property
    def output(self) -> str:
        return self.outputs[0]

    def input(self, index: int) -> str:
        """The name of an input, "" where it is left out."""
        return self.inputs[index] if index < len(self.inputs) else ""

    def get(self, name: str, default: Any) -> Any:
        """An attribute's value (texts as str), or the operator's default, which `default` repeats."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def refuse(self, reason: str, hint: str) -> NotInTfliteError:
        """The error that names this node."""
        return NotInTfliteError(self.operator, self.name or self.output, reason, hint)


@dataclass
class Network:
    """The nodes in the order in which they run, and by name the constants and the shapes of all values."""

    nodes: list[Node]
    inputs: list[str]
    outputs: list[str]
    constants: dict[str, NDArray[Any]]
    shapes: dict[str, Shape]
    _readers: dict[str, list[Node]] = field(default_factory=dict)

    def index(self) -> None:
        """To be called after nodes have changed."""
        self._readers = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                self._readers.setdefault(name, []).append(node)

    def readers(self, name: str) -> Sequence[Node]:
        """The nodes that read a value."""
        return self._readers.get(name, ())

    def only_reader(self, name: str) -> Node | None:
        """The one node that reads a value which nobody else sees; None where there is none, or more."""
        readers = self.readers(name)
        alone = len(readers) == 1 and readers[0].inputs.count(name) == 1 and name not in self.outputs
        return readers[0] if alone else None

    def shape(self, name: str) -> Shape:
        """DynamicShapeError where it is not known."""
        if name not in self.shapes:
            raise DynamicShapeError(
                f"the shape of the tensor {name!r} is not known before the model runs, TFLite on the Edge TPU needs it",
                "export the model with static shapes, or give the shapes of its inputs",
            )
        return self.shapes[name]


def network_of(model: ModelProto) -> Network:
    """The main graph of a float model whose inputs have static shapes.

    Raises NotInTfliteError for operators of other domains, DynamicShapeError or UnsupportedTypeError.
    """
    facts = facts_of(model)
    shapes = {name: shape for name in facts.types if (shape := facts.shape(name)) is not None}
    nodes = [_node(node) for node in model.graph.node if node.op_type != "Constant" or node.domain]
    inputs = [value.name for value in real_inputs(model.graph)]
    outputs = [value.name for value in model.graph.output]
    for name in (*inputs, *outputs):
        if facts.element(name) != TensorProto.FLOAT:
            raise UnsupportedTypeError(
                f"{name!r} is {TensorProto.DataType.Name(facts.element(name) or 0).lower()}, "
                "and an int8 file stands for float tensors alone",
                "export the model in float32, and leave integers to what runs before and after it",
            )
    constants = {name: _floats(value) for name in facts.constants if (value := facts.constant(name)) is not None}
    network = Network(nodes, inputs, outputs, constants, shapes)
    network.index()
    return network


def _node(node: NodeProto) -> Node:
    operator = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
    attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    return Node(operator, node.name, list(node.input), list(node.output), attributes)


def _floats(value: NDArray[Any]) -> NDArray[Any]:
    return value.astype(np.float32) if value.dtype.kind == "f" else value
