"""From an encoded image to an input, from an output to a decision."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import bundles
import numpy as np
import pytest
from PIL import Image

from agent import decision
from agent.errors import BadImageError, UnsupportedMediaError, WorkerFailedError
from agent.loading import Deployment
from contract.manifest import Manifest, Preprocessing, Score
from contract.tensors import TensorSpec

BUNDLE = bundles.inspector(threshold=0.01)
MANIFEST = BUNDLE.manifest


def picture(shade: int, width: int = 8, height: int = 8, kind: str = "PNG") -> bytes:
    encoded = io.BytesIO()
    Image.new("RGB", (width, height), (shade, shade, shade)).save(encoded, kind)
    return encoded.getvalue()


def deployed(manifest: Manifest) -> Deployment:
    """Without its files."""
    return Deployment("m", manifest.bundle_id, manifest, Path("nowhere"))


def view(values: Any) -> memoryview:
    return memoryview(np.asarray(values, np.float32).tobytes())


@pytest.mark.parametrize("size", [(8, 8), (31, 17)])
def test_an_image_becomes_the_input_that_the_manifest_describes(size: tuple[int, int]) -> None:
    prepared = np.frombuffer(decision.prepare(MANIFEST, picture(51, *size)), np.float32)
    assert prepared.shape == (3 * 8 * 8,)
    assert prepared == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("encoded", "code"),
    [
        (b"", "broken_image"),
        (picture(9)[:40], "broken_image"),
        (b"GIF89a" + bytes(20), "unsupported_image"),
        (picture(9, kind="BMP"), "unsupported_image"),
    ],
)
def test_what_is_no_image_is_told(encoded: bytes, code: str) -> None:
    with pytest.raises(BadImageError) as told:
        decision.prepare(MANIFEST, encoded)
    assert told.value.code == code
    assert told.value.hint


def changed(**fields: Any) -> Manifest:
    return MANIFEST.model_copy(update=fields)


def with_input(*specs: TensorSpec) -> Manifest:
    return changed(signature=MANIFEST.signature.model_copy(update={"inputs": specs}))


IMAGE = MANIFEST.signature.inputs[0]


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        (changed(preprocessing=None), "takes tensors, no images"),
        (with_input(IMAGE, IMAGE), "takes tensors, no images"),
        (changed(preprocessing=Preprocessing(height=4, width=8)), r"become \[1, 3, 4, 8\] .* takes \[1, 3, 8, 8\]"),
        (with_input(IMAGE.model_copy(update={"dtype": "int64"})), "the model's input is int64"),
    ],
)
def test_a_model_that_takes_no_image_says_what_it_takes(manifest: Manifest, told: str) -> None:
    with pytest.raises(UnsupportedMediaError, match=told) as error:
        decision.prepare(manifest, picture(9))
    assert "application/octet-stream" in error.value.hint


def test_a_perfect_reconstruction_is_good_and_one_with_a_spot_is_not() -> None:
    image = np.full((1, 3, 8, 8), 0.5, np.float32)
    spotted = image.copy()
    spotted[0, :, 3, 5] = 1.0
    good = decision.judge(deployed(MANIFEST), [view(image)], [view(image)])
    bad = decision.judge(deployed(MANIFEST), [view(image)], [view(spotted)])
    assert good
    assert bad
    assert (good.score, good.decision, good.threshold) == (0.0, "good", 0.01)
    assert bad.decision == "defective"
    assert bad.score > 0.01
    assert divmod(int(bad.anomaly.argmax()), 8) == (3, 5)
    assert Image.open(io.BytesIO(bad.picture())).size == (8, 8)


def test_without_a_threshold_there_is_a_score_and_no_decision() -> None:
    manifest = changed(score=Score(threshold=None))
    verdict = decision.judge(deployed(manifest), [view(np.zeros((1, 3, 8, 8)))], [view(np.ones((1, 3, 8, 8)))])
    assert verdict
    assert (verdict.decision, verdict.threshold) == ("uncalibrated", None)
    assert verdict.score == pytest.approx(1.0)
    assert Image.open(io.BytesIO(verdict.picture())).size == (8, 8)


def test_a_model_without_a_score_is_not_judged() -> None:
    assert decision.judge(deployed(changed(score=None)), [view([0])], [view([0])]) is None


def test_an_output_that_is_not_finite_is_the_workers_failure() -> None:
    with pytest.raises(WorkerFailedError, match="not a finite number") as told:
        decision.judge(deployed(MANIFEST), [view(np.zeros((1, 3, 8, 8)))], [view(np.full((1, 3, 8, 8), np.nan))])
    assert told.value.code == "non_finite"


@pytest.mark.parametrize(("threshold", "said"), [(0.75, "good"), (0.25, "defective")])
def test_the_threshold_of_the_board_counts(threshold: float, said: str) -> None:
    half = np.full((1, 3, 8, 8), np.sqrt(0.5))
    deployment = replace(deployed(MANIFEST), threshold=threshold)
    verdict = decision.judge(deployment, [view(np.zeros((1, 3, 8, 8)))], [view(half)])
    assert verdict
    assert (verdict.decision, verdict.threshold) == (said, threshold)
    assert deployment.manifest.score
    assert deployment.manifest.score.threshold == 0.01


def test_a_normalised_score_divides_by_the_models_training_error(tmp_path: Path) -> None:
    usual = np.ones((8, 8), np.float32)
    usual[2, 6] = 50  # where it always errs
    score = Score(method="max_normalised_squared_error", sigma=0.1, threshold=1.5)
    deployment = bundles.deployment(tmp_path, BUNDLE.with_score(score, training_error=usual))
    image = np.zeros((1, 3, 8, 8), np.float32)
    image[0, :, 2, 6], image[0, :, 5, 1] = 7, 2
    verdict = decision.judge(deployment, [view(image)], [view(np.zeros_like(image))])
    assert verdict
    assert verdict.score == pytest.approx(4)
    assert verdict.anomaly[2, 6] == pytest.approx(49 / 50)
    assert verdict.decision == "defective"
    assert divmod(int(verdict.anomaly.argmax()), 8) == (5, 1)


def test_a_map_that_went_bad_is_told(tmp_path: Path) -> None:
    score = Score(method="max_normalised_squared_error")
    deployment = bundles.deployment(
        tmp_path, BUNDLE.with_score(score, training_error=np.full((8, 8), np.nan, np.float32))
    )
    with pytest.raises(WorkerFailedError, match="the training error map has the mean nan"):
        decision.judge(deployment, [view(np.zeros((1, 3, 8, 8)))], [view(np.ones((1, 3, 8, 8)))])
