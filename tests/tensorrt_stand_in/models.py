"""Models beyond zoo.py's: quantised ones, and one operator after the other."""

from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper
from zoo import model, tensor, weights


def quantised(zero_point: int = 0) -> ModelProto:
    """image [1, 3, 8, 8] -> quantised and back -> 3 x 3 convolution; symmetric unless `zero_point` is not 0."""
    scale = numpy_helper.from_array(np.float32(0.05), "scale")
    zero = numpy_helper.from_array(np.int8(zero_point), "zero")
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "scale", "zero"], ["whole"], name="quantise"),
        helper.make_node("DequantizeLinear", ["whole", "scale", "zero"], ["again"], name="dequantise"),
        helper.make_node("Conv", ["again", "kernel"], ["map"], name="conv", pads=[1, 1, 1, 1]),
    ]
    dims = (1, 3, 8, 8)
    return model(
        nodes, [tensor("image", dims)], [tensor("map", (1, 4, 8, 8))], [scale, zero, weights("kernel", 4, 3, 3, 3)]
    )


def chain(*operators: str) -> ModelProto:
    """x [1, 4] through operators of one input and one output, each a node named as its place."""
    names = ["x", *(f"t{place}" for place in range(1, len(operators))), "y"]
    nodes = [
        helper.make_node(operator, [names[place]], [names[place + 1]], name=f"node{place}")
        for place, operator in enumerate(operators)
    ]
    return model(nodes, [tensor("x", (1, 4))], [tensor("y", (1, 4))], opset=20)


def typed(element: int, dims: Any = (1, 4)) -> ModelProto:
    """x -> y = x, of one element type."""
    node = helper.make_node("Identity", ["x"], ["y"], name="same")
    return model([node], [tensor("x", dims, element)], [tensor("y", dims, element)])


def cast_to_int64() -> ModelProto:
    """x, int64 [1, 4], plus a constant int64."""
    one = numpy_helper.from_array(np.ones((1, 4), np.int64), "one")
    node = helper.make_node("Add", ["x", "one"], ["y"], name="add")
    kinds = [tensor(name, (1, 4), TensorProto.INT64) for name in ("x", "y")]
    return model([node], kinds[:1], kinds[1:], [one])


def lacking_inside() -> ModelProto:
    """An If whose branches use an operator that no parser knows."""
    branch = helper.make_graph(
        [helper.make_node("Frobnicate", ["x"], ["inside"], name="odd")], "branch", [], [tensor("inside", (1, 4))]
    )
    node = helper.make_node("If", ["flag"], ["y"], name="choice", then_branch=branch, else_branch=branch)
    return model([node], [tensor("flag", (), TensorProto.BOOL), tensor("x", (1, 4))], [tensor("y", (1, 4))])
