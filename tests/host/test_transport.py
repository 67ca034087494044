import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import live
import pytest

from contract.api import Stats
from host import transport
from host.client import AgentClient
from host.errors import (
    ApiVersionError,
    BoardError,
    BusyError,
    DoesNotRunError,
    HostError,
    InputError,
    NotAnAgentError,
    UnreachableError,
)
from host.transport import Transport, open_http

Handler = Callable[[httpx.Request], httpx.Response]
STATUS = {"sha256": "0" * 64, "received_bytes": 0, "complete": False}


def agent_at(handler: Handler) -> AgentClient:
    return AgentClient(httpx.Client(transport=httpx.MockTransport(handler), base_url="http://10.0.0.1:8470"), "line-3")


def answering(status: int = 200, **response: Any) -> AgentClient:
    return agent_at(lambda _request: httpx.Response(status, **response))


def refusing(status: int, code: str, headers: dict[str, str] | None = None) -> AgentClient:
    told = {"error": "it says why", "code": code, "hint": "and what to do"}
    return answering(status, json=told, headers=headers)


def failing(error: type[httpx.TransportError], text: str = "") -> AgentClient:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise error(text)

    return agent_at(fail)


def test_an_agent_says_who_it_is(client: AgentClient) -> None:
    assert client.agent().profile == "desktop"
    assert client.models() == []
    assert client.stats().models == ()


@pytest.mark.parametrize(
    ("client", "code", "reason"),
    [
        (
            failing(httpx.ConnectError, "[Errno 111] Connection refused"),
            "board_unreachable",
            "[Errno 111] Connection refused",
        ),
        (failing(httpx.ConnectTimeout), "board_unreachable", "connecting takes too long"),
        (failing(httpx.ReadTimeout), "unanswered", "the answer takes too long"),
        (failing(httpx.WriteTimeout), "unanswered", "the answer takes too long"),
        (failing(httpx.RemoteProtocolError), "board_unreachable", "RemoteProtocolError"),
    ],
)
def test_an_agent_that_does_not_answer(client: AgentClient, code: str, reason: str) -> None:
    with pytest.raises(UnreachableError) as raised:
        client.agent()
    assert raised.value.message == f"the agent of 'line-3' at http://10.0.0.1:8470 does not answer: {reason}"
    assert "host boards" in raised.value.hint
    assert (raised.value.code, raised.value.exit_code) == (code, 4)


def test_nobody_listens_there() -> None:
    with pytest.raises(UnreachableError, match="Connection refused"):
        AgentClient.connect("line-3", "http://127.0.0.1:1", None)


@pytest.mark.parametrize(
    ("client", "what"),
    [
        (answering(html="<h1>It works!</h1>"), "200, text/html"),
        (answering(json={"hello": "world"}), "200, application/json"),
        (answering(json=[1]), "200, application/json"),
        (answering(json={"api_version": "one"}), "200, application/json"),
        (answering(json={"api_version": 1}), "200, application/json"),
        (answering(content=b"\xff\xfe{"), "200, of no type"),
        (answering(404, html="<h1>Not found</h1>"), "404, text/html"),
        (answering(503, text="try later", headers={"Retry-After": "1"}), "503, text/plain"),
        (answering(500, json={"detail": "oops"}), "500, application/json"),
        (answering(204), "204, of no type"),
        (
            answering(301, headers={"Location": "https://10.0.0.1/login"}),
            "301, a redirection to https://10.0.0.1/login",
        ),
    ],
)
def test_something_else_answers_there(client: AgentClient, what: str) -> None:
    with pytest.raises(NotAnAgentError) as raised:
        client.agent()
    assert raised.value.message.removesuffix("; charset=utf-8") == (
        f"http://10.0.0.1:8470/v1/agent answers, but not as an agent of boardfit does: {what}"
    )
    assert "the address of 'line-3'" in raised.value.hint
    assert raised.value.exit_code == 5


def test_a_reply_of_another_form_is_no_agents() -> None:
    with pytest.raises(NotAnAgentError):
        answering(json=[{"name": "m"}]).models()


def test_another_api_version_and_both_are_named() -> None:
    with pytest.raises(ApiVersionError, match=r"\(boardfit 9\.9\) speaks API version 2, this host .* speaks 1"):
        answering(json={"api_version": 2, "version": "9.9", "all": "else is new"}).agent()


def test_a_newer_agent_may_say_more(client: AgentClient) -> None:
    told = json.loads(client.agent().model_dump_json()) | {"mood": "fine"}
    assert answering(json=told).agent() == client.agent()


