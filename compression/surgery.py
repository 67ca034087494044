"""A layer of an ONNX graph is replaced by its factors.

::

    Conv             x -> Conv 1x1, I to r_in -> Conv, r_in to r_out          -> Conv 1x1, r_out to O, + bias -> y
    ConvTranspose    x -> Conv 1x1, I to r_in -> ConvTranspose, r_in to r_out -> Conv 1x1, r_out to O, + bias -> y
    Gemm, MatMul     x -> Gemm, I to r, or MatMul                             -> Gemm, r to O, + bias, or MatMul -> y

Strides, padding, dilation and output padding stay on the core; every part has the layer's groups. Nodes, values and
kernels are called as the layer's, with ".first", ".core" and ".last".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, helper

from compression.graph import Names, add_initializer, attribute, opset_of, remove_unread, set_attribute
from compression.layers import Layer, Use
from compression.tucker import Factors, Floats, Kind, from_blocks

BIAS_OPTIONAL = 11
"""Opset from which on a Gemm needs no bias."""


@dataclass(frozen=True)
class Parts:
    """What the kernels that replace one are called in the file; None where there is no such factor."""

    first: str | None
    core: str
    last: str | None


def replace_layers(model: ModelProto, factors: Mapping[Layer, Factors]) -> dict[Layer, Parts]:
    """Put `factors` in the place of layers that `find_layers` found in this model, which is changed.

    Every use of a shared kernel takes the same parts.
    """
    names = Names(model)
    replaced = {}
    for layer, each in factors.items():
        replaced[layer] = _add_kernels(model, names, layer, each)
        for use in layer.uses:
            chain = _conv_chain if layer.form.kind in ("Conv", "ConvTranspose") else _product_chain
            nodes = chain(model, names, layer, use, replaced[layer])
            place = list(use.graph.node).index(use.node)
            del use.graph.node[place]
            for node in reversed(nodes):
                use.graph.node.insert(place, node)
    remove_unread(model, [layer.constant.name for layer in factors])
    return replaced


def _add_kernels(model: ModelProto, names: Names, layer: Layer, factors: Factors) -> Parts:
    kind, window = factors.kind, factors.window
    outer: Kind = "Conv" if window else kind  # a factor of a transposed convolution is none
    one = (1,) * len(window)
    first = None if factors.first is None else from_blocks(factors.first[:, np.newaxis], outer, one)
    last = None if factors.last is None else from_blocks(factors.last[:, np.newaxis], outer, one)
    core = from_blocks(factors.core, kind, window)

    def add(part: str, kernel: Floats) -> str:
        name = names.fresh(f"{layer.constant.name}.{part}")
        add_initializer(model, name, kernel.astype(layer.dtype, copy=False))
        return name

    return Parts(
        None if first is None else add("first", first), add("core", core), None if last is None else add("last", last)
    )


def _conv_chain(_model: ModelProto, names: Names, layer: Layer, use: Use, parts: Parts) -> list[NodeProto]:
    node, label = use.node, use.node.name or layer.name
    given, bias, nodes = node.input[0], list(node.input[2:]), []
    pointwise: dict[str, Any] = {"kernel_shape": [1] * (len(layer.shape) - 2), "group": layer.form.groups}
    if parts.first is not None:
        reduced = names.fresh(f"{node.output[0]}.first")
        nodes.append(
            _named(names, label, "first", helper.make_node("Conv", [given, parts.first], [reduced], **pointwise))
        )
        given = reduced
    core = NodeProto()
    core.CopyFrom(node)
    if layer.form.kind == "ConvTranspose" and attribute(node, "output_shape", None):
        set_attribute(core, "output_shape", attribute(node, "output_shape", None)[2 - len(layer.shape) :])
    nodes.append(_named(names, label, "core", core))
    if parts.last is None:
        _connect(core, [given, parts.core, *bias], node.output[0])
        return nodes
    hidden = names.fresh(f"{node.output[0]}.core")
    _connect(core, [given, parts.core], hidden)
    last = helper.make_node("Conv", [hidden, parts.last, *bias], [node.output[0]], **pointwise)
    return [*nodes, _named(names, label, "last", last)]


def _product_chain(model: ModelProto, names: Names, layer: Layer, use: Use, parts: Parts) -> list[NodeProto]:
    """The product with the core takes the computed side as it was, that with the last factor takes what it made."""
    if parts.last is None or parts.first is not None:
        raise ValueError(f"a product takes a core and a last factor, not {parts}")
    node, label, left = use.node, use.node.name or layer.name, use.index == 0
    hidden = names.fresh(f"{node.output[0]}.core")
    core, last = NodeProto(), NodeProto()
    for part, kernel, other, output in (
        (core, parts.core, node.input[1 if left else 0], hidden),
        (last, parts.last, hidden, node.output[0]),
    ):
        part.CopyFrom(node)
        _connect(part, [kernel, other] if left else [other, kernel], output)
    if node.op_type == "Gemm":
        set_attribute(core, "alpha", None)
        set_attribute(core, "beta", None)
        set_attribute(last, "transB" if left else "transA", None)
        last.input.extend(node.input[2:])
        if opset_of(model) < BIAS_OPTIONAL:
            core.input.append(_zero(model, names, layer))
    return [_named(names, label, "core", core), _named(names, label, "last", last)]


def _zero(model: ModelProto, names: Names, layer: Layer) -> str:
    name = names.fresh(f"{layer.constant.name}.core.bias")
    add_initializer(model, name, np.zeros(1, layer.dtype))
    return name


def _connect(node: NodeProto, inputs: list[str], output: str) -> None:
    del node.input[:]
    node.input.extend(inputs)
    node.output[0] = output


def _named(names: Names, label: str, part: str, node: NodeProto) -> NodeProto:
    node.name = names.fresh(f"{label}.{part}")
    return node
