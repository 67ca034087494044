"""The rows that belong to a run: its trials."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contract.results import BenchRow
from host.choosing.environments import invalid
from host.errors import InputError

if TYPE_CHECKING:
    from host.store import Store

_ANEW = "measure both again: host compare RUN_A RUN_B --anew"


@dataclass(frozen=True)
class Run:
    """The trials of one model on one board, at least one, by trial. `left_out`: those of invalid runs."""

    rows: tuple[BenchRow, ...]
    left_out: tuple[BenchRow, ...] = ()

    @property
    def row(self) -> BenchRow:
        """The first one: what is said of all of them."""
        return self.rows[0]

    def by_trial(self, key: str) -> dict[int, float]:
        """A figure in the trials that have it."""
        return {row.trial: value for row in self.rows if (value := row.figures()[key]) is not None}


def find_runs(store: "Store", run_a: str, run_b: str, *, allow_invalid: bool) -> tuple[Run, Run]:
    """Of two rows' ids or their starts. UnknownRowError, AmbiguousRowError; InputError where there is nothing to
    compare: one did not run, all its trials are invalid, or the two are trials of one run.
    """
    one, other = store.get(run_a), store.get(run_b)
    trials = _trials(store, one)
    if other.id in {row.id for row in trials}:
        what = "is one row" if one.id == other.id else f"and {other.id} are trials of one run"
        raise InputError(
            f"{one.id} {what}: {one.model} on {one.board}",
            "`host results` lists the others",
            "same_run",
        )
    return _run(one, trials, allow_invalid), _run(other, _trials(store, other), allow_invalid)


def run_of(rows: Sequence[BenchRow], *, allow_invalid: bool) -> Run:
    """Of trials that ran. InputError where all of them are invalid."""
    out = () if allow_invalid else tuple(row for row in rows if invalid(row))
    counted = tuple(sorted((row for row in rows if row not in out), key=lambda row: row.trial))
    if not counted:
        flags = sorted({flag.replace("_", " ") for row in out for flag in invalid(row)})
        raise InputError(
            f"no valid trial of {rows[0].model} on {rows[0].board}: {', '.join(flags)} in "
            f"{', '.join(row.id for row in out)}",
            f"{_ANEW}, once the board is as it should be (host tune); or --allow-different-environment",
            "invalid_run",
        )
    return Run(counted, out)


def _run(asked: BenchRow, trials: Sequence[BenchRow], allow_invalid: bool) -> Run:
    ran = [row for row in trials if row.failure is None]
    if not ran:
        raise InputError(
            f"{asked.id} did not run, so there is nothing to compare: {asked.failure}",
            "take another of `host results`",
            "did_not_run",
        )
    return run_of(ran, allow_invalid=allow_invalid)


def _trials(store: "Store", row: BenchRow) -> list[BenchRow]:
    """What was measured together with a row, of the same thing: in its session, or for its rate of a study."""
    if row.study is None:
        return [each for each in store.rows(session=row.session) if _what(each) == _what(row)]
    of_study = store.rows(board=row.board, study=row.study)
    return [each for each in of_study if each.requested_rate == row.requested_rate]


def _what(row: BenchRow) -> tuple[str, ...]:
    return row.board, row.model, row.bundle, row.through
