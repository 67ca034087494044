"""Whole graphs: what layers do to each other, and our trained models."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zoo
from onnx import ModelProto, helper, load, numpy_helper, parser

from compression.data.capsule import photograph
from converters.int8_options import Int8Options
from converters.tflite.conversion import convert
from converters.tflite.interpreter import run
from converters.tflite_file import read_tflite

MODELS = Path(__file__).parents[3] / "compression" / "models"


def graph(text: str, **constants: np.ndarray) -> ModelProto:
    """Of ONNX's own notation, opset 19."""
    made = parser.parse_model(f'<ir_version: 8, opset_import: ["": 19]> g {text}')
    made.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    return made


def normal(*shape: int, seed: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_an_image_is_flattened_into_a_product(trial: Any) -> None:
    """The weights are in the order in which the image is stored: nothing moves."""
    for flatten in ("Flatten(a)", "Reshape(a, shape)"):
        made = graph(
            f"(float[1,3,6,5] x) => (float[1,7] y) {{ a = Relu(x) f = {flatten} y = Gemm<transB=1>(f, w, b) }}",
            w=normal(7, 90),
            b=normal(7),
            shape=np.array([1, -1]),
        )
        tried = trial(made)
        assert tried.operators == ["RELU", "RESHAPE", "FULLY_CONNECTED"]
        assert tried.sqnr_db > 30


def test_a_product_becomes_an_image(trial: Any) -> None:
    made = graph(
        """(float[1,9] x) => (float[1,2,6,8] y) {
            h = MatMul(x, w) r = Relu(h) i = Reshape(r, shape)
            y = ConvTranspose<strides=[2,2], pads=[1,1,1,1], kernel_shape=[4,4]>(i, k)
        }""",
        w=normal(9, 60),
        shape=np.array([1, 5, 3, 4]),
        k=normal(5, 2, 4, 4),
    )
    tried = trial(made)
    assert tried.operators == ["FULLY_CONNECTED", "RESHAPE", "TRANSPOSE_CONV"]
    assert tried.sqnr_db > 30


def test_a_bottleneck_between_images(trial: Any) -> None:
    made = graph(
        """(float[1,3,8,8] x) => (float[1,3,8,8] y) {
            a = Conv<strides=[2,2], pads=[1,1,1,1]>(x, k) b = Relu(a) f = Flatten(b)
            z = Gemm(f, down) r = LeakyRelu(z) u = Gemm(r, up) s = Sigmoid(u) i = Reshape(s, shape)
            y = ConvTranspose<strides=[2,2], pads=[1,1,1,1]>(i, k2)
        }""",
        k=normal(4, 3, 4, 4) / 7,
        down=normal(64, 6) / 8,
        up=normal(6, 64) / 3,
        shape=np.array([1, 4, 4, 4]),
        k2=normal(4, 3, 4, 4),
    )
    assert trial(made).sqnr_db > 30


def test_a_classifier(trial: Any) -> None:
    made = graph(
        """(float[1,3,8,8] x) => (float[1,5] y) {
            a = Conv<pads=[1,1,1,1]>(x, k) b = Relu(a) p = GlobalAveragePool(b) f = Flatten(p)
            z = Gemm(f, w) y = Softmax<axis=-1>(z)
        }""",
        k=normal(4, 3, 3, 3),
        w=normal(4, 5),
    )
    assert trial(made).sqnr_db > 30


def test_images_with_the_channels_last_on_the_outside(trial: Any) -> None:
    """As tf2onnx writes them: no order is changed anywhere."""
    made = graph(
        """(float[1,8,6,3] x) => (float[1,8,6,4] y) {
            t = Transpose<perm=[0,3,1,2]>(x) a = Conv<pads=[1,1,1,1]>(t, k) y = Transpose<perm=[0,2,3,1]>(a)
        }""",
        k=normal(4, 3, 3, 3),
    )
    tried = trial(made)
    assert tried.operators == ["CONV_2D"]
    assert tried.written.artifact.inputs[0].order == tried.written.artifact.outputs[0].order == ()
    assert tried.sqnr_db > 30


def test_places_are_joined_where_they_lie_together(trial: Any) -> None:
    """[1, C, H, W] to [1, C, H * W]: stored as [1, H * W, C]."""
    made = graph("(float[1,3,4,5] x) => (float[1,3,20] y) { a = Relu(x) y = Reshape(a, s) }", s=np.array([1, 3, 20]))
    tried = trial(made)
    assert tried.written.artifact.outputs[0].shape == (1, 20, 3)
    assert tried.sqnr_db > 30


def test_several_inputs_and_outputs_some_of_them_used_inside(trial: Any) -> None:
    made = graph(
        """(float[1,3,6,6] x, float[1,2,6,6] z, float[1,4] v)
        => (float[1,5,6,6] c, float[1,3,6,6] a, float[1,2,6,6] p, float[1,4] w, float[1,3,6,6] same) {
            a = Conv<pads=[1,1,1,1]>(x, k) p = Sigmoid(z) c = Concat<axis=1>(a, p) w = Tanh(v) same = Identity(a)
        }""",
        k=normal(3, 3, 3, 3),
    )
    tried = trial(made)
    assert [tensor.name for tensor in tried.written.artifact.outputs] == ["c", "a", "p", "w", "same"]
    assert [tensor.name for tensor in tried.written.artifact.inputs] == ["x", "z", "v"]
    assert tried.sqnr_db > 30


def test_an_input_that_is_an_output(trial: Any) -> None:
    made = graph("(float[1,3,4,5] x) => (float[1,3,4,5] y) { y = Identity(x) }")
    assert trial(made).operators == ["RESHAPE"]


def test_names_for_the_same_value_cost_nothing(trial: Any) -> None:
    made = graph(
        """(float[1,3,4,5] x) => (float[1,3,4,5] y) {
            a = Identity(x) b = Relu(a) c = Dropout(b) d = Cast<to=1>(c) y = Identity(d)
        }"""
    )
    assert trial(made).operators == ["RELU"]


def test_shared_weights_are_stored_once(trial: Any) -> None:
    made = graph(
        """(float[1,4,6,6] x) => (float[1,4,6,6] y) {
            a = Conv<pads=[1,1,1,1]>(x, k) b = Relu(a) c = Conv<pads=[1,1,1,1]>(b, k) y = Relu(c)
        }""",
        k=normal(4, 4, 3, 3),
    )
    alone = graph(
        "(float[1,4,6,6] x) => (float[1,4,6,6] y) { a = Conv<pads=[1,1,1,1]>(x, k) y = Relu(a) }", k=normal(4, 4, 3, 3)
    )
    both = trial(made)
    assert both.sqnr_db > 30
    weights_bytes = 4 * 4 * 3 * 3
    assert len(both.written.content) - len(trial(alone).written.content) < 3 * weights_bytes
    assert both.written.content.count(_stored_kernel(both.written.content, weights_bytes)) == 1


def _stored_kernel(content: bytes, size: int) -> bytes:
    import tflite

    model = tflite.Model.GetRootAs(content)
    (found,) = (
        model.Buffers(number).DataAsNumpy().tobytes()
        for number in range(model.BuffersLength())
        if model.Buffers(number).DataLength() == size
    )
    return found


def test_a_relu_that_only_the_range_does_keeps_doing_it_beside_others(trial: Any) -> None:
    """A transposed convolution has no activation: joined with what is negative, its range must not grow."""
    made = graph(
        """(float[1,3,4,4] x, float[1,3,8,8] z) => (float[1,6,8,8] y) {
            a = ConvTranspose<strides=[2,2], pads=[1,1,1,1]>(x, k) r = Relu(a) n = Tanh(z) m = Add(n, z)
            y = Concat<axis=1>(r, m)
        }""",
        k=normal(3, 3, 4, 4),
    )
    tried = trial(made)
    assert tried.sqnr_db > 30
    assert tried.outputs[0][:, :3].min() >= 0
    assert "QUANTIZE" in tried.operators


def test_two_relus_joined_need_nothing(trial: Any) -> None:
    made = graph(
        """(float[1,3,4,4] x, float[1,3,8,8] z) => (float[1,6,8,8] y) {
            a = ConvTranspose<strides=[2,2], pads=[1,1,1,1]>(x, k) r = Relu(a) n = Relu(z) y = Concat<axis=1>(r, n)
        }""",
        k=normal(3, 3, 4, 4),
    )
    tried = trial(made)
    assert tried.sqnr_db > 30
    assert "QUANTIZE" not in tried.operators
    assert tried.outputs[0].min() >= 0


def test_a_clipped_transposed_convolution_beside_a_wider_one(trial: Any) -> None:
    made = graph(
        """(float[1,3,4,4] x, float[1,3,8,8] z) => (float[1,6,8,8] y) {
            a = ConvTranspose<strides=[2,2], pads=[1,1,1,1]>(x, k) r = Clip(a, low, high) n = Relu(z)
            y = Concat<axis=1>(r, n)
        }""",
        k=normal(3, 3, 4, 4),
        low=np.float32(0),
        high=np.float32(1),
    )
    tried = trial(made)
    assert tried.outputs[0][:, :3].max() <= 1.01
    assert tried.sqnr_db > 30


def test_a_unet(trial: Any) -> None:
    made = graph(
        """(float[1,3,16,16] x) => (float[1,1,16,16] y) {
            a = Conv<pads=[1,1,1,1]>(x, k1) ar = Relu(a)
            p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(ar)
            b = Conv<pads=[1,1,1,1]>(p, k2) br = Relu(b)
            u = Resize<mode="linear", coordinate_transformation_mode="pytorch_half_pixel">(br, , scales)
            c = Concat<axis=1>(u, ar)
            d = Conv<pads=[1,1,1,1]>(c, k3) y = Sigmoid(d)
        }""",
        k1=normal(4, 3, 3, 3) / 5,
        k2=normal(6, 4, 3, 3) / 6,
        k3=normal(1, 10, 3, 3) / 9,
        scales=np.array([1, 1, 2, 2], np.float32),
    )
    assert trial(made, cases=3).sqnr_db > 30


def test_a_residual_block_with_normalisation_behind_and_before(trial: Any) -> None:
    channels = {name: np.abs(normal(4, seed=seed)) + 0.2 for seed, name in enumerate(("s", "b", "m", "v"))}
    made = graph(
        """(float[1,4,8,8] x) => (float[1,4,8,8] y) {
            n = BatchNormalization(x, s, b, m, v) r = Relu(n)
            c = Conv<pads=[1,1,1,1]>(r, k) o = BatchNormalization(c, s, b, m, v)
            a = Add(o, x) y = Relu(a)
        }""",
        k=normal(4, 4, 3, 3) / 6,
        **channels,
    )
    tried = trial(made, cases=3)
    assert tried.operators == ["DEPTHWISE_CONV_2D", "CONV_2D", "ADD"]
    assert tried.sqnr_db > 30


def test_scale_and_shift_go_into_the_convolution_behind_them(trial: Any) -> None:
    """As images are often normalised inside the model; a shift only where nothing is padded to it."""
    for pads, operators in (("[0,0,0,0]", ["CONV_2D"]), ("[1,1,1,1]", ["DEPTHWISE_CONV_2D", "CONV_2D"])):
        made = graph(
            f"""(float[1,3,8,8] x) => (float[1,4,y1,y2] y) {{
                c = Sub(x, mean) n = Div(c, std) y = Conv<pads={pads}>(n, k)
            }}""",
            mean=np.array([0.485, 0.456, 0.406], np.float32).reshape(1, 3, 1, 1),
            std=np.array([0.229, 0.224, 0.225], np.float32).reshape(1, 3, 1, 1),
            k=normal(4, 3, 3, 3),
        )
        tried = trial(made)
        assert tried.operators == operators
        assert tried.sqnr_db > 30


def test_flat_tensors_that_change_their_axes(trial: Any) -> None:
    made = graph(
        """(float[1,6] x) => (float[6] y) {
            u = Unsqueeze(x, axes) r = Relu(u) s = Squeeze(r, axes) m = Mul(s, factors) t = ReduceMean<keepdims=1>(m)
            a = Add(m, t) y = Squeeze(a, first)
        }""",
        axes=np.array([1, 3]),
        first=np.array([0]),
        factors=normal(6),
    )
    assert trial(made).sqnr_db > 30


@pytest.fixture(scope="module")
def images() -> list[list[np.ndarray]]:
    return [
        [np.asarray(photograph(1000 + seed, size=128), np.float32).transpose(2, 0, 1)[None] / 255] for seed in range(12)
    ]


@pytest.mark.parametrize("name", ["autoencoder", "autoencoder-95"])
@pytest.mark.parametrize(
    "options",
    [
        Int8Options(),
        Int8Options(bias_correction=True),
        Int8Options("squared_error"),
        Int8Options("percentile", io="uint8"),
    ],
    ids=["default", "bias_correction", "squared_error", "percentile_uint8"],
)
def test_trained_autoencoders(name: str, options: Int8Options, images: list[list[np.ndarray]]) -> None:
    """onnx2tf 1.29 reached 43.7 and 45.5 dB on trained ones of either decoder (reference/tflite.md)."""
    from converters.compare import compare
    from converters.reference import OnnxReference

    model = load(MODELS / f"{name}.onnx")
    written = convert(model, images[:8], options)
    reference = OnnxReference(model.SerializeToString())
    unseen = images[8:]
    distance = compare([reference(case) for case in unseen], run(written.content, written.artifact, unseen))
    assert distance.sqnr_db > 48
    assert distance.max_abs_error < 0.06


def test_the_same_model_gives_the_same_bytes(images: list[list[np.ndarray]]) -> None:
    model = load(MODELS / "autoencoder-95.onnx")
    first, second = (convert(model, images[:2], Int8Options(bias_correction=True)).content for _ in range(2))
    assert first == second


def test_a_light_network_of_the_model_zoo(trial: Any) -> None:
    """Fire modules: convolutions joined along the channels, all of them with weights of the usual variance."""
    generator = np.random.default_rng(0)
    nodes, constants, source = [], [], "x"
    for number, (inputs, squeezed, outputs) in enumerate([(3, 4, 8), (8, 4, 8), (8, 6, 12)]):
        for name, shape in (
            ("s", (squeezed, inputs, 1, 1)),
            ("e", (outputs // 2, squeezed, 1, 1)),
            ("f", (outputs // 2, squeezed, 3, 3)),
        ):
            values = generator.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
            constants.append(numpy_helper.from_array(values.astype(np.float32), f"{name}{number}"))
        for operator, given, output, attributes in (
            ("Conv", [source, f"s{number}"], f"a{number}", {}),
            ("Relu", [f"a{number}"], f"b{number}", {}),
            ("Conv", [f"b{number}", f"e{number}"], f"c{number}", {}),
            ("Relu", [f"c{number}"], f"d{number}", {}),
            ("Conv", [f"b{number}", f"f{number}"], f"g{number}", {"pads": [1] * 4}),
            ("Relu", [f"g{number}"], f"h{number}", {}),
            ("Concat", [f"d{number}", f"h{number}"], f"i{number}", {"axis": 1}),
        ):
            nodes.append(helper.make_node(operator, given, [output], **attributes))
        source = f"i{number}"
    made = zoo.model(nodes, [zoo.tensor("x", (1, 3, 16, 16))], [zoo.tensor(source, None)], constants)
    assert trial(made, cases=2).sqnr_db > 30


def test_what_is_joined_keeps_its_grid_where_others_read_it(trial: Any) -> None:
    """A skip a hundred times as small as what it is joined with would be coarse for the layer that reads it as well."""
    text = """(float[1,3,8,8] x, float[1,3,8,8] z) => (float[1,6,8,8] y, float[1,3,8,8] r) {{
        a = Mul(x, {factor}) b = Tanh(z) w = Mul(b, z) y = Concat<axis=1>(a, w) r = Conv(a, k)
    }}"""
    kernel = normal(3, 3, 1, 1)
    factors = {"small": np.float32(0.01), "large": np.float32(1)}
    found = {name: trial(graph(text.format(factor=name), k=kernel, **{name: value})) for name, value in factors.items()}
    assert found["small"].operators.count("QUANTIZE") == 1
    assert found["large"].operators.count("QUANTIZE") == 0
    assert all(tried.comparison.outputs[1].sqnr_db > 30 for tried in found.values())


def test_what_is_joined_alone_is_on_the_grid_from_the_start(trial: Any) -> None:
    made = graph(
        """(float[1,3,8,8] x) => (float[1,9,8,8] y) {
            a = Relu(x) b = Conv(a, k) p = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(b) c = Mul(a, half)
            y = Concat<axis=1>(p, c, p)
        }""",
        k=normal(3, 3, 1, 1),
        half=np.float32(0.01),
    )
    tried = trial(made)
    assert "QUANTIZE" not in tried.operators
    assert tried.sqnr_db > 30


def test_a_sum_of_two_is_an_addition(trial: Any) -> None:
    made = graph("(float[1,3,4,5] x, float[1,3,4,5] z) => (float[1,3,4,5] y) { s = Sum(x, z) y = Relu(s) }")
    assert trial(made).operators == ["ADD"]


def test_an_input_that_nothing_reads(trial: Any) -> None:
    made = graph("(float[1,3,4,5] x, float[1,2] z) => (float[1,3,4,5] y) { y = Relu(x) }")
    assert [tensor.name for tensor in trial(made).written.artifact.inputs] == ["x", "z"]


@pytest.mark.parametrize(
    "behind", ["y = Concat<axis=1>(j, m)", "p = MaxPool<kernel_shape=[1,1]>(j) y = Concat<axis=1>(p, m)"]
)
def test_a_relu_that_only_the_range_does_is_not_lost_two_joins_later(trial: Any, behind: str) -> None:
    made = graph(
        f"""(float[1,3,4,4] x, float[1,3,8,8] z) => (float[1,9,8,8] y) {{
            a = ConvTranspose<strides=[2,2], pads=[1,1,1,1]>(x, k) r = Relu(a) n = Relu(z) j = Concat<axis=1>(r, n)
            t = Tanh(z) m = Add(t, z) {behind}
        }}""",
        k=normal(3, 3, 4, 4),
    )
    tried = trial(made)
    assert tried.sqnr_db > 30
    assert tried.outputs[0][:, :3].min() >= 0


@pytest.mark.parametrize("operator", ["ConvTranspose", "MatMul"])
def test_what_is_folded_leaves_a_constant_of_the_same_name_alone(trial: Any, operator: str) -> None:
    """The constant is named as fold.py names its own, and another layer reads it as well."""
    shape, factor = ((1, 4, 6, 6), (4, 1, 1)) if operator == "ConvTranspose" else ((1, 4), (4,))
    nodes = [
        helper.make_node(operator, ["x", "one/kernel"], ["a"], name="one"),
        helper.make_node("Mul", ["a", "factor"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node(operator, ["c", "one/kernel"], ["y"], name="two"),
    ]
    kernel = normal(4, 4, 1, 1) if operator == "ConvTranspose" else normal(4, 4)
    constants = {"one/kernel": kernel, "factor": np.linspace(0.5, 2, 4, dtype=np.float32).reshape(factor)}
    given = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    assert trial(zoo.model(nodes, [zoo.tensor("x", shape)], [zoo.tensor("y", None)], given)).sqnr_db > 30


@pytest.mark.parametrize("result", ["14, 12", "15, 13", "16, 11"])
@pytest.mark.parametrize("size", [3, 4])
def test_transposed_convolutions_whose_padding_follows_from_the_result(trial: Any, result: str, size: int) -> None:
    """ONNX counts output_padding among what is cut off: https://onnx.ai/onnx/operators/onnx__ConvTranspose.html."""
    made = graph(
        f"""(float[1,3,7,6] x) => (float[1,2,h,w] y) {{
            y = ConvTranspose<strides = [2, 2], output_padding = [1, 1], output_shape = [{result}]>(x, k)
        }}""",
        k=normal(3, 2, size, size),
    )
    assert trial(made).sqnr_db > 30


def test_lines_more_than_one_at_a_time(trial: Any) -> None:
    made = graph(
        """(float[4,3,9] x) => (float[4,2,w] y) {
            a = ConvTranspose<strides=[2]>(x, k) y = MaxPool<kernel_shape=[2]>(a)
        }""",
        k=normal(3, 2, 3),
    )
    tried = trial(made)
    assert tried.sqnr_db > 30
    assert {tensor.shape[0] for tensor in tried.written.program.activations} == {4}


def test_a_difference_of_next_to_nothing_has_a_grid_that_old_runtimes_take(trial: Any) -> None:
    """They abort where it is finer than 2 / 2**20 of the coarser input's."""
    made = graph(
        "(float[1,3,4,5] x) => (float[1,3,4,5] y) { a = Conv(x, k) b = Conv(x, j) y = Sub(a, b) }",
        k=normal(3, 3, 1, 1),
        j=normal(3, 3, 1, 1) * np.float32(1 + 3e-7),
    )
    content = trial(made).written.content
    (sub,) = (operator for operator in read_tflite(content).operators if operator.name == "SUB")
    left, right, difference = (read_tflite(content).tensors[place].scales[0] for place in (*sub.inputs, *sub.outputs))
    assert 2 * max(left, right) < 2**20 * difference


def test_what_is_reshaped_alike_is_reshaped_once(trial: Any) -> None:
    """It would also be written over: converters/tflite/aliasing.py."""
    made = graph(
        """(float[1,3,6,8] x) => (float[1,1,6,8] y) {
            a = Conv(x, k) b = Conv(x, j) m = Mul(a, b) s = Softmax<axis=-1>(m) t = Tanh(s) y = Mul(t, m)
        }""",
        k=normal(1, 3, 1, 1),
        j=normal(1, 3, 1, 1, seed=8),
    )
    tried = trial(made)
    assert tried.operators.count("RESHAPE") == 1
    assert tried.sqnr_db > 30


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul"])
def test_what_others_still_read_is_not_written_over_behind_a_reshape(trial: Any, operator: str) -> None:
    """`u` would be laid over `t`, which the Sigmoid reads after it; without the copy this came to 3 dB and less.

    A SOFTMAX of 20 numbers is coarse in steps of 1/256: not the 30 dB of other networks.
    """
    made = graph(
        f"""(float[1,3,4,5] x) => (float[1,20] v, float[1,1,4,5] y) {{
            a = Conv(x, k) b = Conv(x, j) t = {operator}(a, b) r = Reshape(t, shape)
            u = Softmax<axis=-1>(r) v = Tanh(u) y = Sigmoid(t)
        }}""",
        k=normal(1, 3, 1, 1),
        j=normal(1, 3, 1, 1, seed=8),
        shape=np.array([1, 20], np.int64),
    )
    tried = trial(made)
    assert tried.sqnr_db > 25
    assert tried.operators.count("QUANTIZE") == 1
