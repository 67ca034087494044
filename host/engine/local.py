"""Processes on this machine, one thread each."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from host.engine.child import END_WITHIN_S, failure_file
from host.engine.task import HOST, Failure, Task
from host.errors import InputError

LOG_TAIL = 20  # lines
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Local:
    """So many `processes` at a time in the lane of the host, and one more for each board; `gpus` in all."""

    processes: int
    gpus: int = 1

    def has_room_for(self, task: Task, running: Sequence[Task]) -> bool:
        if task.lane == HOST and sum(other.lane == HOST for other in running) >= self.processes:
            return False
        used = sum(other.gpus for other in running)
        return not (task.gpus and used) or used + task.gpus <= self.gpus

    def is_here(self, task: Task) -> bool:
        return True

    def start(self, folder: Path, task: Task) -> "LocalWork":
        return LocalWork(folder, task)


class LocalWork:
    """A process in a session of its own: Ctrl-C reaches the one that started it alone, which ends the others."""

    def __init__(self, folder: Path, task: Task) -> None:
        self._folder, self._task = folder, task
        failure_file(folder, task.name).unlink(missing_ok=True)
        theirs, ours = os.pipe()
        self._pipe, self._end_at = ours, 0.0
        child = [str(theirs), task.module, str(folder), task.name, task.writes[-1], *task.arguments]
        try:
            with _opened(task.log(folder)) as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "host.engine.child", *child],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **_ONE_THREAD},
                    start_new_session=True,
                    pass_fds=[theirs],
                )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)

    def has_ended(self) -> bool:
        """It stays there, dead, until `end`: its id is nobody else's, and its session can be ended by it."""
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def failure(self) -> Failure | None:
        return settled(self._folder, self._task, self.status())

    def status(self) -> int:
        """Of the process, once it has ended: as a subprocess's return code."""
        self.end()
        return self._process.returncode

    def ask_to_end(self) -> None:
        if self._process.returncode is None:
            os.kill(self._process.pid, signal.SIGTERM)
        self._end_at = time.monotonic() + END_WITHIN_S

    def end(self) -> None:
        """Also of what the process itself has started and left."""
        if self._process.returncode is not None:
            return
        while not self.has_ended() and time.monotonic() < self._end_at:
            time.sleep(0.01)
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._pipe)


def settled(folder: Path, task: Task, status: int) -> Failure | None:
    """What the end of a process of `task` comes to: by what it wrote, and by its own words where it left some."""
    log = task.log(folder)
    if status == 0 and task.is_done(folder):
        log.unlink(missing_ok=True)
        return None
    hint = f"the whole log is {log}; what is done is kept"
    with suppress(FileNotFoundError):
        told = json.loads(failure_file(folder, task.name).read_bytes())
        failure_file(folder, task.name).unlink()
        return Failure(told["message"], f"{told['hint']}; {hint}", told["code"], status=status)
    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL:])
    if status == -signal.SIGKILL:
        hint = f"where memory ran out (`dmesg` says so), take fewer processes at a time; {hint}"
    if status < 0:
        return Failure(f"ended by {signal.Signals(-status).name}", hint, "task_killed", tail, status)
    if status == 0:
        return Failure(f"ended without {task.writes[-1]}", hint, "task_failed", tail, status)
    last = next(filter(None, map(str.strip, reversed(tail.splitlines()))), "it said nothing")
    return Failure(f"ended with {status}: {last}", hint, "task_failed", tail, status)


def _opened(log: Path) -> BinaryIO:
    try:
        return log.open("wb")
    except OSError as error:
        raise InputError(f"{log} cannot be written: {error.strerror}", "make room, and start again") from error
