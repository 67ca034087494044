from collections.abc import Sequence
from pathlib import Path

import pytest

from host.engine.engine import Work
from host.engine.task import HOST, Failure, Task
from host.study.timing import Left, Timed, durations, under_way


class Ended:
    """Work that is over at once."""

    def __init__(self, why: Failure | None) -> None:
        self._why = why

    def has_ended(self) -> bool:
        return True

    def failure(self) -> Failure | None:
        return self._why

    def ask_to_end(self) -> None: ...

    def end(self) -> None: ...


class AtOnce:
    """An engine of such work; tasks that are named "bad" fail."""

    def has_room_for(self, task: Task, running: Sequence[Task]) -> bool:
        return True

    def is_here(self, task: Task) -> bool:
        return True

    def start(self, folder: Path, task: Task) -> Work:
        return Ended(Failure("broken", "mend it", "task_failed") if task.name == "bad" else None)


def task(name: str, lane: str = HOST, *, alone: bool = False) -> Task:
    return Task(name, "module", (name,), lane=lane, alone=alone)


def test_what_is_under_way_and_how_long_it_took(tmp_path: Path) -> None:
    moments = iter([100.0, 107.5, 110.0])
    engine = Timed(AtOnce(), tmp_path, lambda: next(moments))
    work = engine.start(tmp_path, task("rate-0.9"))
    assert under_way(tmp_path) == {"rate-0.9": 100.0}
    assert work.failure() is None
    assert (under_way(tmp_path), durations(tmp_path)) == ({}, {"rate-0.9": 7.5})
    assert engine.start(tmp_path, task("bad")).failure() is not None
    assert (under_way(tmp_path), durations(tmp_path)) == ({}, {"rate-0.9": 7.5})
    assert durations(tmp_path / "nowhere") == {}
    (tmp_path / "durations.json").write_text("[")
    assert durations(tmp_path) == {}


def test_how_long_the_rest_takes() -> None:
    tasks = [task("a1"), task("a2"), task("a3"), task("d1", "board:desktop", alone=True), task("l1", "board:line")]
    took_s = {"a0": 10.0, "d0": 5.0, "l0": 7.0, "l00": 9.0}

    def left_s(elapsed_s: dict[str, float], took_s: dict[str, float]) -> float | None:
        return Left(tasks, elapsed_s).seconds(took_s, lambda name: name[0])

    assert left_s({}, took_s) == 30 + 5
    assert left_s({"a1": 4.0, "a2": 12.0}, took_s) == pytest.approx((6 + 0 + 10) / 2 + 5)
    assert left_s({}, {**took_s, "l0": 100.0}) == (100 + 9) / 2
    assert left_s({}, {"a0": 10.0, "d0": 5.0}) is None
    assert Left([], {}).seconds({}, lambda name: name[0]) == 0
