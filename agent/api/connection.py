"""One HTTP connection: uvicorn's, with an end to what it leaves open, and its own errors in the one form.

uvicorn waits for a request's head without a limit of time or size, and for ever where a reply came before the end of
the body. Here each connection serves a request or has a deadline, and there is a highest number of connections.
"""

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from agent.api import errors
from agent.errors import (
    AgentEndingError,
    AgentError,
    BodyTimeoutError,
    ConnectionsFullError,
    HeadTooLargeError,
    MalformedRequestError,
)

MAX_HEAD_BYTES = 1 << 16
MAX_CONNECTIONS = 512  # well below the 1,024 files that a process may have open on most boards
IDLE_DEADLINE_S = 30.0


class Connection(HttpToolsProtocol):
    """Given to uvicorn as its `http` protocol."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._in_head = False
        self._idle: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > MAX_CONNECTIONS:
            self._refuse(ConnectionsFullError(f"{MAX_CONNECTIONS} connections are open", "close some, or ask again"))

    def shutdown(self) -> None:
        """The agent ends: what is being computed is waited for, what is still being sent is not."""
        super().shutdown()
        if self._serves() and self.cycle.more_body:
            self._refuse(AgentEndingError("the agent is ending", "send it again when it is back"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse_head()
        self._watch()

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) >= MAX_HEAD_BYTES:  # httptools counts in 16 bits: some versions of it would cut the rest off
            self._refuse_head()
            raise ValueError("the address is too long")  # to the parser, which gives up

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn does where the parser gives up."""
        self._refuse(MalformedRequestError("what came is no HTTP/1.1", "look at its first line and its headers"))

    def _serves(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _watch(self) -> None:
        """There is a deadline exactly while no request is being served."""
        if self._serves():
            self._unwatch()
        elif self._idle is None and not self.transport.is_closing():
            self._idle = self.loop.call_later(IDLE_DEADLINE_S, self._idled)

    def _unwatch(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _idled(self) -> None:
        self._idle = None
        if self._serves():
            return
        if self._in_head:
            message = f"the request's head did not come within {IDLE_DEADLINE_S:g} s"
            self._refuse(BodyTimeoutError(message, "send it at once", "head_timeout"))
        self.transport.close()

    def _refuse_head(self) -> None:
        message = f"the request's head has more than {MAX_HEAD_BYTES} bytes"
        self._refuse(HeadTooLargeError(message, "send a shorter address, and fewer headers"))

    def _refuse(self, error: AgentError) -> None:
        """Answers for the application, if it has not begun to, and closes."""
        if self._may_answer() and not self.transport.is_closing():
            response = errors.reply(error)
            head = [f"HTTP/1.1 {response.status_code} {HTTPStatus(response.status_code).phrase}".encode()]
            head += [name + b": " + value for name, value in response.raw_headers if name != b"connection"]
            self.transport.write(b"\r\n".join([*head, b"connection: close", b"", bytes(response.body)]))
        if self._serves():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _may_answer(self) -> bool:
        """Not while an earlier request waits for its own answer; in the middle of a body it is this one's."""
        return not self._serves() or not (self._in_head or self.pipeline or self.cycle.response_started)
