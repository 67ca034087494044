import pytest

from converters.errors import UnknownFormatError, UnknownPrecisionError, UnknownRuntimeError
from converters.plan import Target, plan


def test_onnx_for_onnx_runtime_is_made_static_on_the_host() -> None:
    steps = plan("onnx", Target("ort", "fp32"))
    assert [step.name for step in steps] == ["load_onnx", "freeze_onnx", "preflight_onnx"]
    assert {step.site for step in steps} == {"host"}


def test_unknown_precision_names_what_there_is() -> None:
    with pytest.raises(UnknownPrecisionError, match="'fp16'") as caught:
        plan("onnx", Target("ort", "fp16"))
    assert caught.value.hint == "choose from 'fp32'"


def test_unknown_runtime_names_what_there_is() -> None:
    with pytest.raises(UnknownRuntimeError, match="'openvino'") as caught:
        plan("onnx", Target("openvino", "fp32"))
    assert caught.value.hint == "choose from 'ort'"


def test_unknown_format_names_the_nearest() -> None:
    with pytest.raises(UnknownFormatError, match="'onxn'") as caught:
        plan("onxn", Target("ort", "fp32"))
    assert caught.value.hint == "did you mean 'onnx'?"
