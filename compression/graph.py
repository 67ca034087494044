"""What stands in an ONNX graph and its subgraphs: constants, who reads what, names."""

from collections import ChainMap, Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper
from onnx.inliner import inline_local_functions

from compression.errors import ExternalWeightsError

SAME_ELEMENTS = frozenset(
    {"Cast", "DequantizeLinear", "Identity", "QuantizeLinear", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
)
"""Operators whose output has the elements of input 0, in another form: a kernel stays the same kernel."""


@dataclass(frozen=True, eq=False)  # two constants of equal value are two
class Constant:
    """`element` is ONNX's type of its elements; `tensor` is None of a sparse one."""

    name: str
    elements: int
    element: int
    tensor: TensorProto | None

    def array(self) -> NDArray[Any]:
        """Its values. ExternalWeightsError."""
        if self.tensor is None:
            raise ValueError(f"{self.name!r} is sparse")
        if self.tensor.data_location == TensorProto.EXTERNAL:
            raise ExternalWeightsError(
                f"the weights {self.name!r} are in another file, {_location(self.tensor)!r}",
                "load the model from its folder: onnx.load(path) brings them along",
            )
        return numpy_helper.to_array(self.tensor)


@dataclass(frozen=True)
class View:
    """A constant under another name, after `steps`: the operators that changed its form."""

    constant: Constant
    steps: tuple[str, ...] = ()


Scope = ChainMap[str, View]


def inlined(model: ModelProto) -> ModelProto:
    """A copy without functions: what they do stands in the graph."""
    if model.functions:
        return inline_local_functions(model)
    copy = ModelProto()
    copy.CopyFrom(model)
    return copy


def scopes(graph: GraphProto, outer: Scope | None = None) -> Iterator[tuple[GraphProto, Scope]]:
    """The graph and each of its subgraphs, with the constants that a node there can name."""
    known: Scope = (ChainMap() if outer is None else outer).new_child(dict(_initializers(graph)))
    for node in graph.node:  # sorted topologically: a constant comes before its use
        operator = operator_of(node)
        if operator == "Constant":
            known.update(_constant(node))
        elif operator in SAME_ELEMENTS and node.input[0] in known:
            known[node.output[0]] = _changed(known[node.input[0]], node)
    yield graph, known
    for node in graph.node:
        for subgraph in subgraphs(node):
            yield from scopes(subgraph, known)


def graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """The graph and all its subgraphs."""
    yield graph
    for node in graph.node:
        for subgraph in subgraphs(node):
            yield from graphs(subgraph)


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """Those of one node: the branches of an If, the body of a Loop."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def operator_of(node: NodeProto) -> str:
    """The operator, empty where it is not one of ONNX's own."""
    return node.op_type if node.domain in ("", "ai.onnx") else ""


def attribute(node: NodeProto, name: str, default: Any) -> Any:
    """Its value, or `default` where the node does not have it."""
    return next((helper.get_attribute_value(each) for each in node.attribute if each.name == name), default)


def set_attribute(node: NodeProto, name: str, value: Any) -> None:
    """Set, or take away where `value` is None."""
    kept = [each for each in node.attribute if each.name != name]
    del node.attribute[:]
    node.attribute.extend(kept if value is None else [*kept, helper.make_attribute(name, value)])


def readers(model: ModelProto) -> Counter[str]:
    """How often each name is read, by nodes or as an output of a graph."""
    counts: Counter[str] = Counter()
    for graph in graphs(model.graph):
        counts.update(name for node in graph.node for name in node.input)
        counts.update(output.name for output in graph.output)
    return counts


def up_to(model: ModelProto, outputs: Sequence[str]) -> ModelProto:
    """The part of the model that computes `outputs`, and has these as its own."""
    needed, nodes = set(outputs), []
    for node in reversed(model.graph.node):
        if not needed.isdisjoint(node.output):
            nodes.append(node)
            needed.update(name for each in _nodes_within(node) for name in each.input)
    part = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    part.graph.name = model.graph.name
    part.graph.node.extend(reversed(nodes))
    part.graph.input.extend(model.graph.input)
    part.graph.output.extend(ValueInfoProto(name=name) for name in outputs)
    part.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in needed)
    part.graph.sparse_initializer.extend(model.graph.sparse_initializer)
    return part


def _nodes_within(node: NodeProto) -> Iterator[NodeProto]:
    yield node
    for graph in subgraphs(node):
        for each in graph.node:
            yield from _nodes_within(each)


def opset_of(model: ModelProto) -> int:
    """Version of ONNX's own operators."""
    return max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=1)


class Names:
    """The names of nodes and values that a model has already."""

    def __init__(self, model: ModelProto) -> None:
        self._taken: set[str] = set()
        for graph in graphs(model.graph):
            self._taken.update(tensor.name for tensor in graph.initializer)
            self._taken.update(value.name for value in (*graph.input, *graph.output, *graph.value_info))
            for node in graph.node:
                self._taken.update((node.name, *node.input, *node.output))

    def fresh(self, wanted: str) -> str:
        """`wanted`, or with a number where something is called so."""
        name, number = wanted, 2
        while name in self._taken:
            name, number = f"{wanted}.{number}", number + 1
        self._taken.add(name)
        return name


def add_initializer(model: ModelProto, name: str, values: NDArray[Any]) -> None:
    """Up to IR version 3 every initializer is listed as an input as well.

    Source: https://github.com/onnx/onnx/blob/main/docs/IR.md#graphs
    """
    tensor = numpy_helper.from_array(np.ascontiguousarray(values), name)
    model.graph.initializer.append(tensor)
    if model.ir_version < 4:
        model.graph.input.append(helper.make_tensor_value_info(name, tensor.data_type, tensor.dims))


def remove_unread(model: ModelProto, gone: Iterable[str]) -> None:
    """Take away those values that nothing reads any more; of constants also what only handed them on."""
    names = set(gone)
    for _, known in scopes(model.graph):
        origins = {known[name].constant for name in names & known.keys()}
        names |= {name for name, view in known.items() if view.constant in origins}
    unread = names - set(readers(model))
    while unread:
        for graph in graphs(model.graph):
            _remove(graph, unread)
        names -= unread
        unread = names - set(readers(model))


def _remove(graph: GraphProto, names: set[str]) -> None:
    # One by one from the end: a new list would copy the weights that stay.
    for index in reversed(range(len(graph.node))):
        if graph.node[index].output and names.issuperset(graph.node[index].output):
            del graph.node[index]
    for field in (graph.initializer, graph.input, graph.value_info):
        for index in reversed(range(len(field))):
            if field[index].name in names:
                del field[index]


def _initializers(graph: GraphProto) -> Iterator[tuple[str, View]]:
    for tensor in graph.initializer:
        yield tensor.name, View(Constant(tensor.name, prod(tensor.dims), tensor.data_type, tensor))
    for sparse in graph.sparse_initializer:
        values = sparse.values
        yield values.name, View(Constant(values.name, prod(sparse.dims), values.data_type, None))


def _constant(node: NodeProto) -> Iterator[tuple[str, View]]:
    """A Constant node's tensor; its scalar and list forms are no kernels."""
    for each in node.attribute:
        if each.name == "value":
            yield node.output[0], View(Constant(node.output[0], prod(each.t.dims), each.t.data_type, each.t))


def _changed(view: View, node: NodeProto) -> View:
    order = attribute(node, "perm", None)
    if operator_of(node) == "Identity" or (order is not None and order == sorted(order)):
        return view
    return View(view.constant, (*view.steps, node.op_type))


def _location(tensor: TensorProto) -> str:
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
