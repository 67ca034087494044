"""The profiles that ship, and what is said of one that does not, or is broken."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.telemetry import open_sensors
from agent.worker import runtimes
from contract import profile
from contract.profile import BrokenProfileError, BuildFacts, UnknownProfileError, profile_names, read_profile

GOOD = """
title = "A board"
runtime = "null"
pythons = ["agent"]
switching = "overlap"
shares_memory = false
headline_memory = "process"
queue_length = 8
precisions = ["fp32"]
sensors = ["procfs"]
start_timeout_s = 60
request_timeout_s = 30.0

[tolerance_db]
fp32 = 60.0
"""

Shelf = Callable[[str, str | bytes], Path]


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """Puts a profile of this name and text where the reader looks; it is the only one."""
    monkeypatch.setattr(profile, "_folder", lambda: tmp_path)

    def put(name: str, text: str | bytes) -> Path:
        path = tmp_path / f"{name}.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return put


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_that_ships_can_be_read_and_served(name: str) -> None:
    board = read_profile(name)
    assert board.name == name
    assert board.runtime in runtimes.names()
    open_sensors(board.sensors)


def test_the_desktop_ships() -> None:
    assert "desktop" in profile_names()


def test_an_unknown_name_brings_the_nearest() -> None:
    with pytest.raises(UnknownProfileError, match="'desktp'; did you mean 'desktop'"):
        read_profile("desktp")


@pytest.mark.parametrize("name", ["zzz", "", "../boards/desktop", "desktop.toml"])
def test_a_name_that_is_nowhere_near_brings_the_list(name: str) -> None:
    with pytest.raises(UnknownProfileError, match=r"desktop"):
        read_profile(name)


def test_one_that_is_good(shelf: Shelf) -> None:
    shelf("a-board-2", GOOD)
    assert profile_names() == ("a-board-2",)
    assert read_profile("a-board-2").queue_length == 8


BUILDS = """
runtime_version = "8.2.1"
refused_precisions = { int8 = "SM 5.3 has no int8 path" }
[build]
workspace_mib = 256
alone = true
timeout_s = 1800
"""


def test_one_whose_runtime_builds(shelf: Shelf) -> None:
    shelf("plain", GOOD)
    assert (read_profile("plain").build, read_profile("plain").runtime_version) == (None, None)
    shelf("builds", GOOD.replace("[tolerance_db]", BUILDS + "[tolerance_db]"))
    board = read_profile("builds")
    assert board.build == BuildFacts(workspace_mib=256, alone=True, timeout_s=1800.0)
    assert board.runtime_version == "8.2.1"
    assert board.refused_precisions == {"int8": "SM 5.3 has no int8 path"}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("workspace_mib = 256", "workspace_mib = 0", "workspace_mib"),
        ("workspace_mib = 256", "workspace_mib = 0.5", "workspace_mib"),
        ("alone = true", "", "alone"),
        ("timeout_s = 1800", "timeout_s = 0", "timeout_s"),
        ("timeout_s = 1800", "timeout_s = 1800\nswap_mib = 1", "swap_mib"),
        ('"8.2.1"', '"8.2-ga"', "runtime_version"),
        ('"SM 5.3 has no int8 path"', "true", "refused_precisions.int8"),
    ],
)
def test_facts_of_a_build_that_are_broken(shelf: Shelf, old: str, new: str, reason: str) -> None:
    shelf("broken", GOOD.replace("[tolerance_db]", BUILDS.replace(old, new) + "[tolerance_db]"))
    with pytest.raises(BrokenProfileError, match=f"(.|\n)*{re.escape(reason)}"):
        read_profile("broken")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("queue_length = 8", "queue_length = 0", "queue_length"),
        ("queue_length = 8", "queue_len = 8", "queue_len\n"),
        ("queue_length = 8", "", "queue_length\n  Field required"),
        ('"overlap"', '"both"', "switching"),
        ("start_timeout_s = 60", "start_timeout_s = inf", "start_timeout_s"),
        ('["fp32"]', "[]", "precisions"),
        ('["fp32"]', '["fp32", "int8"]', r"tolerance_db is for \['fp32'\], the precisions are \['fp32', 'int8'\]"),
        ('title = "A board"', 'title = "A board"\nname = "other"', "the name of its file"),
        ("[tolerance_db]", "[tolerance_db", "line"),
    ],
)
def test_a_broken_one_is_named_with_the_key(shelf: Shelf, old: str, new: str, reason: str) -> None:
    path = shelf("broken", GOOD.replace(old, new))
    with pytest.raises(BrokenProfileError, match=f"{re.escape(str(path))}: (.|\n)*{reason}"):
        read_profile("broken")


def test_one_that_is_no_text_is_broken(shelf: Shelf) -> None:
    path = shelf("broken", b"\xff\xfe")
    with pytest.raises(BrokenProfileError, match=re.escape(str(path))):
        read_profile("broken")


def test_a_file_with_an_impossible_name_is_broken(shelf: Shelf) -> None:
    shelf("A Board", GOOD)
    with pytest.raises(BrokenProfileError, match="name"):
        read_profile("A Board")


OWNER = """
[one_owner]
option = "delegate"
value = "edgetpu"
device = "sys/class/apex/apex_0"
"""


def test_an_accelerator_with_one_owner_needs_room_made_for_it(shelf: Shelf) -> None:
    shelf("board", GOOD + OWNER)
    with pytest.raises(BrokenProfileError, match="needs switching = 'stop-first' and shares_memory = true"):
        read_profile("board")
    shelf(
        "board", GOOD.replace("overlap", "stop-first").replace("shares_memory = false", "shares_memory = true") + OWNER
    )
    assert read_profile("board").one_owner is not None
