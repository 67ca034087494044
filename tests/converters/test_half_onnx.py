from pathlib import Path

import numpy as np
import onnx
import pytest
import zoo
from onnx import ModelProto, TensorProto, numpy_helper, parser

from converters.compare import compare
from converters.draft import Draft
from converters.reference import OnnxReference
from converters.steps import half_onnx


def halved(model: ModelProto) -> Draft:
    draft = Draft(Path("model.onnx"), {}, model)
    half_onnx.apply(draft)
    onnx.checker.check_model(draft.model)
    return draft


def network(text: str, opset: int = 17) -> ModelProto:
    return parser.parse_model(f'<ir_version: 8, opset_import: ["": {opset}]> g {text}')


def elements(model: ModelProto) -> dict[str, int]:
    """Element types of all values, as ONNX infers them."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    return {value.name: value.type.tensor_type.elem_type for value in graph.value_info}


def test_inside_it_is_half_and_outside_float32() -> None:
    draft = halved(zoo.autoencoder(metadata={"boardfit": "{}"}))
    graph = draft.model.graph
    assert [node.op_type for node in graph.node] == ["Cast", "Conv", "Relu", "ConvTranspose", "Sigmoid", "Cast"]
    assert {tensor.data_type for tensor in graph.initializer} == {TensorProto.FLOAT16}
    assert set(elements(draft.model).values()) == {TensorProto.FLOAT16}
    assert {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)} == {TensorProto.FLOAT}
    assert [value.name for value in (*graph.input, *graph.output)] == [
        value.name for value in (*zoo.autoencoder().graph.input, *zoo.autoencoder().graph.output)
    ]
    assert [entry.key for entry in draft.model.metadata_props] == ["boardfit"]
    assert not draft.notices


def test_the_outputs_stay_close() -> None:
    image = np.random.default_rng(0).random((1, 3, 16, 16), dtype=np.float32)
    expected = OnnxReference(zoo.autoencoder().SerializeToString())([image])
    got = OnnxReference(halved(zoo.autoencoder()).model.SerializeToString())([image])
    assert 50 < compare([expected], [got]).sqnr_db < 120


def test_constants_beyond_the_range_are_cut_and_named() -> None:
    made = network(
        """(float[2] x) => (float[2] y) <float[2] huge = {1e6, -2}, float[1] fine = {3}> {
        a = Mul(x, huge) y = Add(a, fine) }"""
    )
    draft = halved(made)
    assert draft.notices == ["constants beyond float16's range are cut to 65504: 'huge'"]
    (got,) = OnnxReference(draft.model.SerializeToString())([np.array([0.5, 0.5], np.float32)])
    np.testing.assert_array_equal(got, [0.5 * 65504 + 3, 2])


def test_what_is_infinite_stays_infinite() -> None:
    made = network("(float[2] x) => (float[2] y) { c = Constant<value = float[2] {1, 2}>() y = Add(x, c) }")
    made.graph.node[0].attribute[0].t.CopyFrom(numpy_helper.from_array(np.array([-np.inf, 1], np.float32)))
    draft = halved(made)
    assert not draft.notices
    (got,) = OnnxReference(draft.model.SerializeToString())([np.zeros(2, np.float32)])
    np.testing.assert_array_equal(got, [-np.inf, 1])


def test_an_output_that_is_used_inside_too() -> None:
    made = network("(float[1,4] x) => (float[1,4] y, float[1,4] z) { y = Relu(x) z = Add(y, x) }")
    got = OnnxReference(halved(made).model.SerializeToString())([np.array([[-1, 0, 1, 2]], np.float32)])
    np.testing.assert_array_equal(got, [[[0, 0, 1, 2]], [[-1, 0, 2, 4]]])
    assert {output.dtype for output in got} == {np.dtype(np.float32)}


def test_integers_are_left_alone() -> None:
    made = network(
        """(float[2,3] x, int64[2,3] i) => (int64[2] y, int64[2,3] j) {
        y = ArgMax<axis=1, keepdims=0>(x) j = Identity(i) }"""
    )
    draft = halved(made)
    assert [value.type.tensor_type.elem_type for value in draft.model.graph.output] == [TensorProto.INT64] * 2
    x = np.array([[0, 2, 1], [3, 1, 2]], np.float32)
    got = OnnxReference(draft.model.SerializeToString())([x, np.arange(6).reshape(2, 3)])
    np.testing.assert_array_equal(got[0], [1, 0])


def test_scales_of_resize_stay_float32() -> None:
    made = network(
        """(float[1,1,2,2] x) => (float[1,1,4,4] y) <float[4] s = {1,1,2,2}> {
        a = Relu(x) y = Resize<mode="linear">(a, , s) }"""
    )
    draft = halved(made)
    resize = next(node for node in draft.model.graph.node if node.op_type == "Resize")
    kinds = {tensor.name: tensor.data_type for tensor in draft.model.graph.initializer}
    assert kinds[resize.input[2]] == TensorProto.FLOAT
    OnnxReference(draft.model.SerializeToString())([np.ones((1, 1, 2, 2), np.float32)])


@pytest.mark.parametrize("opset", [13, 17, 20])
def test_a_quantised_model_keeps_float32_scales(opset: int) -> None:
    made = network(
        """(float[1,2] x) => (float[1,2] y) <float s = {0.01}, int8 z = {0}> {
        a = Relu(x) q = QuantizeLinear(a, s, z) d = DequantizeLinear(q, s, z) y = Add(d, a) }""",
        opset,
    )
    draft = halved(made)
    assert {tensor.name: tensor.data_type for tensor in draft.model.graph.initializer}["s"] == TensorProto.FLOAT
    (got,) = OnnxReference(draft.model.SerializeToString())([np.array([[0.5, 1]], np.float32)])
    np.testing.assert_allclose(got, [[1, 2]], atol=1e-3)


def test_the_same_model_gives_the_same_bytes() -> None:
    first, second = (halved(zoo.autoencoder()).model.SerializeToString(deterministic=True) for _ in range(2))
    assert first == second
