"""What cannot be converted is refused by name, before anything is measured where that can be."""

from typing import Any

import numpy as np
import pytest
import zoo
from onnx import ModelProto, TensorProto, helper, numpy_helper

from converters.errors import DynamicShapeError, NotFiniteError, NotInTfliteError, RunFailedError, UnsupportedTypeError
from converters.int8_options import Int8Options
from converters.tflite.conversion import convert, program_of


def one(operator: str, shape: tuple[int, ...] = (1, 3, 4, 5), *constants: np.ndarray, **attributes: Any) -> ModelProto:
    named = [numpy_helper.from_array(value, f"c{index}") for index, value in enumerate(constants)]
    domain = attributes.pop("domain", "")
    node = helper.make_node(
        operator, ["x", *(value.name for value in named)], ["y"], name="the_node", domain=domain, **attributes
    )
    return zoo.model(
        [node],
        [zoo.tensor("x", shape)],
        [zoo.tensor("y", None)],
        named,
        opset=20,
        domains={domain: 1} if domain else None,
    )


class Untouched:
    """Calibration inputs that nobody may ask for."""

    def __iter__(self) -> Any:
        raise AssertionError("a calibration input was read")

    __getitem__ = __len__ = __iter__


def refused(model: ModelProto) -> NotInTfliteError:
    with pytest.raises(NotInTfliteError) as refusal:
        convert(model, Untouched(), Int8Options())  # type: ignore[arg-type]  # it is what is tested
    return refusal.value


ONES = np.ones((3, 3, 3, 3), np.float32)


@pytest.mark.parametrize(
    ("model", "operator", "hint"),
    [
        (one("Elu"), "Elu", "Relu"),
        (one("HardSwish"), "HardSwish", "Relu"),
        (one("LayerNormalization", (1, 3, 4, 5), np.ones(5, np.float32)), "LayerNormalization", "BatchNormalization"),
        (one("ArgMax"), "ArgMax", "end the model before it"),
        (one("Sin"), "Sin", "replace it by one of Add, AveragePool, Clip, Concat, Conv, "),
        (one("DepthToSpace", (1, 4, 4, 5), blocksize=2), "DepthToSpace", "ConvTranspose"),
        (one("Gelu", domain="com.acme"), "com.acme.Gelu", "replace it"),
        (one("Conv", (2, 3, 8, 8), ONES), "input", "batch of 1"),
        (one("Pad", (1, 3, 4, 5), np.array([0, 0, 1, 1] * 2), mode="reflect"), "Pad", "zeros"),
        (one("Pad", (1, 3, 4, 5), np.array([0, 0, -1, 0] * 2)), "Pad", "part alone"),
        (one("Conv", (1, 3, 8, 8, 8), np.ones((3, 3, 1, 1, 1), np.float32)), "input", "batch of 1"),
        (one("Clip", (1, 3, 4, 5), np.float32(1), np.float32(2)), "Clip", "0 is inside"),
        (one("AveragePool", kernel_shape=[2, 2], dilations=[2, 2]), "AveragePool", "without dilation"),
        (one("Reshape", (1, 4, 6, 5), np.array([1, 2, 12, 5])), "Reshape", "stay apart"),
        (one("Div", (1, 3, 4, 5), np.zeros(1, np.float32)), "Div", "constant"),
        (one("Div", (1, 3, 4, 5), np.eye(4, 5, dtype=np.float32)), "Div", "check the constant"),
        (one("Dropout", (1, 3, 4, 5), np.float32(0.5), np.array(True)), "Dropout", "eval()"),
        (
            one("ConvTranspose", (1, 3, 4, 5), ONES, auto_pad="SAME_UPPER", strides=[2, 2], output_padding=[1, 1]),
            "ConvTranspose",
            "with pads",
        ),
        (one("Cast", to=TensorProto.INT32), "Cast", "end the model before it"),
        (one("Gemm", (4, 3), np.ones((3, 4), np.float32), np.ones((4, 1), np.float32)), "Gemm", "node of its own"),
        (one("ReduceMean", keepdims=0), "ReduceMean", "axis of size 1"),
        (one("Pad", (1, 3, 4, 5), np.array([0, 0, 1, 1] * 2), np.float32(-3.4e38)), "Pad", "MaxPool"),
    ],
)
def test_operators_and_forms_that_there_are_not(model: ModelProto, operator: str, hint: str) -> None:
    error = refused(model)
    assert error.operator == operator
    assert error.operator in error.message
    assert error.node == ("x" if operator == "input" else "the_node")
    assert hint in error.hint


