"""Deploys to a board that builds what it loads, and has no memory to do so while it serves."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bundles
import live
import pytest
from shell import run

from contract import profile
from host.boards import Board, Boards
from host.bundle import Bundle
from host.cli import options

PROFILE = """
title = "A small board"
runtime = "null"
pythons = ["agent"]
switching = "overlap"
shares_memory = false
headline_memory = "process"
queue_length = 8
precisions = ["fp32"]
sensors = ["procfs"]
start_timeout_s = 60
request_timeout_s = 30
[tolerance_db]
fp32 = 60
[build]
workspace_mib = 16
alone = true
timeout_s = 30
"""
WHY = "building takes most of this board's memory, and it serves other"


@pytest.fixture
def small(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[live.Agent]:
    """The board `small` of a user, which serves `other`."""
    shelf = tmp_path / "boards"
    shelf.mkdir()
    (shelf / "small.toml").write_text(PROFILE)
    monkeypatch.setattr(profile, "_folder", lambda: shelf)
    with live.listening(tmp_path / "agent", profile="small") as agent:
        agent.activate(bundles.null(), "other")
        Boards(home / "config" / "boards.toml").add(Board("small", "small", f"http://127.0.0.1:{agent.port}", None))
        yield agent


def converted(folder: Path, **options: Any) -> Path:
    """What `host convert` has written."""
    made = bundles.null(**options).to_build()
    Bundle(made.manifest, made.files).write(folder)
    return folder


@pytest.fixture
def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who can be asked."""
    monkeypatch.setattr(options, "sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))


def test_asked_for_it_others_are_stopped(small: live.Agent, tmp_path: Path) -> None:
    done = run("deploy", "--board", "small", converted(tmp_path / "m"), "--name", "m", "--stop-others")
    assert done.exit_code == 0
    [built] = [line for line in done.stdout.splitlines() if line.startswith("engine built in ")]
    assert re.fullmatch(
        r"engine built in \d+\.\d s, as the board has none of this model yet: 0\.0 MiB for 1 on null_0", built
    )
    assert "Stop them" not in done.stderr
    again = run("deploy", "--board", "small", tmp_path / "m", "--name", "again", "--json")  # nothing is built
    told = json.loads(again.stdout)
    assert (told["model"], told["build"]["reason"], told["build"]["architecture"]) == ("again", None, "null_0")
    same = run("deploy", "--board", "small", tmp_path / "m", "--name", "m")
    assert "already served: m on small" in same.stdout
    assert "\nthe engine was there already: 0.0 MiB for 1 on null_0\n" in same.stdout


def test_where_nobody_can_be_asked_nothing_is_stopped(small: live.Agent, tmp_path: Path) -> None:
    done = run("deploy", "--board", "small", converted(tmp_path / "m"), typed="y\n")
    assert (done.exit_code, done.stdout) == (5, "")
    assert f"{WHY}\n" in done.stderr
    assert "--stop-others" in done.stderr
    assert "Stop them" not in done.stderr


def test_whoever_says_yes_is_not_told_no(small: live.Agent, tmp_path: Path, at_a_terminal: None) -> None:
    done = run("deploy", "--board", "small", converted(tmp_path / "m"), typed="y\n")
    assert done.exit_code == 0
    assert f"{WHY}\nStop them meanwhile? [y/N]: " in done.stderr
    assert "engine built in " in done.stdout


@pytest.mark.parametrize("typed", ["n\n", "\n"])
def test_no_is_the_answer_unless_it_is_yes(small: live.Agent, tmp_path: Path, at_a_terminal: None, typed: str) -> None:
    done = run("deploy", "--board", "small", converted(tmp_path / "m"), typed=typed)
    assert (done.exit_code, done.stdout) == (5, "")
    assert "Stop them meanwhile?" in done.stderr
    assert done.stderr.count(WHY) == 2  # asked, and then the error
    assert list(small.service.dataplane.models) == ["other"]


def test_nobody_is_asked_who_need_not_be(small: live.Agent, tmp_path: Path, at_a_terminal: None) -> None:
    small.run(small.service.activator.remove("other"))
    done = run("deploy", "--board", "small", converted(tmp_path / "m"))
    assert done.exit_code == 0
    assert "Stop them" not in done.stderr


def test_a_model_that_the_boards_parser_refuses(small: live.Agent, tmp_path: Path) -> None:
    done = run("deploy", "--board", "small", converted(tmp_path / "m", nodes=[("act", "Fancy")]))
    assert done.exit_code == 5
    assert "null.json does not run on small: null 1 refuses the model: Fancy (node act): an echo has no nodes" in (
        " ".join(done.stderr.split())
    )
    assert "hint: export the model without these operators" in done.stderr
