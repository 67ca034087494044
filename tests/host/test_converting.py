"""What of a conversion the host refuses by itself: nothing has to be pushed to find it out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zoo
from onnx import helper, numpy_helper
from photos import photo
from tensorrt_stand_in import models

from contract.profile import read_profile
from host.accelerator import Use
from host.bundle import Bundle
from host.converting import Request, make
from host.errors import InputError, ModelFileError

INSPECTION = {"boardfit": '{"preprocessing": {"height": 16, "width": 16}}'}
ON_CPU = Use(cpu=True)


def made(path: Path, board: str, **asked: Any) -> Bundle:
    request = Request(path, {}, **({"trial_build_s": 0} if board == "orin-nano" else {}), **asked)
    return make(request, read_profile(board), lambda step: None)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return zoo.save(zoo.autoencoder(INSPECTION), tmp_path)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    folder = tmp_path / "good"
    folder.mkdir()
    for index in range(3):
        (folder / f"{index}.png").write_bytes(photo(size=(16, 16), seed=index))
    return folder


@pytest.mark.parametrize(
    ("board", "use", "hint"),
    [
        ("orin-nano", Use(), "calibrate with more images (--calibrate DIR), choose --precision fp16, or allow it with"),
        ("coral", ON_CPU, "calibrate with more images (--calibrate DIR), try --ranges, or allow it with"),
    ],
)
def test_int8_that_is_too_far_from_the_model(board: str, use: Use, hint: str, model: Path, good: Path) -> None:
    asked: dict[str, Any] = {"calibrate": good, "precision": "int8", "use": use}
    with pytest.raises(ModelFileError, match=r"int8 comes to \d\d\.\d dB \(SQNR\) .*, 90 dB are asked for") as caught:
        made(model, board, tolerance_db=90.0, **asked)
    assert caught.value.code == "below_tolerance"
    assert caught.value.hint == f"{hint} --tolerance-db"
    assert ("; the worst layer is " in caught.value.message) == (board == "coral")
    assert made(model, board, tolerance_db=5.0, **asked).manifest.golden.tolerance_db == 5.0


def test_a_model_that_is_quantised_is_calibrated_with_nothing(tmp_path: Path, good: Path) -> None:
    notices = made(quantised(tmp_path), "orin-nano", precision="int8", calibrate=good).notices
    assert f"golden inputs: 3 images in {good}" in notices
    assert "int8: the model is quantised already, and its own ranges are kept" in notices
    assert not any("calibrated with" in notice or "inf dB" in notice for notice in notices)


@pytest.mark.parametrize(
    ("board", "hint"),
    [
        ("orin-nano", "the model is quantised: name --precision int8"),
        ("jetson-nano", "export the float model: this GPU has no int8"),
    ],
)
def test_a_model_that_is_quantised_needs_int8(board: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="refuses 2 of 3 nodes: QuantizeLinear") as caught:
        made(quantised(tmp_path), board, precision="fp16")
    assert caught.value.hint == hint


def quantised(folder: Path) -> Path:
    return zoo.save(models.quantised(), folder)


@pytest.mark.parametrize(
    ("board", "precision", "use"),
    [("desktop", "fp32", Use()), ("orin-nano", "fp16", Use()), ("orin-nano", "int8", Use()), ("coral", "int8", ON_CPU)],
)
def test_a_damaged_weight_is_refused_in_the_same_words(
    board: str, precision: str, use: Use, tmp_path: Path, good: Path
) -> None:
    damaged = zoo.autoencoder(INSPECTION)
    kernel = numpy_helper.to_array(damaged.graph.initializer[0]).copy()
    kernel.ravel()[:3] = np.nan, np.inf, 1
    damaged.graph.initializer[0].CopyFrom(numpy_helper.from_array(kernel, "down"))
    path = zoo.save(damaged, tmp_path)
    with pytest.raises(ModelFileError) as caught:
        made(path, board, precision=precision, use=use, calibrate=good)
    assert caught.value.code == "not_finite"
    assert caught.value.message == (f"{path.name}: of the constants of Conv (node 'encoder'), 2 of 384 are not finite")


def test_what_is_no_number_for_some_inputs_is_told(tmp_path: Path) -> None:
    nodes = [helper.make_node("Sub", ["x", "h"], ["a"]), helper.make_node("Sqrt", ["a"], ["y"])]
    dims, half = (1, 3, 8, 8), numpy_helper.from_array(np.float32(0.5), "h")
    path = zoo.save(zoo.model(nodes, [zoo.tensor("x", dims)], [zoo.tensor("y", dims)], [half]), tmp_path)
    [notice] = [notice for notice in made(path, "desktop").notices if "golden values are NaN" in notice]
    assert notice.startswith("of the output 'y', ")
    nodes[0].input[1] = "x"
    nodes[1] = helper.make_node("Div", ["a", "a"], ["y"])
    path = zoo.save(zoo.model(nodes, [zoo.tensor("x", dims)], [zoo.tensor("y", dims)]), tmp_path)
    with pytest.raises(ModelFileError, match="'y' has no finite value") as caught:
        made(path, "desktop")
    assert caught.value.code == "not_finite"


def test_a_folder_that_is_no_bundle_is_told_before_options_that_come_too_late(tmp_path: Path, good: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="empty is a folder without a converted model"):
        made(empty, "coral", use=ON_CPU, calibrate=good)
