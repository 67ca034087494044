"""Which task is to start now: pure, but for what the engine says of its room.

A task that measures this machine (`alone`) runs while no other runs here. To empty the machine for each of them would
leave processors idle for half a task's time; so they wait until nothing else is left to start, or until one of them has
waited for PATIENCE_S. Then they run one after the other, all that are ready, before anything else starts here.
"""

from collections.abc import Iterable, Sequence
from graphlib import TopologicalSorter

from host.engine.engine import Engine
from host.engine.task import HOST, Failure, Task, because_of

PATIENCE_S = 1800.0


class Schedule:
    """Of tasks in the order in which they are preferred. ValueError where they cannot be ordered by their needs."""

    def __init__(self, tasks: Sequence[Task], done: Iterable[str], engine: Engine) -> None:
        self._tasks = {task.name: task for task in tasks}
        if len(self._tasks) < len(tasks):
            raise ValueError("two tasks of one name")
        if unknown := {need for task in tasks for need in task.needs} - self._tasks.keys():
            raise ValueError(f"needed, but no tasks: {unknown}")
        TopologicalSorter({task.name: task.needs for task in tasks}).prepare()
        self._engine = engine
        self._done = set(done)
        self._failed: dict[str, Failure] = {}
        self._running: dict[str, Task] = {}
        self._tries: dict[str, int] = {}
        self._waiting_since: float | None = None
        self._is_emptied = False

    @property
    def running(self) -> tuple[Task, ...]:
        return tuple(self._running.values())

    @property
    def failures(self) -> dict[str, Failure]:
        """By name, those included that were never tried, as what they need failed."""
        return dict(self._failed)

    @property
    def settled_count(self) -> int:
        """Done or failed."""
        return len(self._done) + len(self._failed)

    def next(self, now_s: float) -> Task | None:
        """What starts now, if anything; it counts as running from here on. To be asked until there is none."""
        chosen = self._chosen(now_s)
        if chosen is not None:
            self._running[chosen.name] = chosen
        return chosen

    def done(self, task: Task) -> None:
        del self._running[task.name]
        self._done.add(task.name)

    def failed(self, task: Task, failure: Failure) -> list[tuple[Task, Failure]]:
        """What fails with it: itself first, then all that needs it; nothing where it is to be tried again."""
        del self._running[task.name]
        self._tries[task.name] = tries = self._tries.get(task.name, 0) + 1
        if tries <= task.retries and not failure.is_lasting:
            return []
        found = [(task, failure)]
        self._failed[task.name] = failure
        for broken, why in found:  # grows
            for other in self._tasks.values():
                if broken.name in other.needs and other.name not in self._done | self._failed.keys():
                    root = why if broken is not task else because_of(task, failure)
                    self._failed[other.name] = root
                    found.append((other, root))
        return found

    def _chosen(self, now_s: float) -> Task | None:
        ready = self._ready()
        alone = next((task for task in ready if task.alone), None)
        startable = [task for task in ready if not task.alone and self._has_room(task)]
        elsewhere = next((task for task in startable if not self._engine.is_here(task)), None)
        if any(task.alone for task in self._running.values()):
            return elsewhere
        is_empty = not any(map(self._engine.is_here, self._running.values()))
        is_due = self._is_due(alone, now_s)
        if is_due:
            startable = [] if elsewhere is None else [elsewhere]
        if alone is not None and is_empty and self._has_room(alone) and (is_due or not startable):
            self._is_emptied = True
            return alone
        return startable[0] if startable else None

    def _is_due(self, alone: Task | None, now_s: float) -> bool:
        """Whether nothing else starts here before it."""
        if alone is None:
            self._waiting_since, self._is_emptied = None, False
            return False
        if self._waiting_since is None:
            self._waiting_since = now_s
        return self._is_emptied or now_s - self._waiting_since >= PATIENCE_S

    def _ready(self) -> list[Task]:
        begun = self._done | self._failed.keys() | self._running.keys()
        waiting = (task for name, task in self._tasks.items() if name not in begun)
        return [task for task in waiting if self._done.issuperset(task.needs)]

    def _has_room(self, task: Task) -> bool:
        if task.lane != HOST and any(other.lane == task.lane for other in self._running.values()):
            return False
        return self._engine.has_room_for(task, self.running)
