"""A folder's tasks, until each is done or has failed."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from host import interrupts
from host.engine.engine import Engine, Work
from host.engine.schedule import Schedule
from host.engine.task import Failure, Task
from host.progress import Progress

POLL_EVERY_S = 0.2


class Clock(Protocol):
    """As the module `time` is one."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


def ends_the_run(task: Task, failure: Failure) -> None:
    """Raises what `task` failed of: an `on_failed` for tasks of which each counts."""
    raise failure.error(task)


def run(
    folder: Path,
    tasks: Sequence[Task],
    engine: Engine,
    progress: Progress,
    on_done: Callable[[Task], None],
    on_failed: Callable[[Task, Failure], None] = ends_the_run,
    clock: Clock = time,
) -> dict[str, Failure]:
    """Those that failed, by their names; all others are done. The caller holds the folder (lock.held).

    `tasks` in the order in which they are preferred, those that are done already among them. `on_done` is told of each
    as it is done here, `on_failed` of each that is tried no more, and of what needs it; what either raises ends the
    run, as an interrupt does: the processes are ended, and what is done is kept.
    """
    schedule = Schedule(tasks, [task.name for task in tasks if task.is_done(folder)], engine)
    running: dict[str, tuple[Task, Work]] = {}
    try:
        while True:
            while (task := schedule.next(clock.monotonic())) is not None:
                with interrupts.held_back():  # started and forgotten, nobody would end it
                    running[task.name] = task, engine.start(folder, task)
            progress.advance(schedule.settled_count, len(tasks), ", ".join(running))
            if not running:
                return schedule.failures
            clock.sleep(POLL_EVERY_S)
            for task, work in [each for each in running.values() if each[1].has_ended()]:
                failure = work.failure()
                del running[task.name]
                _settle(schedule, task, failure, on_done, on_failed)
    finally:
        for _, work in running.values():
            work.ask_to_end()
        for _, work in running.values():
            work.end()


def _settle(
    schedule: Schedule,
    task: Task,
    failure: Failure | None,
    on_done: Callable[[Task], None],
    on_failed: Callable[[Task, Failure], None],
) -> None:
    if failure is None:
        schedule.done(task)
        on_done(task)
        return
    for each, why in schedule.failed(task, failure):
        on_failed(each, why)
