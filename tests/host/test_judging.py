"""What a model knows of its inspection becomes what a bundle has, or is refused with a reason."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from photos import photo

from contract.manifest import Preprocessing
from contract.tensors import Signature, TensorSpec
from host.errors import InputError
from host.judging import TRAINING_ERROR, judging_of
from inspection.score import encode_error_map

IMAGE = TensorSpec(name="image", dtype="float32", shape=(1, 3, 8, 12))
SIGNATURE = Signature(inputs=(IMAGE,), outputs=(IMAGE,))
USUAL = np.linspace(0.01, 1, 96, dtype=np.float32).reshape(8, 12)
GOOD = [photo(size=(12, 8), seed=seed) for seed in range(2)]
NORMALISED = {"method": "max_normalised_squared_error", "threshold": 3.0}


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def said(**changes: Any) -> str:
    """What the model says."""
    known = {
        "preprocessing": {"height": 8, "width": 12},
        "score": NORMALISED,
        "training_error": encode_error_map(USUAL),
        "good_images": [text(content) for content in GOOD],
    }
    return json.dumps(known | changes)


@pytest.fixture
def blue_first(tmp_path: Path) -> Path:
    """A preprocessing file of the user."""
    path = tmp_path / "mine.toml"
    path.write_text('color = "BGR"')
    return path


def test_all_of_it() -> None:
    judging = judging_of(said(), SIGNATURE, None)
    assert judging.preprocessing == Preprocessing(height=8, width=12)
    assert judging.score
    assert judging.score.model_dump() == {**NORMALISED, "sigma": 1.0}
    assert list(judging.files) == [TRAINING_ERROR, "good/000.png", "good/001.png"]
    assert list(judging.good_images.values()) == GOOD
    usual = np.frombuffer(judging.files[TRAINING_ERROR], "<f4").reshape(8, 12)
    np.testing.assert_allclose(usual, USUAL, rtol=1e-3)
    assert len(judging.notices) == 1


def test_a_model_from_before() -> None:
    judging = judging_of('{"preprocessing": {"height": 8, "width": 12}, "score": {"threshold": 0.5}}', SIGNATURE, None)
    assert judging.score
    assert (judging.files, judging.training_error, judging.good_images) == ({}, None, {})


def test_a_model_that_knows_nothing() -> None:
    judging = judging_of(None, SIGNATURE, None)
    assert (judging.score, judging.files) == (None, {})
    assert judging.preprocessing == Preprocessing(height=8, width=12)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"training_error": None}, "needs a training error map"),
        ({"training_error": encode_error_map(USUAL[:4])}, "training_error has 96 bytes, 8 x 12 pixels need 192"),
        ({"training_error": text(bytes(192))}, "the training error map has the mean 0.0"),
        ({"training_error": text(b"\x00\x7e" * 96)}, "the training error map has the mean nan"),
        ({"good_images": [text(photo(size=(8, 12)))]}, "good_images.0 is no PNG file of 12 x 8 pixels"),
        ({"good_images": [text(photo("JPEG", (12, 8)))]}, "good_images.0 is no PNG file"),
        ({"good_images": [text(GOOD[0]), text(GOOD[1][:100])]}, "good image 1 in the model: the PNG file of 100 bytes"),
        ({"good_images": [text(GOOD[0])] * 65}, "good_images: Tuple should have at most 64 items"),
    ],
)
def test_what_cannot_be_is_told_with_a_hint(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as raised:
        judging_of(said(**changes), SIGNATURE, None)
    assert told in raised.value.message
    assert "make the model again" in raised.value.hint
    assert len(raised.value.message) < 300


def test_of_another_size_than_the_model_even_if_the_user_prepares_otherwise(blue_first: Path) -> None:
    """The map and the images are of the size that the model says."""
    square = TensorSpec(name="image", dtype="float32", shape=(1, 3, 8, 8))
    for override in (None, blue_first):
        with pytest.raises(InputError, match="what the model says of its preprocessing makes one RGB image"):
            judging_of(said(), Signature(inputs=(square,), outputs=(square,)), override)


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({}, "the model's training error map is of images prepared as the model says: check its decisions"),
        ({"score": {"threshold": 0.5}}, None),  # it is found again on the board
        (
            {"score": {"threshold": 0.5}, "good_images": []},
            "the model's threshold was set on images prepared as the model says: check its decisions",
        ),
        ({"score": {}, "good_images": []}, None),
    ],
)
def test_what_is_doubtful_when_images_are_prepared_in_another_way(
    blue_first: Path, changes: dict[str, Any], doubt: str | None
) -> None:
    judging = judging_of(said(**changes), SIGNATURE, blue_first)
    assert judging.preprocessing
    assert judging.preprocessing.color == "BGR"
    assert judging.notices[1:] == (() if doubt is None else (doubt,))
    assert judging_of(said(**changes), SIGNATURE, None).notices[1:] == ()
