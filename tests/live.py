"""An agent that really listens, on loopback, in a thread with an event loop of its own.

with live.listening(data_dir, token=..., queue_length=1) as agent:     keys of its settings or of its profile
    agent.activate(bundles.null(), "m")
    agent.client.get("/stats")                                         an httpx.Client
    agent.say(b"GET / HTTP/1.1...")                                    the bytes that come back
with live.process(folder, "--profile=desktop") as agent:               in a process of its own, to be killed
"""

import asyncio
import hashlib
import io
import json
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import bundles
import httpx
import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import Image

from agent.server import Server, listen
from agent.service import Service
from agent.settings import Settings

T = TypeVar("T")
TOKEN = "a-token-of-some-length"


class _Server(Server):
    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.loop = asyncio.get_running_loop()
        self.up.set()


class Agent:
    """A running agent, seen from outside (`client`, `connect`) and from inside (`service`, `run`)."""

    def __init__(self, service: Service, port: int, server: _Server) -> None:
        self.service = service
        self.port = port
        self._server = server
        headers = {"Authorization": f"Bearer {service.settings.token}"} if service.settings.token else {}
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20, trust_env=False)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """On the agent's own event loop."""
        return asyncio.run_coroutine_threadsafe(work, self._server.loop).result(20)

    def activate(self, bundle: bundles.Bundle, name: str) -> None:
        self.run(bundles.activate(self.service, bundle, name))

    @property
    def application(self) -> Any:
        return self._server.config.app

    @property
    def connections(self) -> int:
        return len(self._server.server_state.connections)

    def in_flight(self, model: str) -> int:
        return self.service.dataplane.models[model].supervisor.in_flight

    def infer(self, content: Any, media_type: str | None, accept: str | None = None, model: str | None = None) -> Any:
        headers = {"Content-Type": media_type, "Accept": accept}
        return self.client.post(
            "/infer",
            params={"model": model} if model is not None else None,
            content=content,
            headers={name: value for name, value in headers.items() if value is not None},
        )

    def end(self) -> None:
        self._server.should_exit = True

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def say(self, request: bytes) -> bytes:
        """All that comes back on a connection of its own, until the agent closes it."""
        with self.connect() as connection:
            connection.sendall(request)
            return everything(connection)


def everything(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(1 << 16):
        received += chunk
    return received


@contextmanager
def listening(data_dir: Path, **changes: Any) -> Iterator[Agent]:
    """`changes`: of its settings, or of its profile."""
    of_settings = {key: changes.pop(key) for key in list(changes) if key in Settings.__dataclass_fields__}
    settings = Settings(**{"host": "127.0.0.1", "port": 0, "data_dir": data_dir, "profile": "desktop", **of_settings})
    service = bundles.service(data_dir, settings, **changes)
    server = _Server(service)
    with listen(settings.host, settings.port) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            assert server.up.wait(20)
            agent = Agent(service, listener.getsockname()[1], server)
            with agent.client:
                yield agent
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive(), "the agent does not end"


class Process:
    """`agent serve` in a process of its own, which has said that it is ready."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]", port: int) -> None:
        self.process = process
        self.port = port
        self._folder = folder
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False)

    @property
    def log(self) -> str:
        return (self._folder / "agent.log").read_text()

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, sig: signal.Signals, within_s: float = 10.0) -> int:
        """Its exit status."""
        self.process.send_signal(sig)
        return self.process.wait(within_s)


@contextmanager
def process(folder: Path, *options: str) -> Iterator[Process]:
    """Over `folder`/data; killed afterwards where it still runs."""
    ready = folder / "ready.json"
    command = [sys.executable, "-m", "agent", "serve", "--port=0", f"--data-dir={folder / 'data'}"]
    with (folder / "agent.log").open("wb") as log:
        child = subprocess.Popen([*command, f"--ready-file={ready}", *options], stdout=log, stderr=log)
    try:
        eventually(lambda: child.poll() is not None or _is_of(child.pid, ready), within_s=30)
        assert child.poll() is None, (folder / "agent.log").read_text()
        started = Process(folder, child, json.loads(ready.read_text())["port"])
        with started.client:
            yield started
    finally:
        child.kill()
        child.wait()


def _is_of(pid: int, ready: Path) -> bool:
    """The agent removes the file of an earlier one, at any moment."""
    try:
        return f'"pid": {pid},' in ready.read_text()
    except FileNotFoundError:
        return False


def push(client: httpx.Client, bundle: bundles.Bundle) -> str:
    """Sends what the agent lacks of it; its id."""
    contents = {hashlib.sha256(content).hexdigest(): content for content in bundle.files.values()}
    offered = client.post("/v1/bundles", json=bundle.manifest.model_dump(mode="json")).raise_for_status()
    for entry in offered.json()["missing"]:
        query = {"size": entry["size_bytes"], "offset": 0}
        client.put(f"/v1/blobs/{entry['sha256']}", params=query, content=contents[entry["sha256"]]).raise_for_status()
    return bundle.id


def eventually(condition: Callable[[], object], within_s: float = 10.0) -> None:
    """Waits until it is true."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


def picture(kind: str = "PNG") -> bytes:
    """An encoded image, 16 x 12, of seeded noise."""
    return encoded(np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8), kind)


def encoded(pixels: NDArray[np.uint8], kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of few bytes whose header declares so many pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def assert_error(response: httpx.Response, status: int, code: str) -> dict[str, str]:
    """The one form of every error; itself."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/json"), response.text
    told: dict[str, str] = response.json()
    assert set(told) == {"error", "code", "hint"}
    assert told["code"] == code
    assert told["error"]
    assert told["hint"]
    return told
