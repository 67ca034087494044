"""Serves the application until it is told to end; says where, once it answers."""

import json
import os
import socket
from pathlib import Path

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
        config = uvicorn.Config(
            Application(Service.open(settings)),
            loop="uvloop",
            http="httptools",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
        _Server(config, settings.ready_file).run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready_file: Path | None) -> None:
        super().__init__(config)
        self._ready_file = ready_file

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._ready_file and sockets and self.started:
            port = sockets[0].getsockname()[1]
            replace(self._ready_file, json.dumps({"pid": os.getpid(), "port": port}).encode())


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        raise StartError(
            f"{host}:{port} cannot be served: {error}", "is another agent there? choose another --port"
        ) from error
