"""How many weights a model has, as a compression rate counts them."""

from collections import ChainMap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod

from onnx import GraphProto, ModelProto, NodeProto
from onnx.inliner import inline_local_functions

from converters.proto import attribute_graphs

_KERNEL_INPUTS = {"Conv": (1,), "ConvTranspose": (1,), "Gemm": (0, 1), "MatMul": (0, 1)}
"""Where each operator may take its kernel: a bias (input 2) is none. Of a product both sides may be constant."""

SAME_ELEMENTS = frozenset(
    {"Cast", "DequantizeLinear", "Identity", "QuantizeLinear", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
)
"""Operators whose output has the elements of input 0, in another form: a kernel stays the same kernel."""


@dataclass(eq=False)  # two kernels of one size are two
class _Constant:
    elements: int


_Scope = ChainMap[str, _Constant]


def count_weights(model: ModelProto) -> int:
    """Elements of the kernels of Conv, ConvTranspose, Gemm and MatMul of the whole model, subgraphs included.

    Each constant counts once, however many nodes share it; biases, normalisation and all other constants do not count.
    A product of two computed tensors (attention) has no kernel.
    """
    if model.functions:
        model = inline_local_functions(model)
    return sum(kernel.elements for kernel in set(_kernels(model.graph, ChainMap())))


def _kernels(graph: GraphProto, outer: _Scope) -> Iterator[_Constant]:
    constants = outer.new_child(dict(_initialisers(graph)))
    for node in graph.node:  # sorted topologically: a constant comes before its use
        operator = node.op_type if node.domain in ("", "ai.onnx") else ""
        if operator == "Constant":
            constants.update(_constant(node))
        elif operator in SAME_ELEMENTS and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]
        for index in _KERNEL_INPUTS.get(operator, ()):
            if node.input[index] in constants:
                yield constants[node.input[index]]
        for subgraph in attribute_graphs(node):
            yield from _kernels(subgraph, constants)


def _initialisers(graph: GraphProto) -> Iterator[tuple[str, _Constant]]:
    for tensor in graph.initializer:
        yield tensor.name, _Constant(prod(tensor.dims))
    for sparse in graph.sparse_initializer:
        yield sparse.values.name, _Constant(prod(sparse.dims))


def _constant(node: NodeProto) -> Iterable[tuple[str, _Constant]]:
    """A Constant node's tensor; its scalar and list forms are no kernels."""
    return [
        (node.output[0], _Constant(prod(attribute.t.dims))) for attribute in node.attribute if attribute.name == "value"
    ]
