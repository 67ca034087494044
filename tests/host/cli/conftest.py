"""A user with a board, which is an agent in this process, and models on it."""

import json
from pathlib import Path

import bundles
import live
import pytest
import zoo
from photos import photo

from host.boards import Board, Boards
from host.last import Last

INSPECTION = {"preprocessing": {"height": 16, "width": 16}, "score": {"threshold": 0.25}}


@pytest.fixture
def line(home: Path, agent: live.Agent) -> live.Agent:
    """The board `line-3` of a user: an agent with the models `echo` and `inspector`."""
    for name, bundle in (("echo", bundles.null()), ("inspector", bundles.inspector())):
        if name not in agent.service.dataplane.models:
            agent.activate(bundle, name)
    for served in agent.service.dataplane.models.values():
        served.last_request_at = None
    token = home / "line-3.token"
    home.mkdir(parents=True, exist_ok=True)
    token.write_text(live.TOKEN)
    token.chmod(0o600)
    board = Board("line-3", "desktop", f"http://127.0.0.1:{agent.port}", token)
    Boards(home / "config" / "boards.toml").add(board)
    return agent


@pytest.fixture
def last(home: Path) -> Last:
    """What that user deployed last."""
    return Last(home / "state" / "last.json")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model that decides, as a file."""
    return zoo.save(zoo.autoencoder({"boardfit": json.dumps(INSPECTION)}), tmp_path, "capsules.onnx")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three of them."""
    folder = tmp_path / "good"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(photo(seed=number))
    return folder
