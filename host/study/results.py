"""A study as it is read: what was asked, the rows so far, and the scores behind their AUCs."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from contract.results import BenchRow
from host import places
from host.errors import InputError
from host.store import Store
from host.study import records
from host.study.records import OnBoard, Opened, Taught, on_board_path, taught_path
from host.study.spec import Study, folder_of, studies_dir

BEGIN = "begin one: host study run"

Point = tuple[float, int]
"""A requested rate and a trial."""


@dataclass(frozen=True, eq=False)
class StudyResults:
    """`rows`: one for each board, rate and trial that was tried, those that failed with their reason; by board in the
    study's order, then rate, then trial. `taught` by point; `on_board` by board and point.
    """

    study: Study
    created_at: datetime
    rows: tuple[BenchRow, ...]
    taught: Mapping[Point, Taught]
    on_board: Mapping[tuple[str, float, int], OnBoard]


def find_studies() -> list[Opened]:
    """All there are, the newest first. InputError."""
    opened = [records.read(Opened, path) for path in studies_dir().glob(f"*/{records.STUDY_FILE}")]
    return sorted(opened, key=lambda each: each.created_at, reverse=True)


def find_study(name: str | None) -> Opened:
    """By its name; None: the newest. InputError names the nearest."""
    if name is None:
        if not (opened := find_studies()):
            raise InputError(f"there is no study in {studies_dir()}", BEGIN, "no_study")
        return opened[0]
    path = folder_of(name) / records.STUDY_FILE
    if not path.is_file():
        names = sorted(each.parent.name for each in studies_dir().glob(f"*/{records.STUDY_FILE}"))
        near = difflib.get_close_matches(name, names, n=1)
        raise InputError(
            f"there is no study {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
            f"there {'is' if len(names) == 1 else 'are'} {', '.join(names)}" if names else BEGIN,
            "no_study",
        )
    return records.read(Opened, path)


def read_study(name: str | None) -> StudyResults:
    """By its name; None: the newest. InputError, ResultsError."""
    return read_opened(find_study(name))


def read_studies() -> list[StudyResults]:
    """All there are, the newest first. InputError, ResultsError."""
    return [read_opened(opened) for opened in find_studies()]


def read_opened(opened: Opened) -> StudyResults:
    """InputError, ResultsError."""
    study, folder = opened.study, opened.study.folder
    points = [(rate, trial) for rate in study.rates for trial in range(1, study.trials + 1)]
    places_of = {
        (board, *point): on_board_path(folder, point[1], point[0], board) for board in study.boards for point in points
    }
    order = {place: number for number, place in enumerate(places_of)}
    rows = {
        (row.board, row.requested_rate, row.trial): row for row in Store.open(places.results()).rows(study=study.name)
    }
    return StudyResults(
        study,
        opened.created_at,
        tuple(rows[place] for place in order if place in rows),
        records.read_all(Taught, {point: taught_path(folder, point[1], point[0]) for point in points}),
        records.read_all(OnBoard, places_of),
    )
