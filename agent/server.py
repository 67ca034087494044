"""Serves the application until it is told to end; says where, once it answers."""

import json
import os
import signal
import socket
from pathlib import Path
from types import FrameType

import uvicorn

from agent.api.connection import Connection
from agent.app import Application
from agent.disk import replace
from agent.errors import StartError
from agent.service import Service
from agent.settings import Settings

GRACE_S = 5
_SEND_DEADLINE_MS = 30_000
_OTHER_READY_FILE = "name one in a folder that is there and can be written: --ready-file"


def serve(settings: Settings) -> None:
    """Until SIGTERM or SIGINT. StartError before it has begun: the port, the data directory, the ready file."""
    with listen(settings.host, settings.port) as listener:
        Server(_open(settings)).run(sockets=[listener])


def _open(settings: Settings) -> Service:
    if settings.ready_file:
        _clear(settings.ready_file)
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Service.open(settings)
    except OSError as error:
        raise StartError(
            f"the data directory {settings.data_dir} cannot be used: {error}", "give another --data-dir"
        ) from error


def _clear(ready_file: Path) -> None:
    """An earlier agent's must not speak for this one."""
    try:
        ready_file.unlink(missing_ok=True)
    except OSError as error:
        raise StartError(f"the ready file {ready_file} cannot be written: {error}", _OTHER_READY_FILE) from error
    if not os.access(ready_file.parent, os.W_OK | os.X_OK):
        raise StartError(
            f"the ready file {ready_file} cannot be written: its folder is missing or closed to us", _OTHER_READY_FILE
        )


class Server(uvicorn.Server):
    """Writes the ready file; ends the jobs as soon as it is told to end, as their callers wait for them."""

    def __init__(self, service: Service) -> None:
        super().__init__(
            uvicorn.Config(
                Application(service),
                loop="uvloop",
                http=Connection,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        self._service = service
        self._ready_file = service.settings.ready_file

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._ready_file and sockets and self.started:
            port = sockets[0].getsockname()[1]
            replace(self._ready_file, json.dumps({"pid": os.getpid(), "port": port}).encode())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._ready_file:
            self._ready_file.unlink(missing_ok=True)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """uvicorn's raises the signal again when all is over; an agent that ends as it was told to leaves with 0."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
        self._service.begin_to_close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; `port` 0 is any free one. StartError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host.strip("[]"), port), family=family, backlog=512)
    except (OSError, OverflowError, ValueError) as error:
        raise StartError(
            f"{host}:{port} cannot be served: {error}", "is another agent there? choose another --port"
        ) from error
    # A client that takes no reply, or is gone without a word, does not keep it here for ever; accepted sockets inherit.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SEND_DEADLINE_MS)
    return listener
