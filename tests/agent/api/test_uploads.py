"""PUT /v1/blobs over a real socket: in portions, to the disk as they come, or why they cannot be kept."""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import live
import pytest
from live import Agent, assert_error, eventually

from contract.api import UploadStatus

Start = Callable[..., Agent]
DIGEST = "0" * 64


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def send(agent: Agent, content: Any, digest: str, size: int, offset: int = 0) -> httpx.Response:
    return agent.client.put(f"/v1/blobs/{digest}", params={"size": size, "offset": offset}, content=content)


def head(digest: str, size: int, more: bytes = b"") -> bytes:
    address = f"/v1/blobs/{digest}?size={size}&offset=0"
    return f"PUT {address} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n".encode() + more + b"\r\n"


def status(agent: Agent, digest: str) -> tuple[int, bool]:
    told = UploadStatus.model_validate_json(agent.client.get(f"/v1/blobs/{digest}").content)
    return told.received_bytes, told.complete


def fill(folder: Path) -> Path:
    """A file that takes what is left there."""
    hog = folder / "hog"
    with contextlib.suppress(OSError), hog.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return hog


def test_in_portions(agent: Agent) -> None:
    content = os.urandom(300_000)
    digest = sha256(content)
    assert status(agent, digest) == (0, False)
    assert send(agent, content[:100], digest, 300_000).json()["received_bytes"] == 100
    assert_error(send(agent, content[99:], digest, 300_000, 99), 409, "upload_conflict")
    assert_error(send(agent, content[101:], digest, 300_000, 101), 409, "upload_conflict")
    assert status(agent, digest) == (100, False)
    done = send(agent, iter([content[100:5000], content[5000:]]), digest, 300_000, 100)
    assert UploadStatus.model_validate_json(done.content) == UploadStatus(
        sha256=digest, received_bytes=300_000, complete=True
    )
    assert status(agent, digest) == (300_000, True)
    assert_error(send(agent, content, digest, 300_000), 409, "upload_conflict")


def test_an_empty_file(agent: Agent) -> None:
    assert send(agent, b"", sha256(b""), 0).json()["complete"]


def test_other_content_than_was_announced(agent: Agent) -> None:
    wrong = sha256(b"something else")
    assert_error(send(agent, b"something", wrong, 9), 422, "corrupt_upload")
    assert status(agent, wrong) == (0, False)
    assert send(agent, b"something else", wrong, 14).json()["complete"]


@pytest.mark.parametrize("chunked", [False, True])
def test_more_than_was_announced(agent: Agent, chunked: bool) -> None:
    digest = sha256(os.urandom(8))
    content: Any = iter([bytes(60), bytes(60)]) if chunked else bytes(120)
    assert_error(send(agent, content, digest, 100), 413, "too_large")
    assert agent.client.get("/health/live").status_code == 200


def test_a_file_larger_than_the_agent_takes(start: Start) -> None:
    assert_error(send(start(max_file_bytes=10), bytes(11), DIGEST, 11), 413, "too_large")


def test_more_than_the_disk_has(start: Start) -> None:
    assert_error(send(start(max_file_bytes=1 << 62), b"", DIGEST, 1 << 61), 507, "disk_full")


def test_a_disk_that_is_full_in_the_middle(small_disk: Path) -> None:
    """What came stays, and is gone on with once there is room."""
    content = os.urandom(120_000)
    digest = sha256(content)
    with live.listening(small_disk) as agent:
        with agent.connect() as client:
            client.sendall(head(digest, len(content), b"Connection: close\r\n") + content[:40_000])
            eventually(lambda: status(agent, digest)[0])
            hog = fill(small_disk)
            client.sendall(content[40_000:])
            reply = live.everything(client)
        assert reply.startswith(b"HTTP/1.1 507 ")
        assert json.loads(reply.partition(b"\r\n\r\n")[2])["code"] == "disk_full"
        assert agent.client.get("/health/ready").status_code == 200
        hog.unlink()
        came = status(agent, digest)[0]
        assert send(agent, content[came:], digest, len(content), came).json()["complete"]


def test_a_file_goes_to_the_disk_as_it_comes(agent: Agent) -> None:
    digest = sha256(os.urandom(8))
    with agent.connect() as client:
        client.sendall(head(digest, 10_000_000) + bytes(1_000_000))
        eventually(lambda: status(agent, digest)[0] > 500_000)
        assert_error(send(agent, b"x", digest, 10_000_000), 409, "upload_conflict")
    eventually(lambda: status(agent, digest)[0] == 1_000_000)  # the client is gone: what came stays
    eventually(lambda: send(agent, b"", digest, 10_000_000, 1_000_000).status_code == 200)  # and may be gone on with


def test_a_client_that_stops_sending(start: Start) -> None:
    agent = start(body_deadline_s=0.3)
    content = os.urandom(100_000)
    digest = sha256(content)
    with agent.connect() as client:
        client.sendall(head(digest, 100_000) + content[:50_000])
        reply = live.everything(client)
    assert reply.startswith(b"HTTP/1.1 408 ")
    assert json.loads(reply.partition(b"\r\n\r\n")[2])["code"] == "body_timeout"
    assert send(agent, content[50_000:], digest, 100_000, 50_000).json()["complete"]


@pytest.mark.parametrize(
    "digest", ["", "x", DIGEST[1:], DIGEST + "0", "A" * 64, "..%2f" + DIGEST, "%2e%2e", DIGEST + "%0a"]
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_no_digest(agent: Agent, method: str, digest: str) -> None:
    response = agent.client.request(method, f"/v1/blobs/{digest}?size=1&offset=0")
    assert response.status_code in (404, 422)
    assert_error(response, response.status_code, "not_found" if response.status_code == 404 else "invalid_request")


@pytest.mark.parametrize("query", ["", "size=1", "offset=0", "size=-1&offset=0", "size=x&offset=0", "size=1&offset=-1"])
def test_no_upload(agent: Agent, query: str) -> None:
    assert_error(agent.client.put(f"/v1/blobs/{DIGEST}?{query}", content=b"x"), 422, "invalid_request")
    assert status(agent, DIGEST) == (0, False)
