"""The step as a user meets it: from an ONNX file to a TFLite file, with notices."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zoo
from onnx import helper, numpy_helper

from converters.artifact import ArtifactTensor
from converters.convert import Converted, convert
from converters.errors import NeedsCalibrationError, NotInTfliteError, UnfitFileError
from converters.int8_options import Int8Options
from converters.plan import Target
from converters.tflite import interpreter, report

TARGET = Target("tflite", "int8")


def photographs(count: int = 3, side: int = 16) -> list[list[np.ndarray]]:
    generator = np.random.default_rng(0)
    return [[generator.random((1, 3, side, side), dtype=np.float32)] for _ in range(count)]


def converted(folder: Path, model: Any = None, **more: Any) -> Converted:
    return convert(zoo.save(model or zoo.autoencoder(), folder), TARGET, calibration=photographs(), **more)


def test_from_onnx_to_a_file_with_its_artifact_layers_and_notices(tmp_path: Path) -> None:
    made = converted(tmp_path)
    assert made.model[4:8] == b"TFL3"
    assert made.steps[-1] == "tflite_from_onnx"
    assert made.board_steps == ()
    assert made.signature.inputs[0].shape == (1, 3, 16, 16)
    assert made.artifact is not None
    (image,) = made.artifact.inputs
    assert (image.name, image.dtype, image.shape, image.order) == ("image", "int8", (1, 16, 16, 3), (0, 2, 3, 1))
    assert image.scale == pytest.approx(1 / 255, rel=0.01)
    assert image.zero_point == -128
    assert all(layer.sqnr_db > 25 for layer in made.layers)
    assert any(notice.startswith("int8: farthest from the original are ") for notice in made.notices)
    assert any("dB (SQNR) from the original, on the first calibration inputs" in notice for notice in made.notices)
    assert made.weights > 0


def test_a_file_that_gives_something_else_where_tensors_share_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a defect is hidden from whoever reads all tensors."""

    class Sharing(interpreter.Interpreter):
        def __init__(self, *given: Any, keep: bool = False) -> None:
            super().__init__(*given, keep=keep)
            self._spoilt = not keep

        def integers(self, number: int) -> np.ndarray:
            return super().integers(number) ^ self._spoilt

    monkeypatch.setattr(report, "Interpreter", Sharing)
    with pytest.raises(UnfitFileError, match="another 'reconstruction' where tensors share memory"):
        converted(tmp_path)


def test_bytes_in_and_out(tmp_path: Path) -> None:
    plain, bytes_ = (converted(tmp_path, options=Int8Options(io=io)) for io in ("int8", "uint8"))
    assert plain.artifact is not None
    assert bytes_.artifact is not None
    for inside, outside in zip(
        (*plain.artifact.inputs, *plain.artifact.outputs),
        (*bytes_.artifact.inputs, *bytes_.artifact.outputs),
        strict=True,
    ):
        assert inside.zero_point is not None
        assert outside == ArtifactTensor(
            inside.name, "uint8", inside.shape, inside.order, inside.scale, inside.zero_point + 128
        )
    case = photographs(1)[0]
    (one,), (other,) = (interpreter.run(made.model, made.artifact, [case]) for made in (plain, bytes_) if made.artifact)
    assert np.array_equal(one[0], other[0])


def test_the_interpreter_reports_the_names(tmp_path: Path) -> None:
    made = converted(tmp_path, options=Int8Options(io="uint8"))
    from ai_edge_litert.interpreter import Interpreter

    loaded = Interpreter(model_content=made.model)
    assert made.artifact is not None
    for details, tensors in (
        (loaded.get_input_details(), made.artifact.inputs),
        (loaded.get_output_details(), made.artifact.outputs),
    ):
        for detail, tensor in zip(details, tensors, strict=True):
            assert detail["name"] == tensor.name
            assert tuple(detail["shape"]) == tensor.shape
            assert detail["dtype"].__name__ == tensor.dtype
            assert detail["quantization"] == (pytest.approx(tensor.scale), tensor.zero_point)


def test_without_images_nothing_is_converted(tmp_path: Path) -> None:
    with pytest.raises(NeedsCalibrationError, match="int8 needs images") as refusal:
        convert(zoo.save(zoo.autoencoder(), tmp_path), TARGET)
    assert "--calibrate" in refusal.value.hint


def test_without_an_interpreter_it_is_converted_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = converted(tmp_path)

    def absent() -> Any:
        raise interpreter.NotInstalledError("no ai_edge_litert")

    monkeypatch.setattr(interpreter, "_litert", absent)
    made = converted(tmp_path)
    assert made.model == whole.model
    assert made.layers == ()
    assert any("not compared" in notice and ".[coral]" in notice for notice in made.notices)
    assert not any("dB" in notice for notice in made.notices if notice.startswith("int8"))


def test_what_stays_on_the_cpu_is_said(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Tanh", ["image"], ["a"]),
        helper.make_node("MaxPool", ["a"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4),
    ]
    made = converted(tmp_path, zoo.model(nodes, [zoo.tensor("image", (1, 3, 16, 16))], [zoo.tensor("y", (1, 3, 8, 8))]))
    assert any(notice.startswith("Edge TPU: PADV2 stays on the CPU") for notice in made.notices)


@pytest.mark.parametrize("opset", [9, 11, 13, 18, 21])
def test_opsets_old_and_new(tmp_path: Path, opset: int) -> None:
    nodes = [helper.make_node("Conv", ["image", "w"], ["a"], pads=[1] * 4), helper.make_node("Relu", ["a"], ["y"])]
    model = zoo.model(
        nodes,
        [zoo.tensor("image", (1, 3, 16, 16))],
        [zoo.tensor("y", (1, 4, 16, 16))],
        [zoo.weights("w", 4, 3, 3, 3)],
        opset=opset,
    )
    assert converted(tmp_path, model).layers[-1].sqnr_db > 30


def test_an_operator_of_a_newer_opset_is_named_as_it_is(tmp_path: Path) -> None:
    """Not as the parts that it would be written out as for TensorRT."""
    node = helper.make_node("Gelu", ["image"], ["y"], name="soft")
    model = zoo.model([node], [zoo.tensor("image", (1, 3, 16, 16))], [zoo.tensor("y", (1, 3, 16, 16))], opset=20)
    with pytest.raises(NotInTfliteError, match="Gelu") as refusal:
        converted(tmp_path, model)
    assert refusal.value.node == "soft"


def test_a_layer_is_named_after_its_node(tmp_path: Path) -> None:
    """It is named after the node whose work it is, not after the Relu that is done along with it."""
    kernel = np.ones((2, 3, 2, 2), np.float32) * 1e-3
    kernel[0, 0, 0, 0] = 100
    kernel[0, 1:] = 1e-2
    nodes = [helper.make_node("Conv", ["image", "w"], ["a"], name="odd"), helper.make_node("Relu", ["a"], ["y"])]
    model = zoo.model(
        nodes, [zoo.tensor("image", (1, 3, 16, 16))], [zoo.tensor("y", None)], [numpy_helper.from_array(kernel, "w")]
    )
    made = converted(tmp_path, model)
    assert [(layer.name, layer.operator) for layer in made.layers] == [("odd", "Conv")]
