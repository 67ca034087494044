"""Who may ask."""

from pathlib import Path
from typing import Any

import live
import pytest

from agent.api.guard import Guard
from agent.errors import UnauthorizedError
from agent.settings import Settings


def guard(token: str | None = None) -> Guard:
    return Guard(Settings(host="127.0.0.1", port=0, data_dir=Path("unused"), profile="desktop", token=token))


def scope(*headers: tuple[str, str | bytes], path: str = "/infer") -> dict[str, Any]:
    raw = [(name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in headers]
    return {"path": path, "headers": raw}


class TestWithAToken:
    @pytest.mark.parametrize("header", [f"Bearer {live.TOKEN}", f"bearer {live.TOKEN}", f"BEARER  {live.TOKEN} "])
    def test_the_right_one(self, header: str) -> None:
        guard(live.TOKEN).check(scope(("authorization", header), ("host", "board-7.factory.example:8470")))

    @pytest.mark.parametrize(
        "header",
        [
            "",
            "Bearer",
            "Bearer ",
            live.TOKEN,
            f"Basic {live.TOKEN}",
            f"Bearer{live.TOKEN}",
            f"Bearer {live.TOKEN[:-1]}",
            f"Bearer {live.TOKEN}x",
            f"Bearer {live.TOKEN.upper()}",
            f"Bearer {live.TOKEN}, Bearer {live.TOKEN}",
            f"Bearer {live.TOKEN}\0",
            b"Bearer \xff\xfe",
            b"\xff",
            "Bearer " + "x" * 60_000,
        ],
    )
    def test_a_wrong_one(self, header: str | bytes) -> None:
        with pytest.raises(UnauthorizedError, match="missing or wrong") as caught:
            guard(live.TOKEN).check(scope(("authorization", header), ("host", "127.0.0.1")))
        assert live.TOKEN not in caught.value.message + caught.value.hint

    def test_none(self) -> None:
        with pytest.raises(UnauthorizedError):
            guard(live.TOKEN).check(scope(("host", "127.0.0.1")))

    def test_an_empty_token_is_not_no_token(self) -> None:
        with pytest.raises(UnauthorizedError, match="missing or wrong"):
            guard("").check(scope(("host", "127.0.0.1")))


class TestWithoutAToken:
    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1",
            "127.0.0.1:8470",
            "127.9.9.9:1",
            "localhost",
            "LocalHost:8470",
            "[::1]",
            "[::1]:8470",
            "[0:0:0:0:0:0:0:1]:8470",
            "127.0.0.1:",
        ],
    )
    def test_a_loopback_name(self, host: str) -> None:
        guard().check(scope(("host", host)))

    @pytest.mark.parametrize(
        "host",
        [
            "",
            "evil.example",
            "evil.example:8470",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil.example@127.0.0.1",
            "127.0.0.1@evil.example",
            "127.0.0.1:80@evil.example",
            "127.0.0.1:80:90",
            "127.0.0.1/evil.example",
            "127.0.0.1#evil",
            "127.1",
            "2130706433",
            "0.0.0.0",
            "192.168.0.7",
            "[::]",
            "[::1",
            "[::1].evil.example",
            "[::1]evil",
            "::1",
            "[fe80::1]",
            "localhost\0",
            "localhost, evil.example",
            " localhost",
            b"\xff",
        ],
    )
    def test_any_other(self, host: str | bytes) -> None:
        """The page of a name that was made to point here (DNS rebinding) comes with that name."""
        with pytest.raises(UnauthorizedError, match="loopback names alone"):
            guard().check(scope(("host", host)))

    def test_none(self) -> None:
        with pytest.raises(UnauthorizedError):
            guard().check(scope())

    def test_two(self) -> None:
        for hosts in (("localhost", "evil.example"), ("evil.example", "localhost")):
            with pytest.raises(UnauthorizedError):
                guard().check(scope(*(("host", host) for host in hosts)))

    @pytest.mark.parametrize("origin", ["http://localhost", "http://127.0.0.1:3000", "https://[::1]:1"])
    def test_a_page_of_this_machine(self, origin: str) -> None:
        guard().check(scope(("host", "localhost:8470"), ("origin", origin)))

    @pytest.mark.parametrize(
        "origin",
        [
            "https://evil.example",
            "http://evil.example:8470",
            "null",
            "file://",
            "",
            "http://localhost.evil.example",
            "ext://localhost",
        ],
    )
    def test_a_page_of_elsewhere(self, origin: str) -> None:
        """It may send to loopback, and cannot read the answer; a POST without a body would roll a model back."""
        with pytest.raises(UnauthorizedError, match="loopback names alone"):
            guard().check(scope(("host", "localhost:8470"), ("origin", origin)))


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
@pytest.mark.parametrize("token", [None, live.TOKEN])
def test_everybody_may_ask_whether_it_lives(path: str, token: str | None) -> None:
    guard(token).check(scope(("host", "evil.example"), path=path))


@pytest.mark.parametrize(
    "path", ["/health", "/health/live/", "/health/live/x", "//health/live", "/Health/live", "", "/stats"]
)
def test_and_nothing_else(path: str) -> None:
    with pytest.raises(UnauthorizedError):
        guard(live.TOKEN).check(scope(path=path))
