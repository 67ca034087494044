"""What goes back by ONNX's own schemas, without a rewrite."""

import numpy as np
import onnx
import pytest
import zoo
from onnx import ModelProto, TensorProto, helper, parser

from converters.errors import OpsetTooNewError
from converters.lowering import lower, opset_of
from converters.reference import OnnxReference


def network(opset: int, text: str) -> ModelProto:
    return parser.parse_model(f'<ir_version: 8, opset_import: ["": {opset}]> g {text}')


def test_newer_element_types_alone_change_nothing() -> None:
    made = network(18, "(float[1,4] x) => (float[1,4] y) { a = Relu(x) b = Add(a, x) y = Identity(b) }")
    nodes = [node.SerializeToString() for node in made.graph.node]
    lower(made, 13)
    assert opset_of(made) == 13
    assert [node.SerializeToString() for node in made.graph.node] == nodes


def test_a_default_that_is_new_is_dropped() -> None:
    made = network(
        19,
        """(float[1,4] x) => (int32[1,4] y, int64[2] s) {
        y = Cast<to = 6, saturate = 1>(x) s = Shape<start = 0>(x) }""",
    )
    lower(made, 13)
    assert [[attribute.name for attribute in node.attribute] for node in made.graph.node] == [["to"], []]


def test_batch_normalisation_as_it_runs_in_inference() -> None:
    made = network(
        15,
        """(float[1,2,4] x) => (float[1,2,4] y) <float[2] s = {1, 2}, float[2] m = {0, 1}> {
        y = BatchNormalization<training_mode = 0>(x, s, m, m, s) }""",
    )
    x = np.random.default_rng(0).random((1, 2, 4), dtype=np.float32)
    (expected,) = OnnxReference(made.SerializeToString())([x])
    lower(made, 13)
    (got,) = OnnxReference(made.SerializeToString())([x])
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("opset", "text", "operator", "needs", "reason"),
    [
        (15, "(float[2,4] x) => (int64[1] y) { y = Shape<start=1>(x) }", "Shape", 15, "start=1"),
        (14, "(float[2,2] x) => (float[2,2] y) { y = Trilu(x) }", "Trilu", 14, "the operator is new"),
        (18, "(int32[2] x) => (int32[2] y) { y = BitwiseNot(x) }", "BitwiseNot", 18, "the operator is new"),
        (18, "(int32[2] x) => (int32[2] y) { y = Relu(x) }", "Relu", 14, r"its input 'x' is a tensor\(int32\)"),
        (
            15,
            """(float[1,2,4] x) => (float[1,2,4] y, float[2] a, float[2] b) <float[2] s = {1, 2}> {
            y, a, b = BatchNormalization<training_mode = 1>(x, s, s, s, s) }""",
            "BatchNormalization",
            15,
            "training_mode=1",
        ),
    ],
)  # fmt: skip
def test_what_is_new_is_refused_by_operator_and_node(
    opset: int, text: str, operator: str, needs: int, reason: str
) -> None:
    made = network(opset, text)
    made.graph.node[0].name = "culprit"
    with pytest.raises(OpsetTooNewError, match=reason) as caught:
        lower(made, 13)
    assert (caught.value.operator, caught.value.node, caught.value.opset) == (operator, "culprit", needs)
    assert caught.value.message.startswith(
        f"the operator {operator} (node 'culprit') needs opset {needs}, the board's parser reads up to 13"
    )
    assert caught.value.hint == "export the model for opset 13, or replace this part of it"


def test_an_input_that_is_new_is_refused() -> None:
    made = network(20, "(float[1,4,1] x, int64 w) => (float[1,4,2] y) { y = DFT(x, , w) }")
    with pytest.raises(OpsetTooNewError, match=r"DFT needs opset 20, .* up to 17: its input 'w'"):
        lower(made, 17)


def test_branches_are_lowered_with_their_own_constants() -> None:
    half = zoo.graph("half", [helper.make_node("Gelu", ["x"], ["a"])], [zoo.tensor("a", (1, 4))])
    full = zoo.graph("full", [helper.make_node("Mish", ["x"], ["b"])], [zoo.tensor("b", (1, 4))])
    node = helper.make_node("If", ["flag"], ["y"], then_branch=half, else_branch=full)
    inputs = [zoo.tensor("flag", (), TensorProto.BOOL), zoo.tensor("x", (1, 4))]
    made = zoo.model([node], inputs, [zoo.tensor("y", (1, 4))], opset=20)
    x = np.array([[-2, -0.5, 0.5, 2]], np.float32)
    expected = [OnnxReference(made.SerializeToString())([np.array(flag), x]) for flag in (True, False)]
    lower(made, 13)
    onnx.checker.check_model(made)
    assert not made.graph.initializer
    got = [OnnxReference(made.SerializeToString())([np.array(flag), x]) for flag in (True, False)]
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_operators_of_others_are_left_alone() -> None:
    made = zoo.model(
        [helper.make_node("Gelu", ["x"], ["y"], domain="com.acme")],
        [zoo.tensor("x", (1,))],
        [zoo.tensor("y", (1,))],
        domains={"com.acme": 3},
        opset=20,
    )
    lower(made, 13)
    assert [(entry.domain, entry.version) for entry in made.opset_import] == [("", 13), ("com.acme", 3)]
    assert [(node.domain, node.op_type) for node in made.graph.node] == [("com.acme", "Gelu")]


def test_new_values_are_named_after_the_node_they_come_from() -> None:
    made = network(20, "(float[1,4] x) => (float[1,4] y) { h = Gelu(x) y = Gelu(h) }")
    made.graph.node[0].name = "first"
    lower(made, 13)
    assert [node.name for node in made.graph.node if node.output[0] == "h"] == ["first"]
    between = [node.output[0] for node in made.graph.node if node.output[0] not in ("h", "y")]
    assert all(name.startswith(("h/Gelu-20/", "y/Gelu-20/")) for name in between)
    names = [node.output[0] for node in made.graph.node] + [tensor.name for tensor in made.graph.initializer]
    assert len(set(names)) == len(names)


def test_the_same_model_gives_the_same_bytes() -> None:
    text = "(float[1,4] x) => (float[1,4] y) { h = Gelu(x) y = Mish(h) }"
    first, second = network(20, text), network(20, text)
    lower(first, 13)
    lower(second, 13)
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)


def test_the_opset_of_a_model() -> None:
    made = zoo.identity()
    assert opset_of(made) == zoo.OPSET
    made.opset_import[0].domain = "ai.onnx"
    assert opset_of(made) == zoo.OPSET
