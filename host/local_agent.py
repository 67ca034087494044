"""The agent that `desktop` starts by itself: one for the user, on loopback, with a token of its own.

In its state folder:

lock         held by the command that starts or ends it
agent.json   which process it is (pid, start, version): written as soon as it is started, so that a command that is
             killed while it waits leaves nothing behind that the next one would not find
ready.json   written by the agent itself once it answers (pid, port)
token        of this agent, for its owner alone
agent.log    what it has said since its start
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from contract.version import __version__
from host import disk
from host.errors import LocalAgentError

START_DEADLINE_S = 30.0
STOP_DEADLINE_S = 15.0
LOCK_DEADLINE_S = START_DEADLINE_S + STOP_DEADLINE_S
_LOG_LINES = 8


@dataclass(frozen=True)
class Started:
    """A local agent as agent.json has it."""

    pid: int
    start: str
    version: str

    def is_alive(self) -> bool:
        """Whether the process of that pid is the one that was started: pids are used again."""
        return start_of(self.pid) == self.start


@dataclass(frozen=True)
class Running:
    """A local agent that answers."""

    pid: int
    port: int
    version: str

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
        """The agent that answers, if one does."""
        started = self._started()
        return self._ready(started) if started else None

    def token(self) -> str:
        """LocalAgentError where it is gone."""
        try:
            return self._file("token").read_text(encoding="ascii").strip()
        except OSError as error:
            raise LocalAgentError(
                f"the token of this machine's agent cannot be read: {error}",
                "end the agent, and the next command starts another: host boards stop",
            ) from error

    def ensure(self) -> Running:
        """The running agent of this very version, started if need be. LocalAgentError with the end of its log."""
        with self._locked():
            started = self._started()
            if started and started.version != __version__:
                _end(started)
                started = None
            return self._when_ready(started or self._start())

    def stop(self) -> bool:
        """Ends it; False where none was running. LocalAgentError."""
        if not self._file("agent.json").exists():
            return False
        with self._locked():
            started = self._started()
            if started:
                _end(started)
            self._file("agent.json").unlink(missing_ok=True)
            return started is not None

    def _start(self) -> Started:
        self._write_token()
        self._file("ready.json").unlink(missing_ok=True)
        with self._file("agent.log").open("wb") as log:
            process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
            )
        # "" where it is gone already: no process has that start.
        started = Started(process.pid, start_of(process.pid) or "", __version__)
        disk.replace(self._file("agent.json"), json.dumps(asdict(started)).encode())
        process.returncode = 0  # it is to outlive this command, which Popen would warn of
        return started

    def _command(self) -> list[str]:
        return [
            sys.executable,
            "-P",  # not the agent.py that may lie where the user stands
            "-m",
            "agent",
            "serve",
            "--port=0",
            f"--profile={self._profile}",
            f"--data-dir={self._data_dir}",
            f"--token-file={self._file('token')}",
            f"--ready-file={self._file('ready.json')}",
        ]

    def _when_ready(self, started: Started) -> Running:
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline:
            if running := self._ready(started):
                return running
            if not started.is_alive():
                raise self._failed("does not come up")
            time.sleep(0.02)
        _end(started)
        raise self._failed(f"does not answer within {START_DEADLINE_S:g} s")

    def _failed(self, what: str) -> LocalAgentError:
        lines = self._file("agent.log").read_text(errors="replace").strip().splitlines()
        end = "".join(f"\n    {line}" for line in lines[-_LOG_LINES:]) or " nothing"
        return LocalAgentError(
            f"the agent of this machine {what}. The last it said:{end}", f"its whole log: {self._file('agent.log')}"
        )

    def _started(self) -> Started | None:
        """The agent of agent.json, if it is alive; keys that another version wrote are passed over."""
        told = self._told("agent.json")
        try:
            found = Started(int(told["pid"]), str(told["start"]), str(told["version"]))
        except (KeyError, TypeError, ValueError):
            return None
        return found if found.is_alive() else None

    def _ready(self, started: Started) -> Running | None:
        told = self._told("ready.json")
        if told.get("pid") != started.pid or not isinstance(told.get("port"), int):
            return None
        return Running(started.pid, told["port"], started.version)

    def _told(self, name: str) -> dict[str, Any]:
        try:
            content = json.loads(self._file(name).read_bytes())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _write_token(self) -> None:
        path = self._file("token")
        path.unlink(missing_ok=True)  # made anew: one that was there may be open to others
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32) + "\n")

    def _file(self, name: str) -> Path:
        return self._state_dir / name

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One command at a time; what the file system refuses on the way becomes a LocalAgentError."""
        from filelock import FileLock, Timeout

        lock = FileLock(self._file("lock"), timeout=LOCK_DEADLINE_S)
        try:
            self._state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            with lock:
                yield
        except Timeout as error:
            raise LocalAgentError(
                f"another command has held {self._file('lock')} for {LOCK_DEADLINE_S:g} s", "end it first"
            ) from error
        except OSError as error:
            raise LocalAgentError(
                f"this machine's agent keeps its state in {self._state_dir}, and that fails: {error}",
                "make that folder writable, or set BOARDFIT_HOME to another place",
            ) from error


def start_of(pid: int) -> str | None:
    """Which process of this pid it is: the boot, and the clock ticks since then; None where there is none, or a zombie.

    Ticks since boot (proc(5), field 22 of stat) stand still where a time of day would move as the clock is set.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = stat.rpartition(b")")[2].split()  # what is before may hold anything: it is the program's name
    return None if fields[0] in (b"Z", b"X") else f"{boot}:{int(fields[19])}"


def _end(started: Started) -> None:
    """SIGTERM, and SIGKILL where that does not help in time. Until it is gone."""
    import psutil

    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(started.pid)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_DEADLINE_S)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(STOP_DEADLINE_S)
