import numpy as np
import zoo
from onnx import ModelProto, TensorProto, helper, numpy_helper, parser

from converters.facts import facts_of, infer


def network(text: str, opset: int = 18) -> ModelProto:
    return parser.parse_model(f'<ir_version: 8, opset_import: ["": {opset}]> g {text}')


def test_shapes_and_element_types_of_values_in_between() -> None:
    facts = facts_of(network("(float[1,3,8,8] x) => (float16[1,3,64] y) { a = Flatten<axis=2>(x) y = Cast<to=10>(a) }"))
    assert (facts.shape("a"), facts.element("a")) == ((3, 64), TensorProto.FLOAT)
    assert facts.element("y") == TensorProto.FLOAT16


def test_shapes_that_the_model_computes() -> None:
    facts = facts_of(
        network(
            """(float[1,3,8,8] x) => (float[1,3,4,16] y) {
            s = Shape(x) half = Constant<value = int64[4] {1,1,2,1}>() twice = Constant<value = int64[4] {1,1,1,2}>()
            t = Div(s, half) u = Mul(t, twice) y = Reshape(x, u) z = Relu(y) }"""
        )
    )
    assert facts.shape("z") == (1, 3, 4, 16)


def test_what_is_not_known() -> None:
    facts = facts_of(network("(float[1,n] x) => (float[m] y) { i = NonZero(x) y = Mystery(i) }"))
    assert (facts.shape("x"), facts.shape("y"), facts.shape("nowhere")) == (None, None, None)
    assert facts.element("nowhere") is None
    assert facts.constant("x") is None


def test_every_form_of_constant() -> None:
    facts = facts_of(
        network(
            """(float[2] x) => (float[2] y) <float[2] w = {1, 2}> {
            t = Constant<value = float[1] {3}>() f = Constant<value_float = 0.5>() fs = Constant<value_floats = [0.5]>()
            i = Constant<value_int = 7>() is = Constant<value_ints = [7, 8]>() y = Mul(x, w) }"""
        )
    )
    found = {name: facts.constant(name) for name in ("w", "t", "f", "fs", "i", "is")}
    for name, expected in {
        "w": np.array([1, 2], np.float32),
        "t": np.array([3], np.float32),
        "f": np.array(0.5, np.float32),
        "fs": np.array([0.5], np.float32),
        "i": np.array(7),
        "is": np.array([7, 8]),
    }.items():
        np.testing.assert_array_equal(found[name], expected, strict=True)
        assert facts.shape(name) == expected.shape


def test_branches_are_known_too() -> None:
    branch = zoo.graph(
        "branch",
        [helper.make_node("Flatten", ["x"], ["inner"]), helper.make_node("Relu", ["inner"], ["a"])],
        [zoo.tensor("a", (1, 12))],
        numpy_helper.from_array(np.array([5], np.int32), "axis"),
    )
    node = helper.make_node("If", ["flag"], ["y"], then_branch=branch, else_branch=branch)
    inputs = [zoo.tensor("flag", (), TensorProto.BOOL), zoo.tensor("x", (1, 3, 4))]
    facts = facts_of(zoo.model([node], inputs, [zoo.tensor("y", (1, 12))]))
    assert facts.shape("inner") == (1, 12)
    assert facts.constant("axis") == [5]


def test_weights_are_left_out_of_the_inference() -> None:
    made = zoo.autoencoder()
    light = infer(made)
    assert light.ByteSize() < 2000 < made.ByteSize()
    assert not made.graph.value_info
    assert "image" in {value.name for value in light.graph.input}
