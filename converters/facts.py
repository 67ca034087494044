"""What is known of a graph's values without running it: element types, shapes and constants."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, TypeProto, helper, numpy_helper, shape_inference

from converters.proto import walk_graphs

_LIGHT_ELEMENTS = 64
"""Constants up to this many elements take part in shape inference: axes, sizes and shapes have fewer."""


@dataclass(frozen=True)
class Facts:
    """Of the values of all graphs of a model, by name: ONNX lets no subgraph give a name a second meaning."""

    types: Mapping[str, TypeProto.Tensor]
    constants: Mapping[str, TensorProto]

    def element(self, name: str) -> int | None:
        """The element type (a TensorProto.DataType), or None where it is not known."""
        return self.types[name].elem_type or None if name in self.types else None

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The static shape, or None where a part of it is not known."""
        if name not in self.types or not self.types[name].HasField("shape"):
            return None
        dims = self.types[name].shape.dim
        return tuple(dim.dim_value for dim in dims) if all(dim.HasField("dim_value") for dim in dims) else None

    def constant(self, name: str) -> NDArray[Any] | None:
        """The value, or None where it is computed."""
        return numpy_helper.to_array(self.constants[name]) if name in self.constants else None


def infer(model: ModelProto) -> ModelProto:
    """The graph without its weights, with the types and shapes that ONNX's own inference finds in its value_info."""
    return shape_inference.infer_shapes(_without_weights(model), data_prop=True)


def facts_of(model: ModelProto) -> Facts:
    """What `infer` finds, and the model's constants."""
    inferred = infer(model)
    constants: dict[str, TensorProto] = {}
    for graph in walk_graphs(model.graph):
        constants.update(constants_of(graph.node, graph.initializer))
    types = {name: _type_of(tensor) for name, tensor in constants.items()}
    for graph in walk_graphs(inferred.graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            if value.type.HasField("tensor_type"):
                types[value.name] = value.type.tensor_type
    return Facts(types, constants)


def _without_weights(model: ModelProto) -> ModelProto:
    """The same graph with its larger constants as inputs of their type and shape."""
    graph = model.graph
    light = GraphProto(name=graph.name, node=graph.node, input=graph.input, output=graph.output)
    declared = {value.name for value in graph.input}
    for tensor in graph.initializer:
        if prod(tensor.dims) <= _LIGHT_ELEMENTS:
            light.initializer.append(tensor)
        elif tensor.name not in declared:
            light.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return ModelProto(
        ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions, graph=light
    )


def constants_of(nodes: Iterable[NodeProto], initialisers: Iterable[TensorProto] = ()) -> dict[str, TensorProto]:
    """Initialisers and the outputs of Constant nodes, by name; strings and sparse tensors are left out."""
    found = {tensor.name: tensor for tensor in initialisers}
    for node in nodes:
        if node.op_type == "Constant" and node.domain in ("", "ai.onnx"):
            for attribute in node.attribute:
                if attribute.name == "value":
                    found[node.output[0]] = attribute.t
                elif attribute.name in _CONSTANT_FORMS:
                    dtype = _CONSTANT_FORMS[attribute.name]
                    value = np.array(helper.get_attribute_value(attribute), dtype)
                    found[node.output[0]] = numpy_helper.from_array(value)
    return found


_CONSTANT_FORMS = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}
"""Attributes of Constant beside the tensor, and what they stand for: https://onnx.ai/onnx/operators/onnx__Constant.html"""


def _type_of(tensor: TensorProto) -> TypeProto.Tensor:
    return helper.make_tensor_type_proto(tensor.data_type, tensor.dims).tensor_type
