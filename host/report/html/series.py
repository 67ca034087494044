"""A study's figures by board and rate: their spread over the trials, and why some are missing.

Which rows count, and which reason stands for those that do not: host/choosing/candidates.py, as for the verdicts.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from host.choosing.candidates import Candidate, candidates_of
from host.choosing.choice import Choice
from host.report.values import why_missing
from host.statistics import trial_interval
from host.study.results import StudyResults

NOT_TRIED, NOT_MEASURED, INVALID, NOT_COMPARED = "not_tried", "not_measured", "invalid", "not_compared"
"""Codes of our own: the study has not come to it yet; the bench ran, and has no such figure; it has, of invalid runs
alone; it has, of an environment that others of its board had not.
"""

At = tuple[str, float]
"""A board and a requested rate."""

RowsAt = Mapping[At, Candidate]


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
    """Where there is no figure: the code of the failure, or one of ours, and the reason."""

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
    """Every board and rate that the study asks for, also where there are no rows yet; invalid ones do not count."""
    return {
        (board, each.rate): each
        for board in results.study.boards
        for each in candidates_of(results, board, allow_invalid=False)
        if each.rate in results.study.rates
    }


def as_judged(rows: RowsAt, choice: Choice) -> RowsAt:
    """The same, but that of the choice's boards those rows count that it was made by."""
    judged = {(board, each.rate): each.candidate for board, own in choice.boards.items() for each in own.candidates}
    return {at: judged.get(at, candidate) for at, candidate in rows.items()}


def series_of(rows: RowsAt, key: str) -> Series:
    """One figure of all of them."""
    points, missing = [], []
    for (board, rate), candidate in rows.items():
        values = tuple(value for value in _by_trial(candidate, key) if math.isfinite(value))
        if values:
            over = trial_interval(values)
            points.append(Point(board, rate, over.mean, over.interval, values))
        else:
            missing.append(Missing(board, rate, *_why_not(candidate, key)))
    return Series(tuple(points), tuple(missing))


def _by_trial(candidate: Candidate, key: str) -> list[float]:
    """The host measures the float model: whatever a board did, it has its AUC."""
    if candidate.rows or not key.startswith("float_"):
        return [float(value) for value in candidate.by_trial(key).values()]
    figures = [row.figures()[key] for row in (*candidate.invalid, *candidate.failed)]
    return [float(value) for value in figures if value is not None]


def _why_not(candidate: Candidate, key: str) -> tuple[str, str]:
    """The code, and the reason."""
    if candidate.rows:
        return NOT_MEASURED, why_missing(candidate.rows[0], key)
    if candidate.invalid:
        return INVALID, ", ".join(candidate.invalidating)
    if candidate.failure is None:
        return NOT_TRIED, ""
    return candidate.failure.failure_code or NOT_MEASURED, candidate.reason
