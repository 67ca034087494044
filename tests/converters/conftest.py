"""Converting a model of the zoo as a user does: from a file."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import zoo
from onnx import ModelProto

from converters.convert import Converted, convert
from converters.plan import Target

Convert = Callable[..., Converted]


@pytest.fixture
def convert_model(tmp_path: Path) -> Convert:
    """``convert_model(model, {"x": (1, 3, 8, 8)})``: the model is saved and converted for ONNX Runtime."""

    def run(model: ModelProto, input_shapes: Mapping[str, tuple[int, ...]] | None = None) -> Converted:
        return convert(zoo.save(model, tmp_path), Target("ort", "fp32"), input_shapes)

    return run
