"""A study as it is read: what was asked, the rows so far, and the scores behind their AUCs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from contract.results import BenchRow
from host.study.records import OnBoard, Taught
from host.study.spec import Study

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
