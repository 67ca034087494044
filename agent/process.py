"""One worker process: spawn, handshake, request, deadline, kill. Always exec, never a bare fork."""

import asyncio
import contextlib
import os
import signal
import socket
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from agent import worker_folder
from agent.arena import Arena
from agent.channel import DIED, Channel, OnProgress
from agent.errors import WorkerCrashedError, WorkerFailedError, WorkerTimeoutError
from agent.worker import wire

HELLO_DEADLINE_S = 20.0
_LEAVE_S = 2.0
_KEPT_OUTPUT = 40  # chunks of what it printed


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
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    *launch.command("serve", *_descriptors(theirs, arena)),
                    cwd=launch.folder,
                    env=launch.environment,
                    pass_fds=(theirs.fileno(), arena.fd),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                )
            except OSError as error:
                ours.close()
                raise WorkerCrashedError(
                    f"{launch.python} cannot be started: {error}",
                    "`agent worker-probe` shows the Pythons of this board",
                ) from error
        worker = cls(process, await Channel.over(ours))
        try:
            await worker._shake_hands()
        except BaseException:
            await worker.kill()
            raise
        return worker

    async def _shake_hands(self) -> None:
        try:
            hello = await asyncio.wait_for(self.channel.hello, HELLO_DEADLINE_S)
        except TimeoutError:
            raise WorkerTimeoutError(
                f"the worker said nothing within {HELLO_DEADLINE_S:g} s of its start", "is the board overloaded?"
            ) from None
        except asyncio.CancelledError:
            if not self.channel.closed.done():
                raise
            raise WorkerCrashedError(
                await self.epitaph(), "`agent worker-probe` shows the Pythons of this board"
            ) from None
        if hello["hello"] != wire.WIRE_VERSION:
            raise WorkerFailedError(
                f"the worker speaks wire version {hello['hello']}, the agent {wire.WIRE_VERSION}",
                "remove the folder `worker` of the agent's data directory and start the agent again",
            )
        self.python_version = str(hello.get("python"))

    async def request(
        self, message: wire.Message, deadline_s: float, on_progress: OnProgress | None = None
    ) -> wire.Message:
        """As Channel.request; a worker that crashed or timed out under it is ended, and the message says how."""
        try:
            return await self.channel.request(message, deadline_s, on_progress)
        except WorkerTimeoutError as error:
            await self.kill(error.message)
            raise
        except WorkerCrashedError as error:
            raise WorkerCrashedError(await self.epitaph(), error.hint) from None

    async def leave(self) -> None:
        """Asks it to leave by closing the channel, and ends it if it does not."""
        self.channel.close("the worker was stopped")
        try:
            await asyncio.wait_for(self._process.wait(), _LEAVE_S)
        except TimeoutError:
            await self.kill()
        await self._reading

    async def kill(self, reason: str = "the worker was ended") -> None:
        """Ends it now."""
        self.channel.close(reason)
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it was quicker
                self._process.kill()
        await self._process.wait()
        await self._reading

    async def epitaph(self) -> str:
        """How it died, in words, with the last line it printed. Ends what has only closed the channel."""
        reason = self.channel.closed.result()
        try:
            status = await asyncio.wait_for(self._process.wait(), _LEAVE_S)
        except TimeoutError:
            await self.kill()
            return reason
        await self._reading
        return _in_words(status) + self._last_line() if reason == DIED else reason

    def _last_line(self) -> str:
        lines = b"".join(self._printed).decode("utf-8", "replace").strip().splitlines()
        return f"; it last printed: {lines[-1][:300]}" if lines else ""

    async def _read_output(self) -> None:
        assert self._process.stdout is not None
        while chunk := await self._process.stdout.read(4096):
            self._printed.append(chunk)


def _descriptors(theirs: socket.socket, arena: Arena) -> tuple[str, ...]:
    return (
        f"--channel={theirs.fileno()}",
        f"--arena={arena.fd}",
        f"--arena-bytes={arena.size_bytes}",
        f"--parent={os.getpid()}",
    )


def _in_words(status: int) -> str:
    if status >= 0:
        return f"the worker left with status {status}"
    name = signal.Signals(-status).name
    if -status == signal.SIGKILL:
        return f"the worker was killed ({name}): most likely the board ran out of memory"
    return f"the worker crashed ({name})"
