from pathlib import Path

import live
import pytest

from host import connect
from host.boards import Board
from host.client import AgentClient
from host.errors import TokenFileError, UnreachableError
from host.local_agent import LocalAgent, Running


def test_a_board_with_an_address(agent: live.Agent, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(live.TOKEN)
    token.chmod(0o600)
    board = Board("line-3", "desktop", f"http://127.0.0.1:{agent.port}", token)
    with connect.connect(board) as client:
        assert isinstance(client, AgentClient)
        assert client.board == "line-3"
        assert client.models() == []
    token.chmod(0o644)
    with pytest.raises(TokenFileError):
        connect.connect(board)


def test_nobody_there() -> None:
    with pytest.raises(UnreachableError):
        connect.connect(Board("line-3", "desktop", "http://127.0.0.1:1"))


def test_a_board_without_one_is_this_machine(agent: live.Agent, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalAgent, "ensure", lambda _self: Running(1, agent.port, "0.1.0"))
    monkeypatch.setattr(LocalAgent, "token", lambda _self: live.TOKEN)
    with connect.connect(Board("desktop", "desktop")) as client:
        assert client.models() == []
    mine, other = (connect.local_agent(Board(name, "desktop")) for name in ("desktop", "second"))
    assert mine._file("token") == home / "state" / "agents" / "desktop" / "token"
    assert mine._file("token") != other._file("token")
