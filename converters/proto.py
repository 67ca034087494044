"""Walks over an ONNX model's protobuf messages, and the bytes they are written as."""

from collections.abc import Iterable, Iterator

from google.protobuf.descriptor import FieldDescriptor  # type: ignore[import-untyped]  # it ships no types
from google.protobuf.message import Message  # type: ignore[import-untyped]  # it ships no types
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto


def walk_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """Each node, followed by the nodes of its subgraphs (the branches of If, the bodies of Loop and Scan)."""
    for node in nodes:
        yield node
        for graph in attribute_graphs(node):
            yield from walk_nodes(graph.node)


def walk_graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """The graph and all subgraphs of its nodes."""
    yield graph
    for node in walk_nodes(graph.node):
        yield from attribute_graphs(node)


def attribute_graphs(node: NodeProto) -> Iterator[GraphProto]:
    """The subgraphs one node has itself."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def walk_tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Every constant of the model: initialisers, also sparse ones, and attributes, in subgraphs and functions too."""
    nodes = [model.graph.node, *(function.node for function in model.functions)]
    for graph in _all_graphs(model):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for node in (node for group in nodes for node in walk_nodes(group)):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)


def _all_graphs(model: ModelProto) -> Iterator[GraphProto]:
    yield from walk_graphs(model.graph)
    for function in model.functions:
        for node in walk_nodes(function.node):
            yield from attribute_graphs(node)


def initialiser_names(graph: GraphProto) -> set[str]:
    """Names of the graph's constants."""
    dense = {tensor.name for tensor in graph.initializer}
    return dense | {sparse.values.name for sparse in graph.sparse_initializer}


def real_inputs(graph: GraphProto) -> list[ValueInfoProto]:
    """The inputs a caller has to give: up to IR version 3 every initialiser is listed as an input as well.

    Source: https://github.com/onnx/onnx/blob/main/docs/IR.md#graphs
    """
    constants = initialiser_names(graph)
    return [value for value in graph.input if value.name not in constants]


def broken_texts(message: Message) -> Iterator[bytes]:
    """Texts anywhere in a message that are not UTF-8: protobuf hands them out as bytes, to nobody's expectation."""
    for field, value in message.ListFields():
        values = (value,) if isinstance(value, str | bytes | Message) else value
        if field.type == FieldDescriptor.TYPE_STRING:
            yield from (text for text in values if isinstance(text, bytes))
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for part in values:
                yield from broken_texts(part)


def serialise(model: ModelProto) -> bytes:
    """The model as bytes: the same model gives the same bytes."""
    return bytes(model.SerializeToString(deterministic=True))
