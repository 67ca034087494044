"""How far a study is: pure, but for who is at work in its folder."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from host import places
from host.boards import Boards
from host.engine import lock
from host.study import timing
from host.study.measure import is_final
from host.study.plan import tasks_of
from host.study.results import StudyResults
from host.study.spec import Study


@dataclass(frozen=True)
class Line:
    """Of one rate: how many of its trials are taught, and on each board measured, failed for good and to be done."""

    rate: float
    taught: int
    measured: dict[str, int]
    does_not_run: dict[str, int]
    failed: dict[str, int]


@dataclass(frozen=True)
class Status:
    """`pid`: of the process that is at work on it, None where there is none. `under_way`: what it is at, and for how
    many seconds; `left_s`: how long the rest will take, None where no step of its kind is done yet.
    """

    name: str
    trials: int
    boards: tuple[str, ...]
    lines: tuple[Line, ...]
    pid: int | None
    under_way: Mapping[str, float]
    left_s: float | None

    @property
    def is_done(self) -> bool:
        """Nothing would be tried by a resume."""
        return all(
            line.measured[board] + line.does_not_run[board] == self.trials
            for line in self.lines
            for board in self.boards
        )

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "is_done": self.is_done}


def status_of(results: StudyResults) -> Status:
    """Of a study as it was read."""
    study = results.study

    def counted(rate: float, wanted: str) -> dict[str, int]:
        counts = dict.fromkeys(study.boards, 0)
        for row in results.rows:
            if row.requested_rate == rate and _state(row.failure is None, is_final(row)) == wanted:
                counts[row.board] += 1
        return counts

    lines = [
        Line(
            rate,
            sum(at == rate for at, _ in results.taught),
            counted(rate, "measured"),
            counted(rate, "does_not_run"),
            counted(rate, "failed"),
        )
        for rate in study.rates
    ]
    pid, now = lock.holder(study.folder), time.time()
    since = {} if pid is None else timing.under_way(study.folder)
    elapsed_s = {name: now - began for name, began in since.items()}
    tasks = tasks_of(study, here(study))
    left = timing.Left([task for _, task in tasks.values() if not task.is_done(study.folder)], elapsed_s)

    def kind_of(name: str) -> str:
        step = tasks[name][0]
        return step.board or ("original" if step.rate is None else "rate")

    took_s = {name: taken for name, taken in timing.durations(study.folder).items() if name in tasks}
    return Status(study.name, study.trials, study.boards, tuple(lines), pid, elapsed_s, left.seconds(took_s, kind_of))


def here(study: Study) -> list[str]:
    """The boards that are this machine. One that is not configured is nowhere: its rows will say so."""
    known = Boards(places.config_dir() / "boards.toml").all()
    return [name for name in study.boards if name in known and known[name].address is None]


def _state(ran: bool, final: bool) -> str:
    return "measured" if ran else "does_not_run" if final else "failed"
