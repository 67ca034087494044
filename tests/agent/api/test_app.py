"""What every route has in common, over a real socket: bodies, paths, methods, the token, and a bug of ours."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import bundles
import httpx
import live
import pytest
from live import Agent, assert_error, eventually

from agent.api import overview

Start = Callable[..., Agent]
DIGEST = "0" * 64
JSON = {"Content-Type": "application/json"}


class TestBodies:
    @pytest.mark.parametrize("size", [(1 << 20) + 1, 5 << 20])
    @pytest.mark.parametrize("chunked", [False, True])
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/v1/bundles"),
            ("PUT", "/v1/models/m"),
            ("POST", "/v1/benches"),
            ("POST", f"/v1/blobs/{DIGEST}"),
            ("GET", "/nowhere"),
            ("POST", "/v1/models/plain/rollback"),
        ],
    )
    def test_one_that_is_too_large(self, agent: Agent, method: str, path: str, chunked: bool, size: int) -> None:
        content: Any = (bytes(1 << 16) for _ in range(size // (1 << 16) + 1)) if chunked else b" " * size
        response = agent.client.request(method, path, content=content, headers=JSON)
        assert "at most 1048576" in assert_error(response, 413, "too_large")["error"]

    def test_the_largest_that_is_taken(self, agent: Agent) -> None:
        content = json.dumps({"bundle": DIGEST}).encode().ljust(1 << 20)
        assert agent.client.put("/v1/models/new", content=content, headers=JSON).status_code == 202
        content += b" "
        assert_error(agent.client.put("/v1/models/new", content=content, headers=JSON), 413, "too_large")

    def test_one_that_does_not_come(self, start: Start) -> None:
        agent = start(body_deadline_s=0.2)
        reply = agent.say(b"POST /v1/bundles HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{")
        assert reply.startswith(b"HTTP/1.1 408 ")
        assert b'"code": "body_timeout"' in reply

    @pytest.mark.parametrize(
        "media_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
    )
    def test_one_of_another_type(self, agent: Agent, media_type: str | None) -> None:
        """A web page of elsewhere could send these without the browser's asking."""
        headers = {"Content-Type": media_type} if media_type else {}
        content = json.dumps({"model": "plain", "interrupt": True})
        response = agent.client.post("/v1/benches", content=content.encode(), headers=headers)
        assert_error(response, 415, "unsupported_media_type")

    @pytest.mark.parametrize(
        ("content", "status", "reason"),
        [
            (b"", 422, "body: Field required"),
            (b"{", 422, "JSON decode error: Expecting property name"),
            (b"[]", 422, "not []"),
            (b'{"runs": 1000}', 422, "body.model: Field required"),
            (b'{"model": "m", "runs": 1}', 422, "body.runs: Input should be greater than or equal to 2, not 1"),
            (b'{"model": "m", "runs": 1.5}', 422, "body.runs"),
            (b'{"model": "m", "runs": NaN}', 422, "body.runs"),
            (b'{"model": "m", "rnus": 10}', 422, "body.rnus: Extra inputs are not permitted, not 10"),
            (b'{"model": "../m", "runs": 1}', 422, "; and 1 more"),
            (b'{"model": "\xff"}', 400, "error parsing the body"),
            (b'{"model": ' + b"[" * 100_000, 400, "error parsing the body"),
            (b'{"model": "' + b"m" * 100_000 + b'"}', 422, "body.model"),
        ],
        ids=lambda value: repr(value)[:40],
    )
    def test_what_is_no_request(self, agent: Agent, content: bytes, status: int, reason: str) -> None:
        response = agent.client.post("/v1/benches", content=content, headers=JSON)
        told = assert_error(response, status, {400: "bad_request", 422: "invalid_request"}[status])
        assert reason in told["error"]
        assert len(told["error"]) < 1000

    def test_what_is_no_manifest(self, agent: Agent) -> None:
        manifest = bundles.null().manifest.model_dump(mode="json")
        manifest["files"]["../evil"] = {"sha256": DIGEST, "size_bytes": 1}
        response = agent.client.post("/v1/bundles", json=manifest)
        assert "../evil" in assert_error(response, 422, "invalid_request")["error"]
        manifest = bundles.null().manifest.model_dump(mode="json")
        manifest["golden"]["count"] = 3
        response = agent.client.post("/v1/bundles", json=manifest)
        assert "3 cases need" in assert_error(response, 422, "invalid_request")["error"]


