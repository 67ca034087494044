import base64
import io
import itertools
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compression.data.mvtec import read_dataset
from host.report.html.examples import SIDE, Examples, examples_of
from host.study.records import model_path, taught_path
from host.study.results import StudyResults

from ..studies import study_results
from .reports import report, with_models

RATES = (0.0, 0.9, 0.99)


@pytest.fixture
def results(home: Path, capsules: Path, untrained: Path) -> StudyResults:
    """A study of one board, with the same model at every rate."""
    assert home
    built = study_results(("desktop",), RATES, 2)
    return with_models(built, read_dataset(capsules), untrained.read_bytes(), 0.01)


def model_of(results: StudyResults, rate: float) -> Path:
    return model_path(taught_path(results.study.folder, 1, rate))


def notes(examples: Examples) -> str:
    return " ".join(examples.notes)


def opened(uri: str) -> Image.Image:
    start, _, content = uri.partition(",")
    assert start == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


def test_one_image_of_each_kind_with_a_map_for_each_rate(results: StudyResults) -> None:
    examples = examples_of(results)
    kinds = [image.kind for image in examples.images]
    assert kinds[0] == "good"
    assert len(set(kinds)) == len(kinds) == 6
    assert examples.rates == RATES
    assert examples.notes == ()
    for image in examples.images:
        assert max(opened(image.uri).size) <= SIDE
        assert len(image.maps) == len(RATES)
        assert len({one.score for one in image.maps}) == 1  # the same model


def test_colours_and_scores_are_in_multiples_of_the_threshold(results: StudyResults) -> None:
    doubled = replace(results, taught={at: replace(each, threshold=0.02) for at, each in results.taught.items()})
    for once, twice in zip(examples_of(results).images, examples_of(doubled).images, strict=True):
        assert once.maps[0].score == pytest.approx(2 * (twice.maps[0].score or 0))
        bright, dark = (np.asarray(opened(each.maps[0].uri).convert("L"), float).mean() for each in (once, twice))
        assert bright > dark


def test_a_defect_below_the_threshold_is_missed_and_a_good_image_above_it_a_false_alarm(results: StudyResults) -> None:
    for threshold, wrong in ((1e-9, {"good": "false_alarm"}), (1e9, {"defective": "missed"})):
        taught = {at: replace(each, threshold=threshold) for at, each in results.taught.items()}
        for image in examples_of(replace(results, taught=taught)).images:
            kind = "good" if image.kind == "good" else "defective"
            assert {one.wrong for one in image.maps} == {wrong.get(kind)}


def test_without_a_threshold_no_score_is_told(results: StudyResults) -> None:
    taught = {at: replace(each, threshold=None) for at, each in results.taught.items()}
    examples = examples_of(replace(results, taught=taught))
    assert not examples.scaled
    assert {one.score for image in examples.images for one in image.maps} == {None}


def test_a_model_that_is_gone_is_left_out_and_named(results: StudyResults) -> None:
    model_of(results, 0.9).unlink()
    examples = examples_of(results)
    assert examples.rates == (0.0, 0.99)
    assert "90 %" in notes(examples)
    assert str(model_of(results, 0.9).parent) in notes(examples)


def test_a_model_that_is_none_is_left_out_with_the_reason(results: StudyResults) -> None:
    model_of(results, 0.9).write_bytes(b"no model")
    examples = examples_of(results)
    assert examples.rates == (0.0, 0.99)
    assert "90 %" in notes(examples)


def test_all_models_gone(results: StudyResults) -> None:
    shutil.rmtree(results.study.folder)
    examples = examples_of(results)
    assert examples.images == ()
    assert "No example images: " in notes(examples)


def test_the_data_set_is_gone(results: StudyResults) -> None:
    gone = replace(results, study=replace(results.study, data=Path("/nowhere/capsule")))
    examples = examples_of(gone)
    assert examples.images == ()
    assert "cannot be read from /nowhere/capsule: No such file or directory" in notes(examples)


def test_nothing_is_taught_yet() -> None:
    examples = examples_of(replace(study_results(), taught={}))
    assert "no model is trained yet" in notes(examples)


def test_a_trial_without_its_control_is_passed_over(results: StudyResults) -> None:
    taught = {at: each for at, each in results.taught.items() if at != (0.0, 1)}
    assert examples_of(replace(results, taught=taught)).trial == 2


def test_no_new_model_after_the_budget(results: StudyResults) -> None:
    ticks = itertools.count()
    examples = examples_of(results, budget_s=1.5, clock=lambda: float(next(ticks)))
    assert examples.rates == (0.0,)
    assert "90 %, 99 %" in notes(examples)
    assert "to keep the report quick" in notes(examples)


def test_the_page_has_them_and_stays_small(results: StudyResults) -> None:
    from host.report.html.page import page

    made = page(report(results, examples=examples_of(results)))
    assert len(re.findall(r'<img src="data:image/jpeg;base64,', made)) == 6 * (1 + len(RATES))
    assert len(made) < 2**21
