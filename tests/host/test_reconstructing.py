from dataclasses import replace
from pathlib import Path
from typing import Any

import bundles
import numpy as np
import onnx
import pytest
import zoo
from low_pass import build_autoencoder
from onnx import ModelProto, TensorProto, helper
from told import Told

from compression.autoencoder import set_inspection
from compression.calibrate import reconstructor_of
from compression.compress import compress
from contract.profile import read_profile
from host.bundle import Bundle
from host.client import AgentClient
from host.converting import Request
from host.errors import DoesNotRunError, InputError, ModelFileError
from host.reconstructing import Subject, placed, read_subject, reconstruct
from inspection.preprocess import Preprocessing
from inspection.score import Score

PROFILE = read_profile("desktop")


def subject_of(path: Path, **asked: Any) -> Subject:
    return read_subject(Request(path, asked.pop("input_shapes", {}), **asked), PROFILE, Told())


def dimmed(element: int) -> ModelProto:
    """x -> x / 2."""
    return zoo.model(
        [helper.make_node("Mul", ["x", "half"], ["y"])],
        [zoo.tensor("x", (1, 3, 8, 8), element)],
        [zoo.tensor("y", (1, 3, 8, 8), element)],
        [helper.make_tensor("half", element, (), [0.5])],
    )


def photos(count: int = 3, size: int = 32) -> np.ndarray:
    return np.random.default_rng(1).random((count, 3, size, size), np.float32)


def test_what_a_model_brings(tmp_path: Path) -> None:
    model = build_autoencoder(0, 32)
    usual = np.linspace(1e-4, 1e-2, 32 * 32, dtype=np.float32).reshape(32, 32)
    judged = Score(method="max_normalised_squared_error", sigma=2.0, threshold=7.5)
    preprocessing = Preprocessing(color="BGR", height=32, width=32, mean=(0.1, 0.2, 0.3), std=(0.5, 0.5, 0.5))
    set_inspection(model, preprocessing, judged, usual)
    subject = subject_of(zoo.save(model, tmp_path, "capsules.onnx"))
    assert (subject.name, subject.score, subject.preprocessing) == ("capsules.onnx", judged, preprocessing)
    assert subject.training_error is not None
    assert np.allclose(subject.training_error, usual, rtol=2e-3)
    assert subject.rate is None
    assert subject.manifest.weights == 1_394_176


def test_a_model_that_says_nothing_of_itself(tmp_path: Path) -> None:
    subject = subject_of(zoo.save(dimmed(TensorProto.FLOAT), tmp_path))
    assert (subject.score, subject.training_error, subject.rate) == (Score(), None, None)
    assert subject.preprocessing == Preprocessing(height=8, width=8)


def test_a_compressed_model_knows_its_rate(tmp_path: Path) -> None:
    compressed = compress(build_autoencoder(0, 32), rate=0.9)
    subject = subject_of(zoo.save(compressed.model, tmp_path))
    assert subject.rate == compressed.table.rate
    assert subject.manifest.weights == compressed.table.weights_after


def test_a_folder_of_convert(untrained: Path, tmp_path: Path) -> None:
    whole = subject_of(untrained)
    whole.bundle.write(tmp_path / "converted")
    again = subject_of(tmp_path / "converted")
    assert again.name == f"{tmp_path / 'converted' / 'model.onnx'}, fp32 of capsules.onnx"
    assert (again.score, again.manifest.bundle_id) == (whole.score, whole.manifest.bundle_id)


@pytest.mark.parametrize(
    ("model", "what"),
    [
        (zoo.convolution(), "it takes image float32 [1, 3, 8, 8] and gives map float32 [1, 4, 8, 8]"),
        (zoo.identity((1, 4)), "it takes x float32 [1, 4] and gives y float32 [1, 4]"),
        (zoo.identity((2, 3, 4, 4)), "it takes x float32 [2, 3, 4, 4] and gives y float32 [2, 3, 4, 4]"),
        (zoo.mixed(), "reconstructs no image"),
    ],
)
def test_models_that_reconstruct_no_image(tmp_path: Path, model: ModelProto, what: str) -> None:
    path = zoo.save(model, tmp_path)
    with pytest.raises(InputError) as error:
        subject_of(path)
    assert error.value.code == "no_reconstruction"
    assert what in error.value.message


def test_what_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "m.pt").write_bytes(b"PK and more")
    with pytest.raises(ModelFileError) as error:
        subject_of(tmp_path / "m.pt")
    assert error.value.hint == "name an .onnx or .tflite file, or a folder that `host convert` wrote"
    with pytest.raises(ModelFileError, match="No such file"):
        subject_of(tmp_path / "gone.onnx")
    with pytest.raises(InputError, match="a folder without a converted model"):
        subject_of(tmp_path)


