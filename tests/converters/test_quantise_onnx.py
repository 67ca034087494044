"""Int8 as TensorRT reads it: where the pairs are, what they say, and what ONNX Runtime computes with them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import zoo
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper, parser

from converters.compare import compare
from converters.draft import Draft
from converters.errors import NeedsCalibrationError, NothingToQuantiseError
from converters.plan import Target
from converters.reference import OnnxReference
from converters.steps import quantise_onnx
from converters.weights import count_weights

Arrays = Sequence[np.ndarray]


def images(*shape: int, count: int = 4) -> list[Arrays]:
    generator = np.random.default_rng(5)
    return [[generator.normal(size=shape).astype(np.float32)] for _ in range(count)]


def quantised(model: ModelProto, calibration: Sequence[Arrays]) -> ModelProto:
    draft = Draft(Path("model.onnx"), {}, model, target=Target("trt", "int8", (10, 3)), calibration=calibration)
    quantise_onnx.apply(draft)
    onnx.checker.check_model(draft.model, full_check=True)
    return draft.model


def network(text: str, opset: int = 17) -> ModelProto:
    return parser.parse_model(f'<ir_version: 8, opset_import: ["": {opset}]> g {text}')


def with_weights(model: ModelProto, **shapes: tuple[int, ...]) -> ModelProto:
    model.graph.initializer.extend(
        zoo.weights(name, *shape, seed=seed) for seed, (name, shape) in enumerate(shapes.items())
    )
    return model


def made_by(model: ModelProto, name: str) -> NodeProto | None:
    return next((node for node in model.graph.node if name in node.output), None)


def pairs(model: ModelProto) -> dict[str, list[str]]:
    """What each of the model's own nodes reads through a pair, by the node's first output."""
    found = {}
    for node in model.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            pair = [made_by(model, name) for name in node.input]
            read = [end for end in pair if end is not None and end.op_type == "DequantizeLinear"]
            found[node.output[0]] = [made_by(model, end.input[0]).input[0] for end in read]  # type: ignore[union-attr]
    return found


def scales_of(model: ModelProto) -> dict[str, np.ndarray]:
    """By the tensor that is quantised."""
    return {
        node.input[0]: constant(model, node.input[1]) for node in model.graph.node if node.op_type == "QuantizeLinear"
    }


def constant(model: ModelProto, name: str) -> np.ndarray:
    return numpy_helper.to_array(next(tensor for tensor in model.graph.initializer if tensor.name == name))


def test_each_input_of_a_layer_with_weights_and_no_output() -> None:
    made = quantised(zoo.autoencoder(), images(1, 3, 16, 16))
    assert pairs(made) == {
        "code": ["image", "down"],
        "positive": [],
        "raw": ["positive", "up"],
        "reconstruction": [],
    }


def test_all_is_symmetric_int8_with_float32_scales() -> None:
    made = quantised(zoo.autoencoder(), images(1, 3, 16, 16))
    ends = [node for node in made.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert len(ends) == 8
    for node in ends:
        scale, zero = (constant(made, name) for name in node.input[1:])
        assert (scale.dtype, zero.dtype, scale.shape) == (np.float32, np.int8, zero.shape)
        assert (scale > 0).all()
        assert not zero.any()
    assert {node.domain for node in made.graph.node} == {""}
    assert not {"QLinearConv", "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear"} & {
        node.op_type for node in made.graph.node
    }
    types = {value.type.tensor_type.elem_type for value in onnx.shape_inference.infer_shapes(made).graph.value_info}
    assert types == {TensorProto.FLOAT, TensorProto.INT8}


def test_scales_are_the_largest_values_over_127() -> None:
    cases = images(1, 3, 16, 16)
    made = quantised(zoo.autoencoder(), cases)
    scales = scales_of(made)
    np.testing.assert_allclose(scales["image"], max(np.abs(case[0]).max() for case in cases) / 127, rtol=1e-6)
    np.testing.assert_allclose(scales["down"], np.abs(constant(made, "down")).max(axis=(1, 2, 3)) / 127, rtol=1e-6)
    np.testing.assert_allclose(scales["up"], np.abs(constant(made, "up")).max() / 127, rtol=1e-6)


def test_a_convolution_has_a_scale_per_output_channel_and_a_transposed_one_has_one() -> None:
    made = quantised(zoo.autoencoder(), images(1, 3, 16, 16))
    axes = {
        node.input[0]: [attribute.i for attribute in node.attribute]
        for node in made.graph.node
        if node.op_type == "QuantizeLinear"
    }
    assert axes == {"image": [], "down": [0], "positive": [], "up": []}


def test_products_of_matrices_but_not_of_vectors() -> None:
    text = """(float[ROWS,8] x) => (float[ROWS,5] y) {
        a = Gemm<transB=1>(x, v, b) c = Relu(a) d = Gemm(c, w) e = MatMul(d, u) y = Add(e, e) }"""
    shapes = {"v": (6, 8), "b": (6,), "w": (6, 7), "u": (7, 5)}
    rows = quantised(with_weights(network(text.replace("ROWS", "4")), **shapes), images(4, 8))
    assert pairs(rows) == {"a": ["x", "v"], "c": [], "d": ["c", "w"], "e": ["d", "u"], "y": []}
    assert {name: scale.shape for name, scale in scales_of(rows).items()} == {
        "x": (),
        "v": (6,),
        "c": (),
        "w": (),
        "d": (),
        "u": (),
    }
    with pytest.raises(NothingToQuantiseError):
        quantised(with_weights(network(text.replace("ROWS", "1")), **shapes), images(1, 8))


def test_a_convolution_to_one_place_is_a_product_with_one_column() -> None:
    text = "(float[1,4,SIDE,SIDE] x) => (float[1,4,SIDE,SIDE] y) { y = Conv(x, w) }"
    assert pairs(quantised(with_weights(network(text.replace("SIDE", "2")), w=(4, 4, 1, 1)), images(1, 4, 2, 2)))["y"]
    with pytest.raises(NothingToQuantiseError, match="int8 changes nothing here") as caught:
        quantised(with_weights(network(text.replace("SIDE", "1")), w=(4, 4, 1, 1)), images(1, 4, 1, 1))
    assert caught.value.hint == "deploy it with --precision fp16"


@pytest.mark.parametrize(
    ("operator", "weight", "groups", "suits"),
    [
        ("Conv", (8, 4, 1, 1), 2, True),
        ("Conv", (16, 8, 1, 1), 1, True),
        ("Conv", (8, 1, 1, 1), 8, False),  # depthwise
        ("Conv", (8, 2, 1, 1), 4, False),
        ("Conv", (4, 4, 1, 1), 2, False),
        ("Conv", (8, 2, 1, 1), 2, False),
        ("ConvTranspose", (8, 4, 1, 1), 2, False),
        ("ConvTranspose", (8, 3, 1, 1), 1, True),
    ],
)
def test_groups_that_tensorrt_has_no_int8_for(operator: str, weight: tuple[int, ...], groups: int, suits: bool) -> None:
    inner, outer = (weight[1] * groups, weight[0]) if operator == "Conv" else (weight[0], weight[1] * groups)
    made = network(
        f"""(float[1,{inner},4,4] x) => (float[1,{outer},4,4] y) {{
        a = {operator}<group={groups}>(x, v) b = Relu(x) c = Conv(b, w) y = Relu(a) }}"""
    )
    made = quantised(with_weights(made, v=weight, w=(8, inner, 1, 1)), images(1, inner, 4, 4))
    assert pairs(made)["a"] == (["x", "v"] if suits else [])
    assert pairs(made)["c"] == ["b", "w"]


RESIDUAL = """(float[1,4,6,6] x) => (float[1,4,6,6] y) {
    a = Conv<pads=[1,1,1,1]>(x, v) b = Relu(a) c = Conv<pads=[1,1,1,1]>(b, w) y = Add(LEFT, RIGHT) }"""


@pytest.mark.parametrize(("left", "right"), [("c", "x"), ("x", "c")])
def test_the_residual_input_of_an_addition(left: str, right: str) -> None:
    made = with_weights(network(RESIDUAL.replace("LEFT", left).replace("RIGHT", right)), v=(4, 4, 3, 3), w=(4, 4, 3, 3))
    assert pairs(quantised(made, images(1, 4, 6, 6)))["y"] == ["x"]


def test_of_two_convolutions_the_later_one_takes_in_the_addition() -> None:
    made = network("(float[1,4,6,6] x) => (float[1,4,6,6] y) { a = Conv(x, v) b = Conv(x, w) y = Add(b, a) }")
    assert pairs(quantised(with_weights(made, v=(4, 4, 1, 1), w=(4, 4, 1, 1)), images(1, 4, 6, 6)))["y"] == ["a"]


def test_a_convolution_that_is_an_output_takes_in_no_addition() -> None:
    made = network("(float[1,4,6,6] x) => (float[1,4,6,6] y, float[1,4,6,6] a) { a = Conv(x, v) y = Add(a, x) }")
    assert pairs(quantised(with_weights(made, v=(4, 4, 1, 1)), images(1, 4, 6, 6)))["y"] == []


@pytest.mark.parametrize(
    "addition",
    [
        "p = Relu(a) q = Neg(a) y = Add(p, q)",  # no convolution ends in it
        "z = Constant<value = float[1] {1}>() y = Add(a, z)",  # a bias
        "m = GlobalMaxPool(x) y = Add(a, m)",  # of another shape
        "r = Relu(a) y = Add(a, r)",  # what the convolution gives is used elsewhere
        "d = Conv<group=4>(a, u) y = Add(d, x)",  # the convolution is not of int8
    ],
)
def test_other_additions_are_left_alone(addition: str) -> None:
    made = network(f"(float[1,4,6,6] x) => (float[1,4,6,6] y) {{ a = Conv(x, v) {addition} }}")
    assert pairs(quantised(with_weights(made, v=(4, 4, 1, 1), u=(4, 1, 1, 1)), images(1, 4, 6, 6)))["y"] == []


def test_pooling_that_averages() -> None:
    made = network(
        """(float[1,4,8,8] x) => (float[1,4,1,1] y) {
        a = Conv(x, v) b = MaxPool<kernel_shape=[2,2], strides=[2,2]>(a)
        c = AveragePool<kernel_shape=[2,2], strides=[2,2]>(b) y = GlobalAveragePool(c) }"""
    )
    found = pairs(quantised(with_weights(made, v=(4, 4, 1, 1)), images(1, 4, 8, 8)))
    assert found == {"a": ["x", "v"], "b": [], "c": ["b"], "y": ["c"]}


def test_weights_that_are_computed_are_left_alone() -> None:
    made = network("(float[1,4,6,6] x) => (float[1,1,6,6] y) { k = GlobalMaxPool(x) y = Conv(x, k) }")
    with pytest.raises(NothingToQuantiseError):
        quantised(made, images(1, 4, 6, 6))


def test_a_weight_of_two_layers_has_a_pair_for_each_and_counts_once() -> None:
    made = network("(float[1,4,6,6] x) => (float[1,4,6,6] y) { a = Conv(x, v) y = ConvTranspose(a, v) }")
    result = quantised(with_weights(made, v=(4, 4, 1, 1)), images(1, 4, 6, 6))
    assert pairs(result) == {"a": ["x", "v"], "y": ["a", "v"]}
    assert Counter(node.op_type for node in result.graph.node)["QuantizeLinear"] == 4
    assert count_weights(result) == 16


def test_channels_and_tensors_of_zeros_have_a_scale_too() -> None:
    text = "(float[1,4,6,6] x) => (float[1,4,6,6] y) { a = Conv(x, v) b = Sub(a, a) y = Conv(b, v) }"
    made = with_weights(network(text), v=(4, 4, 1, 1))
    kernel = numpy_helper.to_array(made.graph.initializer[0]).copy()
    kernel[2] = 0
    made.graph.initializer[0].CopyFrom(numpy_helper.from_array(kernel, "v"))
    scales = scales_of(quantised(made, images(1, 4, 6, 6)))
    assert scales["v"][2] == 1
    assert scales["b"] == 1


def test_only_float32_is_quantised() -> None:
    made = network(
        "(float[1,1,4,4] x) => (float[1,1,4,4] y) <float[1,1,1,1] v = {2}> {"
        " h = Cast<to=10>(x) k = Cast<to=10>(v) a = Conv(h, k) y = Cast<to=1>(a) }"
    )
    with pytest.raises(NothingToQuantiseError):
        quantised(made, images(1, 1, 4, 4))


@pytest.mark.parametrize("opset", [13, 16, 17, 20])
def test_the_outputs_stay_close(opset: int) -> None:
    made = zoo.autoencoder()
    made.opset_import[0].version = opset
    cases = images(1, 3, 16, 16)
    expected = [OnnxReference(made.SerializeToString())(case) for case in cases]
    reference = OnnxReference(quantised(made, cases).SerializeToString())
    assert 25 < compare(expected, [reference(case) for case in cases]).sqnr_db < 60


def test_a_model_that_is_quantised_keeps_its_own() -> None:
    made = quantised(zoo.autoencoder(), images(1, 3, 16, 16))
    before = made.SerializeToString()
    draft = Draft(Path("model.onnx"), {}, made, target=Target("trt", "int8"))
    quantise_onnx.apply(draft)
    assert draft.model.SerializeToString() == before
    assert draft.notices == ["int8: the model is quantised already, and its own ranges are kept"]


def test_without_images_there_are_no_ranges() -> None:
    with pytest.raises(NeedsCalibrationError, match="int8 needs images") as caught:
        quantised(zoo.autoencoder(), [])
    assert caught.value.hint == "name a folder with some dozens of good ones: --calibrate DIR"


def test_the_same_images_give_the_same_bytes() -> None:
    first, second = (
        quantised(zoo.autoencoder(), images(1, 3, 16, 16)).SerializeToString(deterministic=True) for _ in range(2)
    )
    assert first == second
