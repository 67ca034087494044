"""What is under way in a study's folder and since when, how long steps take, and so how long the rest will.

.under-way.json    of the run that holds the folder: tasks by name and since when, in seconds of time.time()
durations.json     of the tasks that are done, by name, in seconds

Neither says that anything is done: they may be lost.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from host import disk
from host.engine.engine import Engine, Work
from host.engine.task import HOST, Failure, Task

UNDER_WAY, DURATIONS = ".under-way.json", "durations.json"

Clock = Callable[[], float]
Kind = Callable[[str], str]
"""Of a task by its name: those of one kind take about as long."""


class Timed:
    """An engine whose tasks are noted in the folder as they start and end."""

    def __init__(self, engine: Engine, folder: Path, clock: Clock = time.time) -> None:
        self._engine, self._folder, self._clock = engine, folder, clock
        self._since: dict[str, float] = {}
        self._durations_s = durations(folder)
        self._tell()

    def has_room_for(self, task: Task, running: Sequence[Task]) -> bool:
        return self._engine.has_room_for(task, running)

    def is_here(self, task: Task) -> bool:
        return self._engine.is_here(task)

    def start(self, folder: Path, task: Task) -> Work:
        work = self._engine.start(folder, task)
        self._since[task.name] = self._clock()
        self._tell()
        return _TimedWork(work, task, self._ended)

    def _ended(self, task: Task, failure: Failure | None) -> None:
        since = self._since.pop(task.name, None)
        if since is not None and failure is None:
            self._durations_s[task.name] = self._clock() - since
            _write(self._folder / DURATIONS, self._durations_s)
        self._tell()

    def _tell(self) -> None:
        _write(self._folder / UNDER_WAY, self._since)


class _TimedWork:
    def __init__(self, work: Work, task: Task, on_end: Callable[[Task, Failure | None], None]) -> None:
        self._work, self._task, self._on_end = work, task, on_end

    def has_ended(self) -> bool:
        return self._work.has_ended()

    def failure(self) -> Failure | None:
        failure = self._work.failure()
        self._on_end(self._task, failure)
        return failure

    def ask_to_end(self) -> None:
        self._work.ask_to_end()

    def end(self) -> None:
        self._work.end()


def durations(folder: Path) -> dict[str, float]:
    """Seconds by task."""
    return _read(folder / DURATIONS)


def under_way(folder: Path) -> dict[str, float]:
    """Since when, by task; of a run that is gone it is what that one had begun."""
    return _read(folder / UNDER_WAY)


@dataclass(frozen=True)
class Left:
    """What is not done; `elapsed_s` of what is under way, by name."""

    tasks: Sequence[Task]
    elapsed_s: Mapping[str, float]

    def seconds(self, took_s: Mapping[str, float], kind_of: Kind) -> float | None:
        """By what others of their kind took; None where there was none of one kind.

        Host work is shared by as many processes as are under way; what measures this machine comes on top of it, and
        boards elsewhere are at work beside it.
        """
        of_kind: dict[str, list[float]] = {}
        for name, seconds in took_s.items():
            of_kind.setdefault(kind_of(name), []).append(seconds)
        if any(kind_of(task.name) not in of_kind for task in self.tasks):
            return None
        lanes: dict[str, float] = {}
        alone_s = 0.0
        for task in self.tasks:
            same = of_kind[kind_of(task.name)]
            left_s = max(0.0, sum(same) / len(same) - self.elapsed_s.get(task.name, 0.0))
            if task.alone:
                alone_s += left_s
            else:
                lanes[task.lane] = lanes.get(task.lane, 0.0) + left_s
        width = sum(task.lane == HOST and task.name in self.elapsed_s for task in self.tasks)
        here_s = lanes.pop(HOST, 0.0) / max(1, width) + alone_s
        return max([here_s, *lanes.values()])


def _write(path: Path, told: Mapping[str, float]) -> None:
    with suppress(OSError):
        disk.replace(path, json.dumps(told).encode(), durable=False)


def _read(path: Path) -> dict[str, float]:
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(name): float(seconds) for name, seconds in told.items()} if isinstance(told, dict) else {}
