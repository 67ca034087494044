"""A study's figures by board and rate: their spread over the trials, and why some are missing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contract.results import BenchRow
from host.report.values import why_missing
from host.statistics import trial_interval
from host.study.results import StudyResults

NOT_TRIED, NOT_MEASURED = "not_tried", "not_measured"
"""Codes of our own: the study has not come to it yet; the bench ran, and has no such figure."""

At = tuple[str, float]
"""A board and a requested rate."""


@dataclass(frozen=True)
class Measured:
    """A row, and its figures by key: put together once, as there are many."""

    row: BenchRow
    figures: Mapping[str, float | int | None]


RowsAt = Mapping[At, Sequence[Measured]]


@dataclass(frozen=True)
class Point:
    """A figure of a board at a rate, in its key's unit: the mean of the trials, each of them, and Student's t interval
    of the mean at 95 %, None for one trial.
    """

    board: str
    rate: float
    mean: float
    interval: tuple[float, float] | None
    trials: tuple[float, ...]


@dataclass(frozen=True)
class Missing:
    """Where there is no figure, by the first trial: the code of the failure, or one of ours, and the reason."""

    board: str
    rate: float
    code: str
    reason: str


@dataclass(frozen=True)
class Series:
    """Of one key; both in the study's order, by board, then rate."""

    points: tuple[Point, ...]
    missing: tuple[Missing, ...]


def by_board_and_rate(results: StudyResults) -> RowsAt:
    """The rows of every board and rate that the study asks for, also where there are none yet."""
    found: dict[At, list[Measured]] = {
        (board, rate): [] for board in results.study.boards for rate in results.study.rates
    }
    for row in results.rows:
        if row.requested_rate is not None and (row.board, row.requested_rate) in found:
            found[row.board, row.requested_rate].append(Measured(row, row.figures()))
    return found


def series_of(rows: RowsAt, key: str) -> Series:
    """One figure of all of them."""
    points, missing = [], []
    for (board, rate), trials in rows.items():
        figures = [each.figures[key] for each in trials]
        values = tuple(float(value) for value in figures if value is not None and math.isfinite(value))
        if values:
            over = trial_interval(values)
            points.append(Point(board, rate, over.mean, over.interval, values))
        elif trials:
            row = trials[0].row
            missing.append(Missing(board, rate, row.failure_code or NOT_MEASURED, row.failure or why_missing(row, key)))
        else:
            missing.append(Missing(board, rate, NOT_TRIED, ""))
    return Series(tuple(points), tuple(missing))
