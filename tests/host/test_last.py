from pathlib import Path

import pytest

from host.errors import InputError
from host.last import Last


@pytest.fixture
def last(tmp_path: Path) -> Last:
    return Last(tmp_path / "state" / "last.json")


def test_before_the_first_deploy(last: Last) -> None:
    with pytest.raises(InputError, match="no board is named, and nothing was deployed from here yet") as raised:
        last.board()
    assert "--board desktop" in raised.value.hint
    with pytest.raises(InputError, match="nothing was deployed to 'coral' from here") as raised:
        last.model("coral")
    assert "host models --board coral" in raised.value.hint


def test_the_last_board_and_the_last_model_of_each(last: Last) -> None:
    last.remember("desktop", "capsules")
    last.remember("coral", "bottles")
    last.remember("desktop", "screws")
    assert (last.board(), last.model("desktop"), last.model("coral")) == ("desktop", "screws", "bottles")


def test_a_model_that_was_removed_is_forgotten(last: Last) -> None:
    last.remember("desktop", "capsules")
    last.forget("desktop", "screws")
    assert last.model("desktop") == "capsules"
    last.forget("desktop", "capsules")
    assert last.board() == "desktop"
    with pytest.raises(InputError):
        last.model("desktop")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b'"x"', b'{"board": 3, "models": 4}', b'{"models": {"desktop": 3}}', b"\xff"]
)
def test_a_broken_file_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "last.json"
    path.write_bytes(content)
    last = Last(path)
    with pytest.raises(InputError):
        last.board()
    with pytest.raises(InputError):
        last.model("desktop")
    last.forget("desktop", "capsules")
    last.remember("desktop", "capsules")
    assert last.model("desktop") == "capsules"


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(OSError, match="state"):
        Last(tmp_path / "state" / "last.json").remember("desktop", "capsules")
