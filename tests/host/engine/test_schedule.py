"""Any tasks, on an engine that is held to engine.py: in order, apart where they have to be, and none forgotten."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from told import Told

from host.engine import schedule
from host.engine.running import POLL_EVERY_S, run
from host.engine.schedule import Schedule
from host.engine.task import HOST, Failure, Task, board_lane
from host.errors import HostError

FAILED = Failure("it broke", "mend it", "task_failed", status=1)
LASTING = Failure("it is wrong", "take another", "bad_input", status=3)


@dataclass
class Plan:
    """How a task goes: how long each try takes, how many fail, how; and whether it runs here."""

    takes_s: float = 1.0
    failing_tries: int = 0
    failure: Failure = FAILED
    here: bool = True


@dataclass
class FakeClock:
    now: float = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class FakeEngine:
    """Tasks that take the time of a clock; each start is checked against what runs then."""

    width: int
    plans: dict[str, Plan]
    clock: FakeClock = field(default_factory=FakeClock)
    running: dict[str, Task] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    began: dict[str, float] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)

    def has_room_for(self, task: Task, running: Sequence[Task]) -> bool:
        assert set(running) == set(self.running.values())
        return task.lane != HOST or sum(other.lane == HOST for other in running) < self.width

    def is_here(self, task: Task) -> bool:
        return task.alone or self.plans[task.name].here

    def start(self, folder: Path, task: Task) -> "FakeWork":
        others = list(self.running.values())
        here = [other for other in others if self.is_here(other)]
        assert self.done.issuperset(task.needs)
        assert self.has_room_for(task, others)
        assert task.lane == HOST or task.lane not in [other.lane for other in others]
        assert not (task.alone and here)
        assert not (self.is_here(task) and any(other.alone for other in others))
        self.running[task.name] = task
        self.started.append(task.name)
        self.began.setdefault(task.name, self.clock.now)
        return FakeWork(self, folder, task)


class FakeWork:
    def __init__(self, engine: FakeEngine, folder: Path, task: Task) -> None:
        self.engine, self.folder, self.task = engine, folder, task
        self.ends_at = engine.clock.now + engine.plans[task.name].takes_s

    def has_ended(self) -> bool:
        return self.engine.clock.now >= self.ends_at

    def failure(self) -> Failure | None:
        assert self.has_ended()
        del self.engine.running[self.task.name]
        plan = self.engine.plans[self.task.name]
        if self.engine.started.count(self.task.name) <= plan.failing_tries:
            return plan.failure
        (self.folder / self.task.writes[-1]).touch()
        self.engine.done.add(self.task.name)
        return None

    def ask_to_end(self) -> None:
        self.ends_at = self.engine.clock.now

    def end(self) -> None:
        assert self.has_ended()
        del self.engine.running[self.task.name]


@dataclass
class Case:
    tasks: list[Task]
    plans: dict[str, Plan]
    done_before: set[str]
    width: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    tasks: list[Task] = []
    plans = {}
    for number in range(draw(st.integers(1, 12))):
        name = f"t{number}"
        lane = draw(st.sampled_from([HOST, HOST, board_lane("a"), board_lane("b")]))
        needs = draw(st.sets(st.sampled_from([task.name for task in tasks]), max_size=3)) if tasks else set()
        alone, retries = draw(st.integers(0, 3)) == 0, draw(st.integers(0, 2))
        tasks.append(task_of(name, *sorted(needs), lane=lane, alone=alone, retries=retries))
        takes_s = draw(st.sampled_from([0.1, 1.0, 60.0]))
        failing_tries, failure = draw(st.sampled_from([0, 0, 0, 1, 2, 3])), draw(st.sampled_from([FAILED, LASTING]))
        plans[name] = Plan(takes_s, failing_tries, failure, draw(st.booleans()))
    done = draw(st.sets(st.sampled_from([task.name for task in tasks]), max_size=4))
    return Case(draw(st.permutations(tasks)), plans, done, draw(st.integers(1, 3)))


def task_of(name: str, *needs: str, **changes: Any) -> Task:
    return replace(Task(name, "no.module", (f"{name}.done",), needs), **changes)


@settings(deadline=None)
@given(cases())
def test_each_runs_once_after_its_needs_and_apart_from_what_disturbs_it(case: Case) -> None:
    engine = FakeEngine(case.width, case.plans, done=set(case.done_before))
    told_done: list[str] = []
    told_failed: dict[str, Failure] = {}

    def on_failed(task: Task, failure: Failure) -> None:
        assert task.name not in told_failed
        told_failed[task.name] = failure

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for task in case.tasks:
            if task.name in case.done_before:
                (folder / task.writes[-1]).touch()
        failures = run(
            folder,
            case.tasks,
            engine,
            Told(),
            lambda task: told_done.append(task.name),
            on_failed,
            engine.clock,
        )
    expected = expected_failures(case)
    assert {name: failure.code for name, failure in failures.items()} == expected
    assert told_failed == failures
    assert sorted(told_done) == sorted({task.name for task in case.tasks} - expected.keys() - case.done_before)
    for task in case.tasks:
        assert engine.started.count(task.name) == expected_tries(case, task, expected.get(task.name))


def expected_failures(case: Case) -> dict[str, str]:
    """The code of each, by its name, from the definition: in the order of needs."""
    found: dict[str, str] = {}
    for task in sorted(case.tasks, key=lambda task: int(task.name[1:])):
        plan = case.plans[task.name]
        if task.name in case.done_before:
            continue
        if found.keys() & set(task.needs):
            found[task.name] = "needed_failed"
        elif plan.failing_tries and (plan.failure == LASTING or plan.failing_tries > task.retries):
            found[task.name] = plan.failure.code
    return found


def expected_tries(case: Case, task: Task, code: str | None) -> int:
    if task.name in case.done_before or code == "needed_failed":
        return 0
    if code is None:
        return case.plans[task.name].failing_tries + 1
    return 1 if case.plans[task.name].failure == LASTING else task.retries + 1


def began(tasks: list[Task], width: int, takes_s: dict[str, float], folder: Path) -> dict[str, float]:
    """When each was started, on one machine, in that order."""
    engine = FakeEngine(width, {task.name: Plan(takes_s.get(task.name, 4.0)) for task in tasks})
    assert run(folder, tasks, engine, Told(), lambda task: None, clock=engine.clock) == {}
    return engine.began


def test_what_measures_this_machine_comes_when_the_rest_is_done(tmp_path: Path) -> None:
    tasks = [task_of("measure-1", alone=True), *(task_of(f"teach-{number}") for number in range(4))]
    found = began([*tasks, task_of("measure-2", "teach-0", alone=True)], 2, {}, tmp_path)
    assert list(found)[-2:] == ["measure-1", "measure-2"]
    assert found["teach-3"] - found["teach-0"] == pytest.approx(4.0, abs=2 * POLL_EVERY_S)


def test_once_the_machine_is_empty_all_of_them_run(tmp_path: Path) -> None:
    measured = [task_of(f"measure-{number}", alone=True) for number in range(3)]
    found = began([*measured, task_of("teach", "measure-0")], 1, {}, tmp_path)
    assert list(found) == ["measure-0", "measure-1", "measure-2", "teach"]


def test_it_waits_for_so_long_and_no_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at a time, never both at an end: but for the waiting, the machine would not be empty before the last."""
    monkeypatch.setattr(schedule, "PATIENCE_S", 10.0)
    taught = [task_of(f"teach-{number}") for number in range(24)]
    measured = [task_of(f"measure-{number}", f"teach-{number}", alone=True) for number in range(24)]
    found = began([*taught, *measured], 2, {"teach-0": 2.0}, tmp_path)
    order = list(found)
    first = order.index("measure-0")
    assert 10.0 <= found["measure-0"] - (found["teach-0"] + 2.0) <= 10.0 + 4.0 + 10 * POLL_EVERY_S
    assert order[first:][: first + 4] == [
        *(f"measure-{number}" for number in range(first)),  # all that is ready by then
        *(f"teach-{number}" for number in range(first, first + 4)),  # and again it waits
    ]