class TestPathsAndMethods:
    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/nowhere",
            "/v1",
            "/v1/",
            "/v1/models/",
            "/stats/",
            "//stats",
            "/infer/",
            "/infer%2F",
            "/v1/models/plain/..",
            "/v1/models/a%2Fb",
            "/%00",
            "/%ff%fe",
            "/%E2%82%AC",
            "/%0d%0aX-Evil:%201",
            "/v1/../stats",
            "/docs",
            "/redoc",
            "/metrics",
            "/v2/health/live",
            "/" + "a" * 60_000,
        ],
        ids=lambda path: path[:30],
    )
    def test_a_path_that_is_none(self, agent: Agent, path: str) -> None:
        reply = agent.say(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        top, _, body = reply.partition(b"\r\n\r\n")
        assert top.startswith(b"HTTP/1.1 404 "), reply
        assert b"evil" not in top.lower()
        told = json.loads(body)
        assert (set(told), told["code"]) == ({"error", "code", "hint"}, "not_found")
        assert len(body) < 2000

    @pytest.mark.parametrize("path", ["/v1/%6Dodels", "/%73tats", "/health%2Flive"])
    def test_a_path_in_other_letters_is_the_same_path(self, agent: Agent, path: str) -> None:
        assert agent.client.get(path).status_code == 200

    @pytest.mark.parametrize(
        ("path", "allowed"),
        [
            ("/stats", "GET, HEAD"),
            ("/health/live", "GET, HEAD"),
            ("/v1/bundles", "POST"),
            (f"/v1/blobs/{DIGEST}", "GET, HEAD, PUT"),
            ("/v1/models/m", "DELETE, PUT"),
            ("/v1/models/m/rollback", "POST"),
            ("/v1/models/m%2Frollback", "POST"),
            ("/v1/jobs/1", "DELETE, GET, HEAD"),
        ],
    )
    @pytest.mark.parametrize("method", ["PATCH", "OPTIONS", "TRACE", "PROPFIND"])
    def test_a_method_that_is_none(self, agent: Agent, path: str, allowed: str, method: str) -> None:
        response = agent.client.request(method, path)
        assert f"{method} {unquote(path)}: " in assert_error(response, 405, "method_not_allowed")["error"]
        assert response.headers["allow"] == allowed

    @pytest.mark.parametrize("path", ["/stats", "/health/live", "/v1/models", "/v1/openapi.json"])
    def test_head_is_get_without_the_body(self, agent: Agent, path: str) -> None:
        response = agent.client.head(path)
        assert (response.status_code, response.content) == (200, b"")
        assert int(response.headers["content-length"]) > 0
        assert agent.client.head("/nowhere").status_code == 404


class TestToken:
    def test_every_route_but_health_asks_for_it(self, start: Start) -> None:
        agent = start(token=live.TOKEN)
        paths = agent.client.get("/v1/openapi.json").json()["paths"]
        routes = [(method.upper(), path) for path, methods in paths.items() for method in methods]
        assert len(routes) > 15
        with httpx.Client(base_url=agent.client.base_url, trust_env=False) as stranger:
            for method, path in [*routes, ("POST", "/infer"), ("GET", "/nowhere"), ("GET", "/v1/openapi.json")]:
                response = stranger.request(method, path.replace("{name}", "m"), headers={"Authorization": "Bearer x"})
                if path.startswith("/health/"):
                    assert response.status_code == 200
                else:
                    assert_error(response, 401, "unauthorized")
                    assert response.headers["www-authenticate"] == "Bearer"

    def test_a_stranger_cannot_have_the_agent_read_a_body(self, start: Start) -> None:
        agent = start(token=live.TOKEN)
        agent.activate(bundles.null(), "m")
        with agent.connect() as client:
            client.sendall(b"POST /infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16\r\n\r\n")
            assert client.recv(1 << 16).startswith(b"HTTP/1.1 401 ")  # before the body has come
        assert agent.service.dataplane.models["m"].requests == 0


class TestBugs:
    def test_in_a_route(self, agent: Agent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        monkeypatch.setattr(overview, "model_infos", lambda _service: 1 / 0)
        told = assert_error(agent.client.get("/v1/models"), 500, "agent_bug")
        assert told["error"] == "ZeroDivisionError: division by zero"
        self.one_traceback(caplog)
        assert agent.client.get("/health/live").status_code == 200

    def test_in_infer(self, agent: Agent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        monkeypatch.setattr("agent.api.infer.reply_form", lambda *_: {}["nothing"])
        told = assert_error(agent.infer(bytes(16), "application/octet-stream", model="plain"), 500, "agent_bug")
        assert "Traceback" not in told["error"]
        self.one_traceback(caplog)

    def test_after_the_answer_has_begun(
        self, agent: Agent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def respond(_scope: object, _receive: object, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
            raise ZeroDivisionError

        monkeypatch.setattr(agent.application._infer, "respond", respond)
        with pytest.raises(httpx.RemoteProtocolError):
            agent.client.post("/infer")
        self.one_traceback(caplog)

    @staticmethod
    def one_traceback(caplog: pytest.LogCaptureFixture) -> None:
        eventually(lambda: [record for record in caplog.records if record.exc_info])
        assert [record.name for record in caplog.records if record.exc_info] == ["agent.app"]
