"""The agent's end of a worker's socket: requests with a deadline each, replies matched by id."""

import asyncio
import itertools
import logging
import socket
from collections.abc import Callable, Mapping
from typing import Any, cast

from agent.errors import WorkerCrashedError, WorkerRefusedError, WorkerTimeoutError
from agent.worker import wire

OnProgress = Callable[[int, int], None]
OnLine = Callable[[str], None]
DIED = "the worker died"
GARBAGE = "the worker sent garbage"

_log = logging.getLogger(__name__)
_ABSENT = object()
_FIGURE = (int, float, type(None))
# What each reply must hold (agent/worker/wire.py): a worker out of its mind can still send well-formed JSON.
_REPLIES: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    "load": {
        "runtime_version": str,
        "baseline_bytes": _FIGURE,
        "available_bytes": _FIGURE,
        "load_peak_bytes": _FIGURE,
        "details": dict,
        "unmet": dict,
    },
    "infer": {"run_ns": int, "accelerator_ns": _FIGURE, "convert_ns": _FIGURE},
    "bench": {
        "run_peak_bytes": _FIGURE,
        "accelerator_ns": _FIGURE,
        "convert_ns": _FIGURE,
        "accelerator_bytes": _FIGURE,
        "unmet": dict,
    },
    "profile": {"layers": list},
    "identify": {"runtime_version": str, "architecture": str},
    "parse": {"problems": list},
    "build": {"engine_bytes": int, "build_peak_bytes": _FIGURE, "unmet": dict},
}


class _Pending:
    """A request under way. Its deadline starts anew with each sign of progress: busy is not dead."""

    def __init__(
        self, operation: str, deadline_s: float, on_progress: OnProgress | None, on_line: OnLine | None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.reply: asyncio.Future[wire.Message] = self._loop.create_future()
        self._operation = operation
        self._deadline_s = deadline_s
        self._on_progress = on_progress
        self._on_line = on_line
        self._timer = self._loop.call_later(deadline_s, self._time_out)

    def take(self, message: wire.Message) -> None:
        """One message with this request's id. BrokenFrameError where it is not what the wire says."""
        if "progress" in message:
            progress = _of(dict, message["progress"])
            self._live()
            done, total = _of(int, progress.get("done")), _of(int, progress.get("total"))
            if self._on_progress:
                self._on_progress(done, total)
        elif "line" in message:
            self._live()
            line = _of(str, message["line"])
            if self._on_line:
                self._on_line(line)
        elif "error" in message:
            self.fail(_refusal(_of(dict, message["error"])))
        else:
            reply = _of(dict, message.get("ok"))
            for key, kind in _REPLIES[self._operation].items():
                _of(kind, reply.get(key, _ABSENT))
            self.reply.set_result(reply)

    def _live(self) -> None:
        self.cancel_timer()
        self._timer = self._loop.call_later(self._deadline_s, self._time_out)

    def cancel_timer(self) -> None:
        self._timer.cancel()

    def fail(self, error: Exception) -> None:
        if not self.reply.done():
            self.reply.set_exception(error)

    def _time_out(self) -> None:
        self.fail(
            WorkerTimeoutError(
                f"the worker did not answer {self._operation!r} within {self._deadline_s:g} s",
                "it is being ended and started anew; for a model that slow, raise request_timeout_s in its profile",
            )
        )


class Channel(asyncio.Protocol):
    """One worker's socket. It is over, once and for all, when `closed` is done; its result says why."""

    def __init__(self) -> None:
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.hello: asyncio.Future[wire.Message] = asyncio.get_running_loop().create_future()
        self._unpacker = wire.Unpacker()
        self._ids = itertools.count(1)
        self._pending: dict[int, _Pending] = {}

    @classmethod
    async def over(cls, end: socket.socket) -> "Channel":
        """A channel over this end of a socket pair, which it then owns."""
        end.setblocking(False)
        _, channel = await asyncio.get_running_loop().create_unix_connection(cls, sock=end)
        return channel

    async def request(
        self,
        message: wire.Message,
        deadline_s: float,
        on_progress: OnProgress | None = None,
        on_line: OnLine | None = None,
    ) -> wire.Message:
        """Sends one request and waits for its reply.

        Raises WorkerRefusedError (the worker's own error), WorkerCrashedError (it is gone), or WorkerTimeoutError:
        the worker is then in an unknown state, and whoever asked must end it.
        """
        if self.closed.done():
            raise _gone(self.closed.result())
        number = next(self._ids)
        frame = wire.pack({**message, "id": number})
        pending = self._pending[number] = _Pending(message["op"], deadline_s, on_progress, on_line)
        try:
            self._transport.write(frame)
            return await pending.reply
        finally:
            pending.cancel_timer()
            del self._pending[number]

    def close(self, reason: str) -> None:
        """Ends the channel: the worker sees the end of the stream and leaves."""
        self._end(reason)
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is one without saying so

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._unpacker.feed(data):
                self._take(message)
        except wire.BrokenFrameError as error:
            self._end(f"{GARBAGE}: {error}")
            self._transport.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        self._end(DIED)

    def _take(self, message: wire.Message) -> None:
        if "hello" in message:
            if not self.hello.done():
                self.hello.set_result(message)
            return
        pending = self._pending.get(_of(int, message.get("id")))
        if pending is not None and not pending.reply.done():  # else an answer to a request that has timed out
            pending.take(message)

    def _end(self, reason: str) -> None:
        if self.closed.done():
            return
        self.closed.set_result(reason)
        for pending in self._pending.values():
            pending.fail(_gone(reason))


def _gone(reason: str) -> WorkerCrashedError:
    return WorkerCrashedError(reason, "ask again: the worker is being started anew")


def _refusal(error: dict[str, Any]) -> WorkerRefusedError:
    if "traceback" in error:
        _log.error("the worker has a bug:\n%s", error["traceback"])
    return WorkerRefusedError(str(error.get("message")), str(error.get("hint")), str(error.get("code")))


def _of(kind: type | tuple[type, ...], value: Any) -> Any:
    if not isinstance(value, kind):
        raise wire.BrokenFrameError(f"a message holds {value!r:.100} where it should not")
    return value