def test_a_failure_names_what_was_at_the_root_of_it() -> None:
    tasks = [task_of("original"), task_of("rate", "original"), task_of("row", "rate")]
    engine = FakeEngine(1, {task.name: Plan() for task in tasks})
    plan = Schedule(tasks, [], engine)
    assert plan.next(0.0) == tasks[0]
    failed = plan.failed(tasks[0], FAILED)
    assert [(task.name, failure.message) for task, failure in failed] == [
        ("original", "it broke"),
        ("rate", "original failed: it broke"),
        ("row", "original failed: it broke"),
    ]
    assert plan.next(0.0) is None


def test_by_default_a_failure_ends_the_run_and_what_else_is_at_work(tmp_path: Path) -> None:
    tasks = [task_of("bad"), task_of("long")]
    engine = FakeEngine(2, {"bad": Plan(1.0, 1), "long": Plan(600.0)})
    with pytest.raises(HostError, match="bad: it broke"):
        run(tmp_path, tasks, engine, Told(), lambda task: None, clock=engine.clock)
    assert engine.running == {}
    assert engine.clock.now < 600.0


@pytest.mark.parametrize(
    "tasks",
    [
        [task_of("one", "two"), task_of("two", "one")],
        [task_of("one", "none")],
        [task_of("one"), task_of("one")],
    ],
)
def test_what_can_never_be_done_is_a_bug(tasks: list[Task]) -> None:
    with pytest.raises(ValueError):
        Schedule(tasks, [], FakeEngine(1, {}))
