"""One worker process: spawn, handshake, request, deadline, kill. Always exec, never a bare fork."""

import asyncio
import contextlib
import os
import re
import signal
import socket
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from agent import worker_folder
from agent.arena import Arena
from agent.channel import DIED, Channel, OnLine, OnProgress
from agent.errors import WorkerCrashedError, WorkerFailedError, WorkerTimeoutError
from agent.worker import wire

HELLO_DEADLINE_S = 20.0
_LEAVE_S = 2.0
_LAST_OUTPUT_S = 0.5
_KEPT_OUTPUT = 40  # chunks of what it printed
_WHICH_PYTHON = "`agent worker-probe` shows the Pythons of this board"


@dataclass(frozen=True)
class Launch:
    """How workers are started on this board."""

    python: str
    folder: Path
    environment: dict[str, str]

    def command(self, verb: str, *arguments: str) -> list[str]:
        return [self.python, "-m", worker_folder.PACKAGE, verb, *arguments]


class WorkerProcess:
    """A running worker that has said hello. `channel.closed` is done when it is gone."""

    def __init__(self, process: asyncio.subprocess.Process, channel: Channel) -> None:
        self.channel = channel
        self.pid = process.pid
        self._process = process
        self._printed: deque[bytes] = deque(maxlen=_KEPT_OUTPUT)
        self._reading = asyncio.create_task(self._read_output())

    @classmethod
    async def spawn(cls, launch: Launch, arena: Arena) -> "WorkerProcess":
        """Starts a worker over `arena` and waits for its hello. WorkerFailedError where none comes, or a wrong one."""
        try:
            ours, theirs = socket.socketpair()
            with theirs:
                channel = await Channel.over(ours)
                try:
                    process = await _execute(launch, theirs, arena)
                except BaseException:
                    channel.close("the worker was not started")  # and one that was after all sees its channel closed
                    raise
        except OSError as error:
            raise WorkerCrashedError(f"{launch.python} cannot be started: {error}", _WHICH_PYTHON) from error
        worker = cls(process, channel)
        try:
            await worker._shake_hands()
        except BaseException:
            await worker.kill()
            raise
        return worker

    async def _shake_hands(self) -> None:
        hello, closed = self.channel.hello, self.channel.closed
        await asyncio.wait((hello, closed), timeout=HELLO_DEADLINE_S, return_when=asyncio.FIRST_COMPLETED)
        if closed.done():
            raise WorkerCrashedError(await self.epitaph(), _WHICH_PYTHON)
        if not hello.done():
            raise WorkerTimeoutError(
                f"the worker said nothing within {HELLO_DEADLINE_S:g} s of its start", "is the board overloaded?"
            )
        said = hello.result()
        if said["hello"] != wire.WIRE_VERSION:
            raise WorkerFailedError(
                f"the worker speaks wire version {said['hello']}, the agent {wire.WIRE_VERSION}",
                "remove the folder `worker` of the agent's data directory and start the agent again",
            )
        self.python_version = str(said.get("python"))

    async def request(
        self,
        message: wire.Message,
        deadline_s: float,
        on_progress: OnProgress | None = None,
        on_line: OnLine | None = None,
    ) -> wire.Message:
        """As Channel.request; a worker that crashed or timed out under it is ended, and the message says how."""
        try:
            return await self.channel.request(message, deadline_s, on_progress, on_line)
        except WorkerTimeoutError as error:
            await self.kill(error.message)
            raise
        except WorkerCrashedError as error:
            raise WorkerCrashedError(await self.epitaph(), error.hint) from None

    async def leave(self) -> None:
        """Asks it to leave by closing the channel, and ends it if it does not."""
        self.channel.close("the worker was stopped")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                await self._process.wait()
        await self.kill()

    async def kill(self, reason: str = "the worker was ended") -> None:
        """Ends it now."""
        self.channel.close(reason)
        if self._process.returncode is None:
            self._signal_all()
        await self._process.wait()
        await self._last_output()

    async def epitaph(self) -> str:
        """How it died, in words, with the last line it printed. Ends what has only closed the channel."""
        reason = self.channel.closed.result()
        if reason == DIED:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LEAVE_S):
                    await self._process.wait()
        status = self._process.returncode
        await self.kill()
        if reason != DIED or status is None:
            return reason
        return _in_words(status) + self._last_line()

    def printed(self, pattern: re.Pattern[str]) -> str | None:
        """The last of what it has printed lately that matches; None where nothing does."""
        return next((found.group() for line in reversed(self._lines()) if (found := pattern.search(line))), None)

    def _last_line(self) -> str:
        return next(
            (f"; it last printed: {line.strip()[:300]}" for line in reversed(self._lines()) if line.strip()), ""
        )

    def _lines(self) -> list[str]:
        text = b"".join(self._printed).decode("utf-8", "replace")
        return "".join(char if char.isprintable() else "\n" for char in text).split("\n")

    async def _read_output(self) -> None:
        assert self._process.stdout is not None
        while chunk := await self._process.stdout.read(4096):
            self._printed.append(chunk)

    async def _last_output(self) -> None:
        """Reads on to the end of its output: a process it has started may hold that open, and is ended with it."""
        await asyncio.wait({self._reading}, timeout=_LAST_OUTPUT_S)
        if not self._reading.done():
            self._signal_all()
            await asyncio.wait({self._reading}, timeout=_LAST_OUTPUT_S)
        self._reading.cancel()  # somebody in a session of his own has it still: he is not waited for

    def _signal_all(self) -> None:
        """To its whole process group, whose number nobody else can have while a member lives (POSIX, fork)."""
        with contextlib.suppress(ProcessLookupError):  # they were quicker
            os.killpg(self.pid, signal.SIGKILL)


async def _execute(launch: Launch, theirs: socket.socket, arena: Arena) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *launch.command(
            "serve",
            f"--channel={theirs.fileno()}",
            f"--arena={arena.fd}",
            f"--arena-bytes={arena.size_bytes}",
            f"--parent={os.getpid()}",
        ),
        cwd=launch.folder,
        env=launch.environment,
        pass_fds=(theirs.fileno(), arena.fd),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C on the agent's terminal is for the agent: it ends its workers itself
    )


def _in_words(status: int) -> str:
    if status >= 0:
        return f"the worker left with status {status}"
    if -status == signal.SIGKILL:
        return "the worker was killed (SIGKILL): most likely the board ran out of memory"
    return f"the worker crashed ({_signal_name(-status)})"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most real-time signals have no name
        return f"signal {number}"
