"""Every node of a model, with what is known of it before anything runs."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto
from onnx.helper import get_attribute_value

from converters.facts import Facts, facts_of
from converters.proto import attribute_graphs, serialise, walk_nodes

_STATIC = frozenset({"Constant", "Shape", "Size"})
"""Operators whose result is fixed whatever goes in, because the shapes are."""


@dataclass(frozen=True)
class Site:
    """One node, with what is known of its tensors.

    opset  of ONNX's own domain
    fixed  names of all tensors that are computed from constants and static shapes alone
    """

    node: NodeProto
    opset: int
    facts: Facts
    fixed: frozenset[str]

    @property
    def operator(self) -> str:
        return self.node.op_type

    @property
    def domain(self) -> str:
        """ "" for ONNX's own."""
        return "" if self.node.domain == "ai.onnx" else self.node.domain

    @property
    def name(self) -> str:
        return name_of(self.node)

    def has_input(self, index: int) -> bool:
        return index < len(self.node.input) and bool(self.node.input[index])

    def element(self, index: int) -> int | None:
        """The element type of an input, where it is known."""
        return self.facts.element(self.node.input[index]) if self.has_input(index) else None

    def made(self) -> int | None:
        """The element type of the first output, where it is known."""
        return self.facts.element(self.node.output[0]) if self.node.output else None

    def rank(self, index: int) -> int | None:
        """The number of dimensions of an input, where it is known."""
        known = self.facts.types.get(self.node.input[index]) if self.has_input(index) else None
        return len(known.shape.dim) if known is not None and known.HasField("shape") else None

    def values(self, index: int) -> NDArray[Any] | None:
        """The elements of an input that is a constant."""
        return self.facts.constant(self.node.input[index]) if self.has_input(index) else None

    def is_constant(self, index: int) -> bool:
        return self.node.input[index] in self.facts.constants

    def is_fixed(self, index: int) -> bool:
        return self.node.input[index] in self.fixed

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute's value, texts as str; `default` where the node has none of that name."""
        for attribute in self.node.attribute:
            if attribute.name == name:
                value = get_attribute_value(attribute)
                if attribute.type == AttributeProto.STRINGS:
                    return [text.decode() for text in value]
                return value.decode() if attribute.type == AttributeProto.STRING else value
        return default


def name_of(node: NodeProto) -> str:
    """The node's name, or for one without: node_of_<its first output>."""
    return node.name or f"node_of_{node.output[0] if node.output else ''}"


def serialise_named(model: ModelProto) -> bytes:
    """The model as bytes, in which every node has the name that `name_of` gives; the model itself stays as it is."""
    groups = (model.graph.node, *(function.node for function in model.functions))
    unnamed = [node for nodes in groups for node in walk_nodes(nodes) if not node.name]
    for node in unnamed:
        node.name = name_of(node)
    try:
        return serialise(model)
    finally:
        for node in unnamed:
            node.ClearField("name")


def sites(model: ModelProto) -> list[Site]:
    """Every node of the model in its order, a node of a subgraph after the node that has the subgraph.

    Those of local functions come last: of them nothing but the nodes themselves is known.
    """
    facts, opset = facts_of(model), opset_of(model)
    fixed = _fixed(model.graph, frozenset(facts.constants))
    inside = [node for function in model.functions for node in walk_nodes(function.node)]
    return [
        *(Site(node, opset, facts, fixed) for node in walk_nodes(model.graph.node)),
        *(Site(node, opset, Facts({}, {}), frozenset()) for node in inside),
    ]


def opset_of(model: ModelProto) -> int:
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def _fixed(graph: GraphProto, constants: frozenset[str]) -> frozenset[str]:
    fixed = set(constants)
    for node in walk_nodes(graph.node):
        computed = bool(node.input) and all(name in fixed for name in node.input if name)
        if node.op_type in _STATIC or (computed and not any(attribute_graphs(node))):  # a branch may read anything
            fixed.update(node.output)
    return frozenset(fixed)