@pytest.mark.parametrize(("count", "what"), [(1, "1 of 81 is not finite"), (2, "2 of 81 are not finite")])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(count: int, what: str, value: float) -> None:
    """ONNX Runtime gives 0 for a Relu of what is no number: no calibration would show it."""
    kernel = ONES.copy()
    kernel.ravel()[:count] = value
    made = zoo.model(
        [helper.make_node("Conv", ["x", "w"], ["a"], name="the_node"), helper.make_node("Relu", ["a"], ["y"])],
        [zoo.tensor("x", (1, 3, 8, 8))],
        [zoo.tensor("y", None)],
        [numpy_helper.from_array(kernel, "w")],
    )
    with pytest.raises(NotFiniteError, match=rf"of the constants of Conv \(node 'the_node'\), {what}"):
        program_of(made)


def test_a_softmax_over_places_is_refused() -> None:
    made = zoo.model(
        [
            helper.make_node("Conv", ["x", "w"], ["a"]),
            helper.make_node("Softmax", ["a"], ["y"], name="the_node", axis=2),
        ],
        [zoo.tensor("x", (1, 3, 8, 8))],
        [zoo.tensor("y", None)],
        [numpy_helper.from_array(ONES, "w")],
    )
    assert "transposed on the board" in refused(made).message


def test_a_flattened_output_whose_order_nothing_can_say() -> None:
    made = zoo.model(
        [helper.make_node("Conv", ["x", "w"], ["a"]), helper.make_node("Flatten", ["a"], ["y"])],
        [zoo.tensor("x", (1, 3, 8, 8))],
        [zoo.tensor("y", (1, 108))],
        [numpy_helper.from_array(ONES, "w")],
    )
    error = refused(made)
    assert error.node == "y"
    assert "end the model before the Reshape or Flatten" in error.hint


def test_a_kernel_that_is_computed() -> None:
    made = zoo.model(
        [helper.make_node("Conv", ["x", "w"], ["y"], name="the_node")],
        [zoo.tensor("x", (1, 3, 8, 8)), zoo.tensor("w", (1, 3, 3, 3))],
        [zoo.tensor("y", None)],
    )
    assert "its kernel 'w' is computed" in refused(made).message


def test_a_constant_output() -> None:
    made = zoo.model(
        [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Identity", ["c"], ["z"])],
        [zoo.tensor("x", (1, 4))],
        [zoo.tensor("y", (1, 4)), zoo.tensor("z", (2,))],
        [zoo.weights("c", 2)],
    )
    assert "is a constant" in refused(made).message


@pytest.mark.parametrize("element", [TensorProto.UINT8, TensorProto.INT64, TensorProto.FLOAT16])
def test_tensors_that_are_no_floats(element: int) -> None:
    made = zoo.identity((1, 3, 4, 4), element)
    with pytest.raises(UnsupportedTypeError, match="'x' is"):
        convert(made, [], Int8Options())


def test_a_shape_that_is_not_known() -> None:
    made = one("Relu", (1, 3, 4, 5))
    made.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    with pytest.raises(DynamicShapeError, match="'x' is not known"):
        convert(made, [], Int8Options())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite(value: float) -> None:
    case = [np.full((1, 3, 4, 5), value, np.float32)]
    with pytest.raises(RunFailedError, match=r"'x' reaches .*(nan|inf)"):
        convert(one("Relu"), [case], Int8Options())


@pytest.mark.parametrize("value", [0.0, 1e-30, 1e30, -3.0])
def test_inputs_that_are_all_the_same_are_no_obstacle(trial: Any, value: float) -> None:
    """A range of no width, or of one that float32 hardly says."""
    given = np.full((1, 3, 4, 5), value, np.float32)
    tried = trial(one("Relu"), given)
    assert np.all(np.isfinite(tried.outputs[0]))
    assert value < 1e-6 or tried.sqnr_db > 30


def test_weights_that_are_all_zero_and_a_bias_that_is_not(trial: Any) -> None:
    kernel, bias = np.zeros((3, 3, 3, 3), np.float32), np.array([1000, -2, 0], np.float32)
    assert trial(one("Conv", (1, 3, 6, 6), kernel, bias)).sqnr_db > 30


def test_a_bias_far_above_what_the_weights_give(trial: Any) -> None:
    kernel = np.full((3, 3, 3, 3), 1e-9, np.float32)
    assert trial(one("Conv", (1, 3, 6, 6), kernel, np.array([1e3, 1, -1], np.float32))).sqnr_db > 30
