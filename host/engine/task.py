"""What is to be done, and why something is not done."""

from dataclasses import dataclass
from pathlib import Path

from host.errors import HostError, InputError

HOST = "host"
"""The lane of work that needs a computer, any computer: as many at a time as the engine has room for."""


def board_lane(name: str) -> str:
    """Of what is done on one board: one at a time."""
    return f"board:{name}"


@dataclass(frozen=True)
class Task:
    """`python -P -m MODULE FOLDER NAME ARGUMENTS`, once all of `needs`, names of other tasks, are done.

    `reads`, `writes`: paths in the folder. Another computer is given the ones, files or folders, and gives back the
    others, files; what lies elsewhere is reached by a symbolic link in the folder. The last of `writes` says that the
    task is done. `lane`: HOST, or a board's. `alone`: it measures this machine, where no other task runs meanwhile.
    `gpus` it uses. `retries`: so many more times it is tried where it fails, but for a bad input.
    """

    name: str
    module: str
    writes: tuple[str, ...]
    needs: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    lane: str = HOST
    alone: bool = False
    gpus: int = 0
    retries: int = 0

    def is_done(self, folder: Path) -> bool:
        return (folder / self.writes[-1]).exists()

    def log(self, folder: Path) -> Path:
        """What its process says; gone once it is done."""
        return folder / f"{self.name}.log"


@dataclass(frozen=True)
class Failure:
    """Why a task is not done: `message`, `hint` and `code` as a HostError has them.

    `code` is the error's own, or task_failed (a bug), task_killed (by a signal), needed_failed (what it needs is not
    done). `tail`: the end of its log, where the message does not say it all. `status`: of its process, minus the number
    of a signal; None where there was none.
    """

    message: str
    hint: str
    code: str
    tail: str = ""
    status: int | None = None

    @property
    def is_lasting(self) -> bool:
        """Another try would fail the same way."""
        return self.status == InputError.exit_code

    def error(self, task: Task) -> HostError:
        """For a run that ends with it."""
        tail = f":\n{self.tail}" if self.tail else ""
        return HostError(f"{task.name}: {self.message}{tail}", self.hint, self.code)


def because_of(needed: Task, failure: Failure) -> Failure:
    """Of a task that needs `needed`, which failed."""
    return Failure(f"{needed.name} failed: {failure.message}", failure.hint, "needed_failed")
