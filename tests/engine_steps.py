"""Tasks that tests have an engine run, and as a module what they do: `python -P -m engine_steps FOLDER NAME HOW PIDS`.

PIDS is the folder where each leaves its process's id, in NAME.pids.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from host import interrupts
from host.engine.task import Task
from host.errors import HostError, InputError

PATH = Path(__file__).parent
"""For PYTHONPATH, so that a process finds this module."""


def step(folder: Path, name: str, how: str, needs: tuple[str, ...] = (), **changes: object) -> Task:
    """What a function of this module does; it reads `data`."""
    given = {"reads": ("data",), **changes}
    writes = (f"{name}.txt", f"{name}.done")
    return Task(name, "engine_steps", writes, needs, (how, str(folder)), **given)  # type: ignore[arg-type]


def pids(folder: Path, name: str) -> list[int]:
    """One for each time that it was started; waits for the first."""
    path, give_up_at = folder / f"{name}.pids", time.monotonic() + 60
    while not path.exists() or not path.read_text().endswith("\n"):
        assert time.monotonic() < give_up_at
        time.sleep(0.01)
    return list(map(int, path.read_text().split()))


class Step:
    """In its own process."""

    def __init__(self, folder: Path, name: str, pids: Path) -> None:
        self.folder, self.name, self.pids = folder, name, pids

    def write(self) -> None:
        seed = (self.folder / "data" / "seed").read_text()
        (self.folder / f"{self.name}.txt").write_text(f"{self.name} of {seed}")
        (self.folder / f"{self.name}.done").write_text(os.environ["OMP_NUM_THREADS"])

    def wait(self) -> None:
        while not (self.pids / "go").exists():
            time.sleep(0.05)
        self.write()

    def idle(self) -> None:
        time.sleep(600)

    def put_back(self) -> None:
        try:
            self.idle()
        except interrupts.Terminated:
            (self.pids / f"{self.name}.back").touch()
            raise

    def stubborn(self) -> None:
        with interrupts.held_back():
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            self.idle()

    def bug(self) -> None:
        raise ZeroDivisionError("by nought")

    def bad(self) -> None:
        raise InputError("no such rate", "name another", "below_floor")

    def unreachable(self) -> None:
        raise HostError("no answer", "plug it in")

    def killed(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def full(self) -> None:
        raise OSError(28, "No space left on device")

    def nothing(self) -> None:
        print("bye")


def main() -> None:
    folder, name, how, pids = sys.argv[1:]
    with (Path(pids) / f"{name}.pids").open("a") as file:
        file.write(f"{os.getpid()}\n")
    getattr(Step(Path(folder), name, Path(pids)), how)()


if __name__ == "__main__":
    main()
