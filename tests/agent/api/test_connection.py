"""What comes before a request is one, and what is left of it afterwards: an end in size and in time."""

import json
import re
from collections.abc import Callable, Iterator

import bundles
import live
import pytest
from live import Agent, eventually

from agent.api import connection

Start = Callable[..., Agent]
GET = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


def refused(reply: bytes, status: int, code: str) -> None:
    """The one form, and the end of the connection."""
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), reply
    assert b"content-type: application/json" in head
    assert b"connection: close" in head
    assert f"content-length: {len(body)}".encode() in head
    told = json.loads(body)
    assert set(told) == {"error", "code", "hint"}
    assert told["code"] == code


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"BREW /coffee HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n",
        b"POST /infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5x\r\n\r\n",
        b"POST /infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST /infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
    ids=lambda request_: repr(request_[:30]),
)
def test_what_is_no_http(agent: Agent, request_: bytes) -> None:
    refused(agent.say(request_), 400, "malformed_request")


def test_a_chunk_that_is_none(agent: Agent) -> None:
    head = b"POST /infer?model=plain HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
    reply = agent.say(head + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\nnonsense\r\n")
    refused(reply, 400, "malformed_request")


def test_nonsense_behind_a_request_is_not_taken_for_its_answer(agent: Agent) -> None:
    reply = agent.say(b"GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\nnonsense\r\n\r\n")
    assert reply == b""


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 100_000,
        b"GET /health/live" + b"a" * (1 << 16) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000,
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: a\r\n" % number for number in range(10_000)),
    ],
    ids=["address", "whole address", "one header", "many headers"],
)
def test_a_head_without_an_end(agent: Agent, head: bytes) -> None:
    refused(agent.say(head), 431, "head_too_large")


def test_a_large_head_is_taken(agent: Agent) -> None:
    reply = agent.say(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: " + b"a" * 60_000 + b"\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 200 ")


class TestDeadlines:
    @pytest.fixture
    def agent(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> Agent:
        monkeypatch.setattr(connection, "IDLE_DEADLINE_S", 0.2)
        return start()

    def test_a_connection_without_a_word(self, agent: Agent) -> None:
        assert agent.say(b"") == b""

    @pytest.mark.parametrize("before", [b"", GET])
    @pytest.mark.parametrize("part", [b"G", GET[:30], GET[:-1]])
    def test_a_head_that_does_not_come(self, agent: Agent, before: bytes, part: bytes) -> None:
        with agent.connect() as client:
            if before:
                client.sendall(before)
                assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
            client.sendall(part)
            refused(live.everything(client), 408, "head_timeout")

    def test_the_rest_of_a_body_that_was_refused(self, agent: Agent) -> None:
        """It is not waited for without end: uvicorn alone would keep the connection for ever."""
        with agent.connect() as client:
            client.sendall(b"POST /v1/bundles HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\n")
            reply = client.recv(1 << 16)
            assert reply.startswith(b"HTTP/1.1 413 ")
            client.sendall(bytes(1000))
            assert live.everything(client) == b""

    def test_a_request_that_is_being_served_has_its_own_time(self, agent: Agent) -> None:
        agent.activate(bundles.null(delay_ms=400, cases=1), "slow")
        assert agent.infer(bytes(16), "application/octet-stream").status_code == 200


def test_no_more_connections_than_the_agent_takes(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 3)
    agent = start()
    held = [agent.connect() for _ in range(3)]
    eventually(lambda: agent.connections == 3)
    reply = agent.say(b"")
    refused(reply, 503, "connections_full")
    assert b"retry-after: " in reply
    for client in held:
        client.close()
    eventually(lambda: not agent.connections)
    assert agent.client.get("/health/live").status_code == 200


def test_requests_one_behind_the_other(agent: Agent) -> None:
    """Pipelined, and answered in order."""
    last = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert re.findall(rb"HTTP/1.1 (\d+) ", agent.say(GET + GET + last)) == [b"200", b"200", b"404"]


def test_http_1_0(agent: Agent) -> None:
    reply = agent.say(b"GET /health/live HTTP/1.0\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 200 ")
    assert reply.endswith(b'{"live":true}')


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
def test_no_other_protocol(agent: Agent, protocol: bytes) -> None:
    """It is as if it had not been asked for: the guard is not passed by."""
    upgrade = b"Upgrade: %s\r\nConnection: upgrade, close\r\n" % protocol
    secrets = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    reply = agent.say(b"GET /stats HTTP/1.1\r\nHost: evil.example\r\n" + upgrade + secrets + b"\r\n")
    assert reply.startswith(b"HTTP/1.1 401 ")


def test_a_client_that_waits_to_be_asked_for_its_body(agent: Agent) -> None:
    head = (
        b"POST /infer?model=%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
        b"Content-Length: 16\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    with agent.connect() as client:
        client.sendall(head % b"plain")
        assert client.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(bytes(16))
        assert live.everything(client).startswith(b"HTTP/1.1 200 ")
    with agent.connect() as client:
        client.sendall(head % b"nobody")
        assert live.everything(client).startswith(b"HTTP/1.1 404 ")


@pytest.fixture(autouse=True)
def nothing_but_a_word_in_the_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No traceback for what a client does."""
    yield
    assert [record for record in caplog.records if record.exc_info] == []
