from typing import Literal

import pytest

from converters.errors import UnknownFormatError, UnknownPrecisionError, UnknownRuntimeError
from converters.plan import Target, plan


def test_onnx_for_onnx_runtime_is_made_static_on_the_host() -> None:
    steps = plan("onnx", Target("ort", "fp32"))
    assert [step.name for step in steps] == ["load_onnx", "freeze_onnx", "preflight_onnx"]
    assert {step.site for step in steps} == {"host"}


@pytest.mark.parametrize(
    ("precision", "version", "written"),
    [
        ("fp32", (8, 2, 1), []),
        ("tf32", (10, 3), []),
        ("fp16", (8, 2, 1), []),
        ("fp16", (10, 16), []),
        ("fp16", None, []),
        ("fp16", (11, 1), ["half_onnx"]),
        ("int8", (8, 5, 2), ["quantise_onnx"]),
        ("int8", (10, 3), ["quantise_onnx"]),
        ("int8", (11,), ["quantise_onnx"]),
        ("fp32", (11,), []),
    ],
)
def test_for_tensorrt_the_host_prepares_and_the_board_builds(
    precision: str, version: tuple[int, ...] | None, written: list[str]
) -> None:
    steps = plan("onnx", Target("trt", precision, version))
    assert [step.name for step in steps if step.site == "host"] == [
        "load_onnx",
        "freeze_onnx",
        "lower_opset_onnx",
        "simplify_onnx",
        *written,
        "preflight_onnx",
        "preflight_tensorrt",
    ]
    assert [step.name for step in steps if step.site == "board"] == ["build_engine"]


def test_what_a_step_may_alter() -> None:
    steps = plan("onnx", Target("trt", "int8", (10, 3)))
    assert {step.name: step.alters for step in steps if step.alters != "nothing"} == {
        "lower_opset_onnx": "form",
        "simplify_onnx": "form",
        "quantise_onnx": "values",
    }


def test_the_precision_is_in_the_model_from_tensorrt_11_on() -> None:
    assert Target("trt", "int8", (11, 1)).typed
    assert not any(target.typed for target in (Target("trt", "int8", (10, 3)), Target("trt"), Target("ort", "fp32")))


def test_unknown_precision_of_tensorrt_names_the_nearest() -> None:
    with pytest.raises(UnknownPrecisionError, match="'trt' takes no model of precision 'fp8'") as caught:
        plan("onnx", Target("trt", "fp8"))
    assert caught.value.hint == "choose from 'fp16', 'fp32', 'int8', 'tf32'"


def test_unknown_precision_names_what_there_is() -> None:
    with pytest.raises(UnknownPrecisionError, match="'fp16'") as caught:
        plan("onnx", Target("ort", "fp16"))
    assert caught.value.hint == "choose from 'fp32'"


def test_unknown_runtime_names_what_there_is() -> None:
    with pytest.raises(UnknownRuntimeError, match="'openvino'") as caught:
        plan("onnx", Target("openvino", "fp32"))
    assert caught.value.hint == "choose from 'ort', 'tflite', 'trt'"


def test_unknown_format_names_the_nearest() -> None:
    with pytest.raises(UnknownFormatError, match="'onxn'") as caught:
        plan("onxn", Target("ort", "fp32"))
    assert caught.value.hint == "did you mean 'onnx'?"


@pytest.mark.parametrize(
    ("accelerator", "last"), [(None, ["tflite_from_onnx"]), ("edgetpu", ["tflite_from_onnx", "edgetpu_from_tflite"])]
)
def test_for_tflite_all_is_done_on_the_host(accelerator: Literal["edgetpu"] | None, last: list[str]) -> None:
    steps = plan("onnx", Target("tflite", "int8", accelerator=accelerator))
    assert [step.name for step in steps] == [
        "load_onnx",
        "freeze_onnx",
        "lower_opset_onnx",
        "simplify_onnx",
        "preflight_onnx",
        *last,
    ]
    assert {step.site for step in steps} == {"host"}
    with pytest.raises(UnknownPrecisionError):
        plan("onnx", Target("tflite", "fp32"))
