"""The rows of a study by board and rate: those that count, and why others do not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from contract.results import DOES_NOT_RUN, BenchRow, Flag
from host.choosing.environments import invalid
from host.study.results import StudyResults
from host.study.spec import CONTROL_RATE

Absence = Literal["does not run", "not measured", "invalid", "not tried"]
"""Why a candidate has no figure: the model, the board (missing, broken), every run was invalid, or not done yet."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A requested rate on a board. `rows` count, by trial; `invalid` ones do not; `failed` ones have no figure."""

    board: str
    rate: float
    rows: tuple[BenchRow, ...]
    invalid: tuple[BenchRow, ...]
    failed: tuple[BenchRow, ...]

    @property
    def is_control(self) -> bool:
        return self.rate == CONTROL_RATE

    @property
    def absence(self) -> Absence | None:
        """None where there are rows that count."""
        if self.rows:
            return None
        if self.invalid:
            return "invalid"
        if not self.failed:
            return "not tried"
        return "does not run" if any(row.failure_code in DOES_NOT_RUN for row in self.failed) else "not measured"

    @property
    def reason(self) -> str:
        """Of the absence, as its rows tell it."""
        if self.invalid:
            flags = ", ".join(self.invalidating).replace("_", " ")
            return f"{flags} in {', '.join(row.id for row in self.invalid)}"
        return "not in the study yet" if self.failure is None else self.failure.failure or ""

    @property
    def failure(self) -> BenchRow | None:
        """The failed row that stands for all: the first that tells of the model, or else the first."""
        return next((row for row in self.failed if row.failure_code in DOES_NOT_RUN), next(iter(self.failed), None))

    @property
    def failed_trials(self) -> dict[str, tuple[int, ...]]:
        """The failed trials by their reason."""
        trials: dict[str, tuple[int, ...]] = {}
        for row in self.failed:
            trials[row.failure or ""] = (*trials.get(row.failure or "", ()), row.trial)
        return trials

    @property
    def invalidating(self) -> tuple[Flag, ...]:
        """The flags for which rows do not count."""
        return tuple(sorted({flag for row in self.invalid for flag in invalid(row)}))

    @cached_property
    def _figures(self) -> tuple[Mapping[str, float | int | None], ...]:
        return tuple(row.figures() for row in self.rows)

    def by_trial(self, key: str) -> dict[int, float]:
        """A figure in the trials that have it."""
        pairs = zip(self.rows, self._figures, strict=True)
        return {row.trial: value for row, figures in pairs if (value := figures[key]) is not None}

    def mean(self, key: str) -> float | None:
        """Over those trials."""
        values = self.by_trial(key).values()
        return sum(values) / len(values) if values else None


def candidates_of(results: StudyResults, board: str, *, allow_invalid: bool) -> tuple[Candidate, ...]:
    """One for each rate of the study, ascending; `allow_invalid`: rows of an invalid run count as well."""
    rows: dict[float, list[BenchRow]] = {rate: [] for rate in results.study.rates}
    for row in results.rows:
        if row.board == board and row.requested_rate is not None:
            rows.setdefault(row.requested_rate, []).append(row)
    return tuple(_candidate(board, rate, rows[rate], allow_invalid) for rate in sorted(rows))


def _candidate(board: str, rate: float, rows: Sequence[BenchRow], allow_invalid: bool) -> Candidate:
    rows = sorted(rows, key=lambda row: row.trial)
    ran = [row for row in rows if row.failure is None]
    out = [] if allow_invalid else [row for row in ran if invalid(row)]
    counted = [row for row in ran if row not in out]
    return Candidate(board, rate, tuple(counted), tuple(out), tuple(row for row in rows if row.failure is not None))


def rows_of(candidates: Sequence[Candidate]) -> Iterator[BenchRow]:
    """All that count."""
    for candidate in candidates:
        yield from candidate.rows
