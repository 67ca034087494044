"""Reports of built studies, as the tests of this folder share them."""

from dataclasses import replace
from datetime import UTC, datetime

from compression.data.mvtec import Dataset
from host import places
from host.choosing.choice import Request
from host.choosing.choose import choose
from host.choosing.conditions import parse_constraint, parse_objective
from host.report.html.examples import Examples, left_out
from host.report.html.page import Report, page
from host.report.html.texts import Language
from host.store import Store
from host.study import records
from host.study.records import ImageScores, model_path, taught_path
from host.study.results import StudyResults

NOW = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)


def report(
    results: StudyResults,
    *constraints: str,
    objective: str = "latency_ms.mean",
    examples: Examples | None = None,
    language: Language | None = None,
) -> Report:
    """With the choice that `host choose` would make."""
    question = Request(parse_objective(objective), tuple(parse_constraint(each) for each in constraints))
    return Report(results, choose(results, question), lambda: examples or left_out(), NOW, language)


def html(
    results: StudyResults, *constraints: str, objective: str = "latency_ms.mean", language: Language | None = None
) -> str:
    return page(report(results, *constraints, objective=objective, language=language))


def with_models(results: StudyResults, dataset: Dataset, model: bytes, threshold: float | None) -> StudyResults:
    """The same study, on this data set and with this model at every rate, in its folder."""
    names = tuple(image.path.relative_to(dataset.folder).as_posix() for image in dataset.test)
    scores = ImageScores(
        "max_smoothed_squared_error",
        names,
        tuple(image.defective for image in dataset.test),
        tuple(float(place) for place, _ in enumerate(names)),
    )
    study = replace(results.study, data=dataset.folder)
    taught = {at: replace(each, scores=scores, threshold=threshold) for at, each in results.taught.items()}
    for rate, trial in taught:
        path = model_path(taught_path(study.folder, trial, rate))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model)
    return replace(results, study=study, taught=taught)


def stored(results: StudyResults) -> None:
    """As `host study run` leaves it, in the user's home; without models."""
    folder = results.study.folder
    records.write(folder / records.STUDY_FILE, records.Opened(results.study, "0" * 64, results.created_at))
    for (rate, trial), taught in results.taught.items():
        records.write(records.taught_path(folder, trial, rate), taught)
    for (board, rate, trial), there in results.on_board.items():
        records.write(records.on_board_path(folder, trial, rate, board), there)
    store = Store.open(places.results())
    for row in results.rows:
        store.add(row)
