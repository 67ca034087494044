"""What an engine is: where tasks run, and how many at a time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from host.engine.task import Failure, Task


class Work(Protocol):
    """A task under way."""

    def has_ended(self) -> bool:
        """Whether it has; at once."""

    def failure(self) -> Failure | None:
        """Once it has ended. None: it is done, and what it writes is in the folder."""

    def ask_to_end(self) -> None:
        """It may put things back first; at once."""

    def end(self) -> None:
        """Until it is gone, by force if need be. Nothing of it is left that could write into the folder."""


class Engine(Protocol):
    """Where tasks run."""

    def has_room_for(self, task: Task, running: Sequence[Task]) -> bool:
        """Beside those `running`, in `task`'s lane and out of it. It has, where none is running."""

    def is_here(self, task: Task) -> bool:
        """Whether it may run on this machine."""

    def start(self, folder: Path, task: Task) -> Work:
        """HostError where that cannot be."""