@pytest.mark.parametrize("token", [None, "a-wrong-token-of-some-length"])
def test_a_wrong_token(agent: live.Agent, token: str | None) -> None:
    with pytest.raises(BoardError, match="the agent of 'board' does not let us in: the token is missing") as raised:
        AgentClient.connect("board", f"http://127.0.0.1:{agent.port}", token)
    assert raised.value.code == "unauthorized"
    assert "host boards add board ... --token-file FILE" in raised.value.hint


def test_what_an_agent_refuses_keeps_its_words() -> None:
    with pytest.raises(BoardError) as raised:
        refusing(409, "model_busy").stats()
    error = raised.value
    assert (error.message, error.hint, error.code) == ("it says why", "and what to do", "model_busy")
    assert type(error) is BoardError


def test_that_a_model_does_not_run_is_an_error_of_its_own() -> None:
    with pytest.raises(DoesNotRunError) as raised:
        refusing(502, "worker_crashed").stats()
    assert raised.value.code == "worker_crashed"


def test_busy_is_an_error_of_its_own() -> None:
    with pytest.raises(BusyError) as raised:
        refusing(503, "board_held", {"Retry-After": "7"}).stats()
    assert (raised.value.code, raised.value.retry_after_s) == ("board_held", 7.0)


@pytest.mark.parametrize("retry_after", [None, "Wed, 21 Oct 2015 07:28:00 GMT", "-1", ""])
def test_busy_without_saying_how_long_is_a_refusal(retry_after: str | None) -> None:
    with pytest.raises(BoardError) as raised:
        refusing(503, "board_held", {"Retry-After": retry_after} if retry_after is not None else None).stats()
    assert type(raised.value) is BoardError


@pytest.mark.parametrize("address", ["http://a:x", "http://[::1"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(InputError, match="is none"):
        open_http("line-3", address, None)


def test_never_through_a_proxy(monkeypatch: pytest.MonkeyPatch, agent: live.Agent) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with AgentClient.connect("board", f"http://127.0.0.1:{agent.port}", live.TOKEN) as client:
        assert client.agent().profile == "desktop"


class Cut:
    """A connection that fails so many times."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.asked = 0

    def __call__(self, _request: httpx.Request) -> httpx.Response:
        self.asked += 1
        self.left -= 1
        if self.left >= 0:
            raise httpx.ReadError("cut")
        return httpx.Response(200, json=STATUS)


@pytest.fixture
def no_rest(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Time passes by itself: each rest is kept, and over at once."""
    rests: list[float] = []
    began = time.monotonic()
    monkeypatch.setattr(time, "sleep", rests.append)
    monkeypatch.setattr(time, "monotonic", lambda: began + sum(rests))
    yield rests
    monkeypatch.undo()


def of(cut: Handler) -> Transport:
    return Transport(httpx.Client(transport=httpx.MockTransport(cut), base_url="http://10.0.0.1:8470"), "line-3")


def test_asks_again_through_cuts(no_rest: list[float]) -> None:
    cut, told = Cut(3), []
    response = of(cut).request_through_cuts("GET", "/v1/jobs/x", on_cut=lambda: told.append("cut"))
    assert response.json() == STATUS
    assert (cut.asked, told, no_rest) == (4, ["cut"] * 3, [transport.RETRY_S] * 3)


def test_gives_up_after_a_while(no_rest: list[float]) -> None:
    with pytest.raises(UnreachableError):
        of(Cut(1000)).request_through_cuts("GET", "/v1/jobs/x")
    assert transport.CUT_PATIENCE_S <= sum(no_rest) <= transport.CUT_PATIENCE_S + 2 * transport.RETRY_S


def test_a_refusal_is_no_cut(no_rest: list[float]) -> None:
    told = {"error": "no", "code": "no", "hint": "no"}
    with pytest.raises(BoardError):
        of(lambda _request: httpx.Response(404, json=told)).request_through_cuts("GET", "/v1/jobs/x")
    assert no_rest == []


def test_a_plain_request_is_asked_once() -> None:
    cut = Cut(1)
    with pytest.raises(UnreachableError):
        of(cut).ask(Stats, "GET", "/stats")
    assert cut.asked == 1


def test_all_of_it_is_caught_as_a_host_error() -> None:
    for kind in (UnreachableError, NotAnAgentError, BusyError, BoardError):
        assert issubclass(kind, HostError)
