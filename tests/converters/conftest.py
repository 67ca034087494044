"""Converting a model as a user does: from a file."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import zoo
from onnx import ModelProto

from converters.convert import Converted, convert
from converters.draft import TRIAL_BUILD_S
from converters.plan import Target
from converters.tensorrt_operators import rtx

Convert = Callable[..., Converted]


@pytest.fixture
def convert_model(tmp_path: Path) -> Convert:
    """``convert_model(model, {"x": (1, 3, 8, 8)})``: the model is saved and converted for ONNX Runtime."""

    def run(model: ModelProto, input_shapes: Mapping[str, tuple[int, ...]] | None = None) -> Converted:
        return convert(zoo.save(model, tmp_path), Target("ort", "fp32"), input_shapes)

    return run


@pytest.fixture
def convert_for_tensorrt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Convert:
    """``convert_for_tensorrt(model, "fp16", (11, 1))``: all but TensorRT's preflight, which has its own tests."""

    def run(
        model: ModelProto,
        precision: str = "fp32",
        version: tuple[int, ...] | None = None,
        calibration: Sequence[Sequence[np.ndarray]] = (),
    ) -> Converted:
        monkeypatch.setattr("converters.steps.preflight_tensorrt.apply", lambda draft: None)
        return convert(zoo.save(model, tmp_path), Target("trt", precision, version), calibration=calibration)

    return run


@pytest.fixture(scope="session")
def builds_in_tensorrt() -> Callable[[bytes], None]:
    """``builds_in_tensorrt(model)``: TensorRT-RTX's parser and builder take it; skips where that is not installed."""

    def check(model: bytes) -> None:
        answer = rtx.examine(model, TRIAL_BUILD_S)
        if isinstance(answer, rtx.NoAnswer) and "not installed" in answer.reason:
            pytest.skip(answer.reason)
        assert isinstance(answer, rtx.Answer), answer
        assert (answer.parsed, answer.built) == (True, True), answer

    return check
