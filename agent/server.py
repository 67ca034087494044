"""Serves the application until it is told to end; says where, once it answers."""

import json
import os
import socket
from pathlib import Path
from types import FrameType

import uvicorn

from agent.app import Application
from agent.disk import replace
from agent.errors import StartError
from agent.service import Service
from agent.settings import Settings

GRACE_S = 5


def serve(settings: Settings) -> None:
    """Until SIGTERM or SIGINT. StartError before it has begun: the port, the data directory, the profile."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _listen(settings.host, settings.port) as listener:
        service = Service.open(settings)
        config = uvicorn.Config(
            Application(service),
            loop="uvloop",
            http="httptools",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
        _Server(config, service, settings.ready_file).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Writes the ready file; ends the jobs as soon as it is told to end, as their callers wait for them."""

    def __init__(self, config: uvicorn.Config, service: Service, ready_file: Path | None) -> None:
        super().__init__(config)
        self._service = service
        self._ready_file = ready_file

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._ready_file and sockets and self.started:
            port = sockets[0].getsockname()[1]
            replace(self._ready_file, json.dumps({"pid": os.getpid(), "port": port}).encode())

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._service.jobs.cancel_all()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        raise StartError(
            f"{host}:{port} cannot be served: {error}", "is another agent there? choose another --port"
        ) from error
