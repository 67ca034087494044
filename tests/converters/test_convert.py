from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import zoo
from onnx import helper, numpy_helper

import converters.convert
from converters.convert import Converted, convert
from converters.draft import Draft
from converters.errors import (
    DynamicShapeError,
    InvalidModelError,
    NeedsCalibrationError,
    StepChangedOutputsError,
    UnknownPrecisionError,
)
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
    assert (converted.weights, converted.macs) == (108, 108 * 8 * 8)
    assert converted.inspection == '{"score": 1}'
    assert converted.notices == ("batch dimension fixed to 1: 'image'",)
    assert converted.signature.inputs[0].shape == (1, 3, 8, 8)


@pytest.mark.parametrize("target", [Target("trt", "int8", (10, 3)), Target("tflite", "int8")])
def test_what_is_begun_is_taken_up(tmp_path: Path, target: Target) -> None:
    """The first steps are not done again, and nothing else comes of it."""
    heard: list[str] = []
    source = zoo.save(zoo.autoencoder(metadata={"boardfit": "{}"}), tmp_path)
    whole = convert(source, target, calibration=IMAGES)
    begun = convert(source, ORT)
    assert convert(source, target, begun=begun, on_step=heard.append, calibration=IMAGES) == whole
    assert whole.steps == (*begun.steps[:2], *heard)


def test_what_is_begun_keeps_its_notices_and_its_counts(tmp_path: Path) -> None:
    begun = convert(zoo.save(zoo.dynamic_batch(), tmp_path), ORT)
    taken_up = convert(tmp_path / "model.onnx", Target("trt", "fp16", (10, 3)), begun=begun)
    assert taken_up.notices[0] == "batch dimension fixed to 1: 'image'"
    assert (taken_up.weights, taken_up.macs) == (108, 108 * 8 * 8)


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


IMAGES = [[np.random.default_rng(seed).random((1, 3, 16, 16), dtype=np.float32)] for seed in range(3)]
ROUTES = [
    ("fp32", (8, 2, 1)),
    ("tf32", (8, 5, 2)),
    ("fp16", (10, 3)),
    ("fp16", (11, 1)),
    ("int8", (8, 6, 2)),
    ("int8", (11,)),
]


@pytest.mark.parametrize(("precision", "version"), ROUTES)
def test_for_tensorrt_from_a_file_to_what_a_board_builds(
    tmp_path: Path, precision: str, version: tuple[int, ...]
) -> None:
    heard: list[str] = []
    source = zoo.save(zoo.autoencoder(metadata={"boardfit": "{}"}), tmp_path)
    target = Target("trt", precision, version)
    converted = convert(source, target, on_step=heard.append, calibration=IMAGES)
    assert converted.steps == tuple(heard)
    assert heard[:4] == ["load_onnx", "freeze_onnx", "lower_opset_onnx", "simplify_onnx"]
    assert heard[-2:] == ["preflight_onnx", "preflight_tensorrt"]
    assert converted.board_steps == ("build_engine",)
    assert converted.typed == (version[0] >= 11)
    assert converted.weights == 768
    assert converted.inspection == "{}"
    for spec in (*converted.signature.inputs, *converted.signature.outputs):
        assert (spec.dtype, spec.shape) == ("float32", (1, 3, 16, 16))
    assert OnnxReference(converted.model).input_names == ("image",)


@pytest.mark.parametrize(("precision", "version"), ROUTES)
def test_for_tensorrt_the_same_file_gives_the_same_bytes(
    convert_for_tensorrt: Convert, precision: str, version: tuple[int, ...]
) -> None:
    first, second = (
        convert_for_tensorrt(zoo.autoencoder(metadata={"b": "2", "a": "1"}), precision, version, IMAGES)
        for _ in range(2)
    )
    assert first == second


def test_the_precision_in_the_model_is_told_with_its_distance(convert_for_tensorrt: Convert) -> None:
    (half,) = convert_for_tensorrt(zoo.autoencoder(), "fp16", (11, 1)).notices
    assert half.startswith("fp16: with the constants alone rounded, ")
    assert half.endswith(" dB (SQNR) from the original, on noise")
    (int8,) = convert_for_tensorrt(zoo.autoencoder(), "int8", (10, 3), IMAGES).notices
    assert int8.startswith("int8: with weights and values rounded, ")
    assert int8.endswith(" dB (SQNR) from the original, on the first calibration inputs")
    assert convert_for_tensorrt(zoo.autoencoder(), "fp16", (10, 3)).notices == ()


def test_int8_without_images(convert_for_tensorrt: Convert) -> None:
    with pytest.raises(NeedsCalibrationError, match="int8 needs images"):
        convert_for_tensorrt(zoo.autoencoder(), "int8", (10, 3))


def test_the_weights_are_counted_before_anything_is_folded(convert_for_tensorrt: Convert) -> None:
    """Two layers share a kernel; folding a normalisation into one of them gives each its own."""
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["a"]),
        helper.make_node("BatchNormalization", ["a", *"stmv"], ["b"]),
        helper.make_node("Conv", ["b", "kernel"], ["y"]),
    ]
    constants = [zoo.weights("kernel", 3, 3, 1, 1), *(zoo.weights(name, 3) for name in "stm")]
    constants.append(numpy_helper.from_array(np.array([1, 2, 3], np.float32), "v"))
    made = zoo.model(nodes, [zoo.tensor("x", (1, 3, 4, 4))], [zoo.tensor("y", (1, 3, 4, 4))], constants)
    converted = convert_for_tensorrt(made)
    assert converted.weights == 9
    assert [node.op_type for node in onnx.load_model_from_string(converted.model).graph.node] == ["Conv", "Conv"]


def test_a_step_of_ours_that_breaks_the_model_stops_the_conversion(
    convert_for_tensorrt: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(draft: Draft) -> None:
        kernel = draft.model.graph.initializer[0]
        kernel.raw_data = (np.frombuffer(kernel.raw_data, np.float32) * np.float32(1.01)).tobytes()

    real = converters.convert.import_module
    spoiled = {"converters.steps.simplify_onnx": SimpleNamespace(apply=spoil)}
    monkeypatch.setattr(converters.convert, "import_module", lambda name: spoiled.get(name) or real(name))
    with pytest.raises(StepChangedOutputsError, match="after the steps lower_opset_onnx and simplify_onnx the model"):
        convert_for_tensorrt(zoo.autoencoder())


def test_a_dynamic_model_is_frozen_before_it_is_lowered(convert_for_tensorrt: Convert) -> None:
    made = zoo.dynamic_batch()
    made.opset_import[0].version = 20
    converted = convert_for_tensorrt(made, "fp32", (8, 2))
    assert onnx.load_model_from_string(converted.model).opset_import[0].version == 13
    assert converted.signature.inputs[0].shape[0] == 1
