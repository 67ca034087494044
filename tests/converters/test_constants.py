import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper, parser

from converters.constants import beyond_float16, check_finite
from converters.errors import NotFiniteError


def network(text: str, opset: int = 17, **constants: np.ndarray) -> ModelProto:
    made = parser.parse_model(f'<ir_version: 8, opset_import: ["": {opset}, "local": 1]> g {text}')
    made.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    return made


NAN, INFINITE = (np.array([[value, 1], [2, 3]], np.float32) for value in (np.nan, -np.inf))
PRODUCT = "(float[1,2] x) => (float[1,2] y) { [product] y = MatMul(x, c) }"
ONES = np.ones(2, np.float32)


@pytest.mark.parametrize(
    "made",
    [
        network(PRODUCT, c=NAN),
        network(PRODUCT, c=INFINITE),
        network(PRODUCT, c=NAN.astype(np.float64)),
        network("(float[1,2] x) => (float[1,2] y) { d = Transpose(c) [product] y = MatMul(x, d) }", c=INFINITE),
        network("(float16[1,2] x) => (float16[1,2] y) { [product] y = MatMul(x, c) }", c=INFINITE.astype(np.float16)),
        network("(float[1,2] x) => (float[1,2] y) { [product] y = Gemm(x, c, b) }", c=np.eye(2), b=INFINITE),
        network("(float[2,2] x) => (float[2,2] y) { [product] y = Where(b, x, c) }", c=NAN),
    ],
)
def test_what_no_board_can_compute_with_is_named(made: ModelProto) -> None:
    with pytest.raises(NotFiniteError, match=r"\(node 'product'\), 1 of 4 is not finite$") as caught:
        check_finite(made)
    assert "train the model again" in caught.value.hint


def test_in_a_branch_a_constant_node_and_a_function() -> None:
    inner = parser.parse_graph("inner () => (float[2,2] z) { [product] z = Add(x, c) }")
    made = network("(float[2,2] x, bool f) => (float[2,2] y) { }", c=NAN)
    made.graph.node.append(helper.make_node("If", ["f"], ["y"], then_branch=inner, else_branch=inner))
    with pytest.raises(NotFiniteError, match=r"Add \(node 'product'\)"):
        check_finite(made)
    local = """(float[2,2] x) => (float[2,2] y) { y = local.add(x) }
        <domain: "local", opset_import: ["": 17]> add (a) => (b) { c = Constant<value_float = 1.0>() b = Add(a, c) }"""
    made = network(local)
    check_finite(made)
    made.functions[0].node[0].attribute[0].f = float("nan")
    with pytest.raises(NotFiniteError, match=r"Add \(node 'b'\), 1 of 1 is"):
        check_finite(made)


@pytest.mark.parametrize(
    "made",
    [
        network(PRODUCT, c=np.eye(2, dtype=np.float32)),
        network("(float[2,2] x) => (float[2,2] y) { y = Add(x, c) }", c=INFINITE),  # an attention's mask
        network("(float[2,2] x) => (float[2,2] y) { y = Clip(x, c) }", c=np.float32(-np.inf)),
        network("(float[2,2] x) => (float[2,2] y) { y = Where(b, x, c) }", c=INFINITE),
        network("(float[2,2] x) => (float[2,2] y) { y = Relu(x) }", c=NAN),  # nobody reads it
        network("(float[2,2] x) => (float[2,2] y) { y = local.MatMul(x, c) }", c=INFINITE),
    ],
)
def test_what_is_meant(made: ModelProto) -> None:
    check_finite(made)


def test_bfloat16() -> None:
    made = network("(bfloat16[1,2] x) => (bfloat16[1,2] y) { y = MatMul(x, c) }")
    made.graph.initializer.append(helper.make_tensor("c", TensorProto.BFLOAT16, [2, 1], [1.0, float("nan")]))
    with pytest.raises(NotFiniteError, match="1 of 2 is not finite"):
        check_finite(made)


def test_what_float16_does_not_hold() -> None:
    made = network(
        "(float[2] x) => (float[2] y) { y = Sum(x, huge, fine, mask) }",
        huge=-1e6 * ONES,
        fine=ONES,
        mask=-np.inf * ONES,
    )
    assert beyond_float16(made) == ["'huge'"]
