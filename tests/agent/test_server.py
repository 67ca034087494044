"""Starting and ending: `agent serve` in a process of its own, with signals, and what is left behind."""

import asyncio
import json
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import bundles
import live
import psutil
import pytest
from live import eventually

from agent import server
from agent.errors import StartError
from agent.server import listen
from contract.api import ModelState
from contract.tensors import TensorSpec

DIGEST = "0" * 64


def deploy(folder: Path, **models: bundles.Bundle) -> None:
    """Into the data directory of an agent that does not run."""

    async def deployed() -> None:
        async with bundles.serving(folder / "data", models):
            pass

    asyncio.run(deployed())


def states_after_a_start(folder: Path) -> dict[str, ModelState]:
    async def started() -> dict[str, ModelState]:
        async with bundles.serving(folder / "data") as service:
            return {name: served.supervisor.state for name, served in service.dataplane.models.items()}

    return asyncio.run(started())


def is_gone(worker: psutil.Process) -> bool:
    return not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_it_says_when_it_answers_and_ends_when_it_is_told_to(tmp_path: Path, sig: signal.Signals) -> None:
    ready = tmp_path / "ready.json"
    ready.write_text('{"pid": 1, "port": 1}')  # of an agent that was killed
    with live.process(tmp_path) as agent:
        assert json.loads(ready.read_text()) == {"pid": agent.process.pid, "port": agent.port}
        with socket.create_connection(("127.0.0.1", agent.port)):  # one that is idle keeps nobody
            assert agent.client.get("/health/live").status_code == 200
            assert agent.end(sig) == 0
        assert not ready.exists()
        assert "Traceback" not in agent.log
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_sigterm_in_a_bench_and_in_an_upload(tmp_path: Path) -> None:
    """Both are told at once, no worker is left, and the model comes back."""
    deploy(tmp_path, m=bundles.null(delay_ms=1))
    with live.process(tmp_path) as agent:
        eventually(lambda: agent.client.get("/health/ready").status_code == 200)
        job = bench(agent)
        upload = b"PUT /v1/blobs/%s?size=1000&offset=0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
        with begun(agent, upload % DIGEST.encode() + bytes(500)) as sending, begun(agent, poll(job)) as waiting:
            workers = agent.workers()
            assert agent.end(signal.SIGTERM, within_s=5) == 0
            assert told(sending) == (503, "agent_ending")
            assert told(waiting) == (200, "cancelled")
        assert all(map(is_gone, workers))
        assert "Traceback" not in agent.log
    assert (tmp_path / "data" / "uploads" / DIGEST).stat().st_size == 500  # to go on from
    assert states_after_a_start(tmp_path) == {"m": ModelState.READY}


def test_sigterm_in_a_load_and_in_a_request(tmp_path: Path) -> None:
    """The request is answered; the version that was served is served again."""
    deploy(tmp_path, m=bundles.null(delay_ms=500, cases=1))
    before = record(tmp_path)
    with live.process(tmp_path) as agent:
        eventually(lambda: agent.client.get("/health/ready").status_code == 200)
        other = live.push(agent.client, bundles.null(load_delay_ms=60_000))
        job = agent.client.put("/v1/models/m", json={"bundle": other}).raise_for_status().json()
        eventually(lambda: len(agent.workers()) == 2)
        infer = b"POST /infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
        content = b"Content-Length: 16\r\n\r\n" + b"x" * 16
        with begun(agent, poll(job)) as waiting, begun(agent, infer + content) as asking:
            workers = agent.workers()
            assert agent.end(signal.SIGTERM, within_s=5) == 0
            assert told(waiting) == (200, "cancelled")
            assert live.everything(asking).endswith(b"x" * 16)
        assert all(map(is_gone, workers))
        assert "Traceback" not in agent.log
    assert record(tmp_path) == before
    assert states_after_a_start(tmp_path) == {"m": ModelState.READY}