def test_open_sizes_are_given(tmp_path: Path) -> None:
    path = zoo.save(zoo.identity(("N", 3, "H", "W")), tmp_path)
    with pytest.raises(ModelFileError) as error:
        subject_of(path)
    assert error.value.code == "dynamic_shape"
    assert subject_of(path, input_shapes={"x": (1, 3, 16, 24)}).spec.shape == (1, 3, 16, 24)


@pytest.mark.parametrize(
    ("model", "dtype", "gain", "scale"),
    [
        (dimmed(TensorProto.FLOAT), "float32", 0.5, 1 / 255),
        (dimmed(TensorProto.FLOAT16), "float16", 0.5, 1 / 255),
        (zoo.identity((1, 3, 8, 8), TensorProto.UINT8), "uint8", 1, 1.0),
    ],
)
def test_every_element_type_an_image_can_have(
    tmp_path: Path, model: ModelProto, dtype: str, gain: float, scale: float
) -> None:
    """Without metadata a model of bytes takes the pixels as they are."""
    subject = subject_of(zoo.save(model, tmp_path))
    assert (subject.spec.dtype, subject.preprocessing.scale) == (dtype, scale)
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8)).astype(np.float32)
    with placed(subject, None, Told()) as place:
        made = reconstruct(subject, place, images, "test images", Told())
    assert made.dtype == np.float32
    assert np.array_equal(made, images * gain)


def test_bytes_are_never_scaled_whatever_is_said(tmp_path: Path) -> None:
    model = zoo.identity((1, 3, 8, 8), TensorProto.UINT8)
    set_inspection(model, Preprocessing(height=8, width=8, mean=(0.5,) * 3, std=(0.1,) * 3), Score())
    subject = subject_of(zoo.save(model, tmp_path))
    assert subject.preprocessing == Preprocessing(height=8, width=8, scale=1.0)


def test_on_this_machine(untrained: Path) -> None:
    subject, told, images = subject_of(untrained), Told(), photos()
    with placed(subject, None, told) as place:
        made = reconstruct(subject, place, images, "test images", told)
    alone = reconstructor_of(onnx.load(untrained))
    assert np.allclose(made, np.concatenate([alone(image[np.newaxis]) for image in images]), atol=1e-6)
    assert (place.name, place.threshold) == ("this machine", None)
    assert set(told.stages) == {"this machine: reconstructing test images"}
    assert told.done[-1] == (3, 3)


def test_on_a_board(client: AgentClient, untrained: Path) -> None:
    subject, told, images = subject_of(untrained), Told(), photos()
    with placed(subject, client, told) as place:
        [served] = client.models()
        made = reconstruct(subject, place, images, "test images", told)
        with placed(subject, None, Told()) as here:
            assert np.array_equal(made, reconstruct(subject, here, images, "test images", Told()))
    assert served.temporary
    assert (place.name, place.threshold) == ("board", None)
    assert client.models() == []
    assert "board: reconstructing test images" in told.stages
    assert told.notes == []


def test_the_threshold_that_the_board_has_found(client: AgentClient, capsules: Path, tmp_path: Path) -> None:
    good = tuple(path.read_bytes() for path in sorted((capsules / "train" / "good").iterdir()))
    model = build_autoencoder(0, 32)
    set_inspection(model, Preprocessing(height=32, width=32), Score(threshold=1.0), good_images=good)
    subject = subject_of(zoo.save(model, tmp_path))
    with placed(subject, client, Told()) as place:
        assert place.threshold is not None
        assert 0 < place.threshold < 1


@pytest.mark.parametrize("trouble", [KeyboardInterrupt, ZeroDivisionError])
def test_it_is_taken_off_whatever_happens(client: AgentClient, untrained: Path, trouble: type[BaseException]) -> None:
    with pytest.raises(trouble), placed(subject_of(untrained), client, Told()):
        raise trouble
    assert client.models() == []


def test_a_model_that_does_not_run_there(client: AgentClient, untrained: Path) -> None:
    subject = subject_of(untrained)
    broken = bundles.Bundle(subject.manifest, subject.bundle.files).with_file("model.onnx", b"rubbish")
    rubbish = replace(subject, bundle=Bundle(broken.manifest, broken.files))
    with pytest.raises(DoesNotRunError), placed(rubbish, client, Told()):
        raise AssertionError("it does not load")
    assert client.models() == []
