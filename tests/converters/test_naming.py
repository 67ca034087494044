"""Whatever a library makes of a node, its parts say whose they are."""

from pathlib import Path

import pytest
import zoo
from onnx import ModelProto, helper, parser

from converters.draft import Draft
from converters.naming import Names
from converters.plan import Target
from converters.steps import lower_opset_onnx, simplify_onnx


def between(operator: str, opset: int, name: str = "act") -> ModelProto:
    nodes = [
        helper.make_node("Relu", ["x"], ["r"], name="first"),
        helper.make_node(operator, ["r"], ["m"], name=name),
        helper.make_node("Neg", ["m"], ["y"], name="last"),
    ]
    dims = (1, 3, 4, 5)
    return zoo.model(nodes, [zoo.tensor("x", dims)], [zoo.tensor("y", dims)], opset=opset)


def named(model: ModelProto) -> list[tuple[str, str]]:
    draft = Draft(Path("model.onnx"), {}, model, target=Target("tflite", "int8"))
    lower_opset_onnx.apply(draft)
    simplify_onnx.apply(draft)
    return [(node.op_type, node.name) for node in draft.model.graph.node]


@pytest.mark.parametrize(
    ("operator", "opset", "parts"),
    [
        ("HardSwish", 14, [("HardSigmoid", "act/HardSwish/0"), ("Mul", "act")]),  # ONNX Runtime writes it out
        ("Mish", 18, [("Softplus", "act/Mish/0"), ("Tanh", "act/Mish/1"), ("Mul", "act")]),
        # onnx's version converter
        ("Softmax", 12, [("Flatten", "act/Softmax/1"), ("Softmax", "act"), ("Reshape", "act/Softmax/2")]),
    ],
)
def test_parts_are_named_after_the_whole(operator: str, opset: int, parts: list[tuple[str, str]]) -> None:
    assert named(between(operator, opset)) == [("Relu", "first"), *parts, ("Neg", "last")]


def test_after_what_it_gives_where_it_has_no_name() -> None:
    assert named(between("HardSwish", 14, ""))[1:3] == [("HardSigmoid", "m/HardSwish/0"), ("Mul", "")]


def test_the_models_own_functions() -> None:
    made = parser.parse_model(
        """<ir_version: 8, opset_import: ["": 17, "local": 1]>
        g (float[1,4] x) => (float[1,4] y) { [top] y = local.twice(x) }
        <domain: "local", opset_import: ["": 17]> twice (a) => (b) { [inner] c = Add(a, a) b = Relu(c) }"""
    )
    assert named(made) == [("Add", "top/twice/0"), ("Relu", "top")]


def test_in_branches_and_what_nobody_reads() -> None:
    def made(*lines: str) -> ModelProto:
        branch = parser.parse_graph(f"inner () => (float[4] b) {{ {' '.join(lines)} }}")
        node = helper.make_node("If", ["f"], ["y"], name="choice", then_branch=branch, else_branch=branch)
        return zoo.model([node], [zoo.tensor("x", (4,)), zoo.tensor("f", (), 9)], [zoo.tensor("y", (4,))])

    after = made("[odd] i = Exp(x)", "[new] b = Log(i)", "[dead] d = Exp(i)")
    Names.of(made("[inside] b = Softplus(x)")).restore(after)
    branch = after.graph.node[0].attribute[0].g
    assert [node.name for node in branch.node] == ["inside/Softplus/0", "inside", "dead"]
