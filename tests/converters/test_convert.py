from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import zoo

from converters.convert import Converted, convert
from converters.errors import DynamicShapeError, InvalidModelError, UnknownPrecisionError
from converters.golden import make_golden
from converters.plan import Target
from converters.reference import OnnxReference

Convert = Callable[..., Converted]

ORT = Target("ort", "fp32")


def test_what_comes_out(tmp_path: Path) -> None:
    heard: list[str] = []
    source = zoo.save(zoo.convolution(("N", 3, 8, 8), metadata={"boardfit": '{"score": 1}'}), tmp_path)
    converted = convert(source, ORT, on_step=heard.append)
    assert converted.steps == tuple(heard) == ("load_onnx", "freeze_onnx", "preflight_onnx")
    assert converted.weights == 108
    assert converted.inspection == '{"score": 1}'
    assert converted.notices == ("batch dimension fixed to 1: 'image'",)
    assert converted.signature.inputs[0].shape == (1, 3, 8, 8)


def test_without_metadata_there_is_no_inspection(convert_model: Convert) -> None:
    assert convert_model(zoo.convolution(metadata={"author": "x"})).inspection is None


def test_metadata_stays_in_the_model(convert_model: Convert) -> None:
    converted = convert_model(zoo.autoencoder(metadata={"boardfit": "{}", "author": "x"}))
    kept = onnx.load_model_from_string(converted.model).metadata_props
    assert {entry.key: entry.value for entry in kept} == {"boardfit": "{}", "author": "x"}


def test_a_frozen_model_computes_what_the_source_does(convert_model: Convert) -> None:
    source = zoo.dynamic_image()
    image = np.random.default_rng(3).random((1, 3, 12, 16), dtype=np.float32)
    (expected,) = OnnxReference(source.SerializeToString())([image])
    (got,) = OnnxReference(convert_model(source, {"image": image.shape}).model)([image])
    np.testing.assert_array_equal(got, expected)


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    source = zoo.save(zoo.autoencoder(metadata={"b": "2", "a": "1"}), tmp_path)
    first, second = convert(source, ORT), convert(source, ORT)
    assert first == second
    assert make_golden(first.signature, OnnxReference(first.model)) == make_golden(
        second.signature, OnnxReference(second.model)
    )


def test_external_data_gives_the_same_self_contained_file(tmp_path: Path) -> None:
    inner = convert(zoo.save(zoo.autoencoder(), tmp_path, "inner.onnx"), ORT)
    outer = convert(zoo.save_external(zoo.autoencoder(), tmp_path, "outer.onnx"), ORT)
    assert inner == outer


def test_a_constant_shorter_than_its_shape(convert_model: Convert) -> None:
    made = zoo.convolution()
    made.graph.initializer[0].raw_data = made.graph.initializer[0].raw_data[:400]
    with pytest.raises(InvalidModelError):
        convert_model(made)


def test_the_source_is_left_alone(tmp_path: Path) -> None:
    source = zoo.save_external(zoo.dynamic_batch(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    convert(source, ORT)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_nothing_is_read_for_a_target_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UnknownPrecisionError):
        convert(tmp_path / "missing.onnx", Target("ort", "int3"))


def test_steps_after_a_failure_are_not_begun(tmp_path: Path) -> None:
    heard: list[str] = []
    with pytest.raises(DynamicShapeError):
        convert(zoo.save(zoo.dynamic_image(), tmp_path), ORT, on_step=heard.append)
    assert heard == ["load_onnx", "freeze_onnx"]