def test_sigkill(tmp_path: Path) -> None:
    """No worker is left, of a bench neither, and the models come back."""
    deploy(tmp_path, m=bundles.null(delay_ms=1), other=bundles.null())
    with live.process(tmp_path) as agent:
        eventually(lambda: agent.client.get("/health/ready").status_code == 200)
        bench(agent)
        workers = agent.workers()
        assert len(workers) == 3
        assert agent.end(signal.SIGKILL) == -signal.SIGKILL
        eventually(lambda: all(map(is_gone, workers)), within_s=1)
    assert states_after_a_start(tmp_path) == {"m": ModelState.READY, "other": ModelState.READY}


def bench(agent: live.Process) -> dict[str, Any]:
    """Of the model m, and under way: it would take a quarter of an hour."""
    models = len(agent.workers())
    response = agent.client.post("/v1/benches", json={"model": "m", "runs": 1_000_000, "interrupt": True})
    job: dict[str, Any] = response.raise_for_status().json()
    eventually(lambda: len(agent.workers()) == models + 1)
    return job


def begun(agent: live.Process, request: bytes) -> socket.socket:
    """A connection with a request that the agent has begun on: it has answered a later one."""
    connection = socket.create_connection(("127.0.0.1", agent.port), 20)
    connection.sendall(request)
    assert agent.client.get("/health/live").status_code == 200
    return connection


def poll(job: dict[str, Any]) -> bytes:
    """It has no next revision before it is over."""
    return f"GET /v1/jobs/{job['id']}?wait_s=30&seen=1000000 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def told(connection: socket.socket) -> tuple[int, str]:
    """Status, and the code of an error or the state of a job."""
    head, _, body = live.everything(connection).partition(b"\r\n\r\n")
    reply = json.loads(body)
    return int(head.split()[1]), reply.get("code") or reply["state"]


def record(folder: Path) -> str:
    return (folder / "data" / "models" / "m.json").read_text()


def test_a_request_that_outlasts_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told, and does not keep the agent."""
    monkeypatch.setattr(server, "GRACE_S", 0.2)
    with live.listening(tmp_path) as agent, ThreadPoolExecutor() as others:
        agent.activate(bundles.null(hang_on_run=3), "m")
        request = others.submit(agent.infer, bytes(16), "application/octet-stream")
        eventually(lambda: agent.in_flight("m"))
        agent.end()
        live.assert_error(request.result(), 503, "agent_ending")
    assert [record for record in caplog.records if record.exc_info] == []


def test_a_client_that_takes_no_reply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reply does not stay in memory for ever."""
    monkeypatch.setattr(server, "_SEND_DEADLINE_MS", 300)
    size = 8 << 20  # more than the kernel takes for a client
    with live.listening(tmp_path, queue_length=1) as agent, socket.socket() as client:
        agent.activate(bundles.null(TensorSpec(name="x", dtype="uint8", shape=(size,)), cases=1), "m")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", agent.port))
        head = b"POST /infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
        client.sendall(head % (b"application/octet-stream", size) + bytes(size))
        eventually(lambda: agent.service.dataplane.models["m"].requests)
        eventually(lambda: not agent.connections)


class TestListening:
    def test_accepted_connections_have_the_deadline_too(self) -> None:
        with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]"])
    def test_names_of_this_machine(self, host: str) -> None:
        with listen(host, 0) as listener:
            assert listener.getsockname()[0] in ("127.0.0.1", "::1")

    @pytest.mark.parametrize(
        "host", ["no-such-host.invalid", "999.1.1.1", "a" * 70 + ".example", "ü", "192.0.2.1", "2001:db8::1"]
    )
    def test_names_that_are_none_of_this_machine(self, host: str) -> None:
        with pytest.raises(StartError, match="cannot be served"):
            listen(host, 0)

    def test_a_port_in_use(self) -> None:
        with listen("127.0.0.1", 0) as listener, pytest.raises(StartError, match="in use") as caught:
            listen("127.0.0.1", listener.getsockname()[1])
        assert "--port" in caught.value.hint
