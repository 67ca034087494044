"""The agent that `desktop` starts by itself: one for the user, on loopback, with a token of its own.

State, in one folder: agent.json (pid, start time, port, version), token, lock, agent.log. An agent is the one of
agent.json only if a process with that pid started at that time: pids are used again.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from contract.version import __version__
from host.errors import LocalAgentError

START_DEADLINE_S = 30.0
STOP_DEADLINE_S = 15.0
_LOG_LINES = 5


@dataclass(frozen=True)
class Running:
    """A local agent as agent.json has it; `started_at` as psutil tells it."""

    pid: int
    started_at: float
    port: int
    version: str

    def is_alive(self) -> bool:
        try:
            process = psutil.Process(self.pid)
            return process.create_time() == self.started_at and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class LocalAgent:
    """`state_dir` holds what is needed to find it again, `data_dir` its bundles."""

    def __init__(self, state_dir: Path, data_dir: Path, profile: str) -> None:
        self._state_dir = state_dir
        self._data_dir = data_dir
        self._profile = profile

    def running(self) -> Running | None:
        """The agent that runs, if one does."""
        try:
            found = Running(**json.loads(self._file("agent.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None
        return found if found.is_alive() else None

    def token(self) -> str:
        return self._file("token").read_text().strip()

    def ensure(self) -> Running:
        """The running agent of this very version, started if need be. LocalAgentError with the end of its log."""
        with self._locked():
            found = self.running()
            if found and found.version != __version__:
                self._end(found)
                found = None
            return found or self._start()

    def stop(self) -> bool:
        """Ends it; False where none was running."""
        with self._locked():
            found = self.running()
            if found:
                self._end(found)
            self._file("agent.json").unlink(missing_ok=True)
            return found is not None

    def _start(self) -> Running:
        self._write_token()
        ready = self._file("ready.json")
        ready.unlink(missing_ok=True)
        with self._file("agent.log").open("wb") as log:
            process = subprocess.Popen(
                self._command(ready), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        port = self._wait_until_ready(process, ready)
        found = Running(process.pid, psutil.Process(process.pid).create_time(), port, __version__)
        unfinished = self._file(".agent.json")
        unfinished.write_text(json.dumps(asdict(found)))
        unfinished.replace(self._file("agent.json"))
        return found

    def _command(self, ready: Path) -> list[str]:
        return [
            sys.executable,
            "-m",
            "agent",
            "serve",
            "--port=0",
            f"--profile={self._profile}",
            f"--data-dir={self._data_dir}",
            f"--token-file={self._file('token')}",
            f"--ready-file={ready}",
        ]

    def _wait_until_ready(self, process: "subprocess.Popen[bytes]", ready: Path) -> int:
        deadline = time.monotonic() + START_DEADLINE_S
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                process.wait()
                raise LocalAgentError(
                    f"the agent of this machine does not come up: {self._end_of_log()}",
                    f"its whole log is {self._file('agent.log')}",
                )
            time.sleep(0.02)
        return int(json.loads(ready.read_text())["port"])

    def _end(self, found: Running) -> None:
        process = psutil.Process(found.pid)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_DEADLINE_S)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(STOP_DEADLINE_S)

    def _write_token(self) -> None:
        descriptor = os.open(self._file("token"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32) + "\n")

    def _end_of_log(self) -> str:
        lines = self._file("agent.log").read_text(errors="replace").strip().splitlines()
        return " / ".join(lines[-_LOG_LINES:]) or "it said nothing"

    def _file(self, name: str) -> Path:
        return self._state_dir / name

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with FileLock(self._file("lock"), timeout=START_DEADLINE_S + STOP_DEADLINE_S):
                yield
        except Timeout as error:
            raise LocalAgentError(
                f"another boardfit command has held {self._file('lock')} for too long", "end the other command"
            ) from error
