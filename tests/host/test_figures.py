import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from told import Told

from host.errors import InputError
from host.evaluating import Evaluation, Request, evaluate
from host.report import drawing, figures
from host.report.figures import FILES, _bins, claim, write
from host.scoring import METHODS, Accuracy


@pytest.fixture(scope="module")
def found(untrained: Path, capsules: Path) -> Evaluation:
    return evaluate(Request(untrained, capsules), None, None, Told())


def colours(content: bytes) -> set[tuple[int, ...]]:
    with Image.open(io.BytesIO(content)) as picture:
        counted = picture.convert("RGB").getcolors(picture.width * picture.height)
    assert counted is not None
    return {colour for _, colour in counted if isinstance(colour, tuple)}


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def test_three_pictures_are_written(found: Evaluation, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    claim(folder)
    assert write(found, folder) == tuple(folder / name for name in FILES)
    for name in FILES:
        with Image.open(folder / name) as picture:
            assert picture.format == "PNG"
            assert picture.width >= 1000
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)


def test_the_curves_are_told_apart_by_colour(found: Evaluation) -> None:
    drawn = colours(figures.roc(found))
    assert {rgb(colour) for colour in ("#000000", "#E69F00", "#009E73")} <= drawn


def test_the_threshold_is_drawn_where_there_is_one(found: Evaluation) -> None:
    with_line, without = figures.histogram(found), figures.histogram(replace(found, verdicts=()))
    assert with_line != without


def test_masks_are_outlined(found: Evaluation) -> None:
    outline = rgb(drawing.SKY)
    good, defective = found.examples[0], found.examples[-1]
    seen = replace(found, examples=(good, defective))
    assert outline in colours(figures.maps(seen))
    for mask in (None, np.ones((32, 32), bool)):
        unseen = replace(found, verdicts=(), examples=(good, replace(defective, mask=mask)))
        assert outline not in colours(figures.maps(unseen))


def with_scores(found: Evaluation, scores: np.ndarray) -> Evaluation:
    accuracies = {
        method: Accuracy(scores, found.model.accuracies[method].auc, found.model.accuracies[method].by_kind)
        for method in METHODS
    }
    return replace(found, model=replace(found.model, accuracies=accuracies))


@pytest.mark.parametrize("scores", [np.zeros(14), np.ones(14), np.arange(14.0), np.geomspace(1e-9, 1e9, 14)])
def test_scores_of_any_range(found: Evaluation, scores: np.ndarray) -> None:
    edges = _bins(scores)
    assert (np.diff(edges) > 0).all()
    assert np.histogram(scores, edges)[0].sum() == 14
    assert figures.histogram(with_scores(found, scores)).startswith(b"\x89PNG")


def test_a_folder_that_cannot_be_made(found: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written: Not a directory"):
        claim(tmp_path / "file" / "pictures")
    with pytest.raises(InputError, match="cannot be written"):
        write(found, tmp_path / "file")
