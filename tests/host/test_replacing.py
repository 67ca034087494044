"""Deploys and rollbacks on a board whose accelerator one model has at a time: what the user is asked, and says."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bundles
import live
import owning
import pytest
from owning import needing, without
from shell import run
from told import Told
from versions import NEW

from contract import profile
from contract.api import ModelState
from host.boards import Board, Boards
from host.bundle import Bundle
from host.client import AgentClient
from host.deploying import deploy, rollback
from host.errors import BoardError

PROFILE = """
title = "A board whose models echo"
runtime = "null"
pythons = ["agent"]
switching = "stop-first"
shares_memory = true
headline_memory = "process"
queue_length = 4
precisions = ["fp32"]
sensors = ["procfs"]
start_timeout_s = 60
request_timeout_s = 30
[tolerance_db]
fp32 = 60
"""
READY, STOPPED = ModelState.READY, ModelState.STOPPED


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[live.Agent]:
    """One whose accelerator `first` has."""
    owning.as_user(monkeypatch)
    with live.listening(tmp_path / "agent", **owning.PROFILE) as agent:
        agent.activate(needing(), "first")
        yield agent


@pytest.fixture
def client(board: live.Agent) -> Iterator[AgentClient]:
    with AgentClient.connect("tpu", f"http://127.0.0.1:{board.port}", None) as found:
        yield found


def states(client: AgentClient) -> dict[str, ModelState]:
    return {model.name: model.state for model in client.models()}


def deployed(client: AgentClient, name: str, bundle: bundles.Bundle, *may: Any) -> Any:
    return deploy(client, name, Bundle(bundle.manifest, bundle.files), Told(), no_store, *may)


def no_store() -> Any:
    raise AssertionError("nothing is stored: that another model has the accelerator says nothing of this one")


class Asked:
    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.heard: list[str] = []

    def __call__(self, why: str) -> bool:
        self.heard.append(why)
        return self.answer


def test_the_model_that_has_it_is_replaced_only_where_the_user_says_so(client: AgentClient) -> None:
    no, yes, others = Asked(False), Asked(True), Asked(True)
    for refusing in ((others, no), ()):
        with pytest.raises(BoardError, match="'first' has it") as raised:
            deployed(client, "second", needing(NEW), *refusing)
        assert (raised.value.code, "--replace" in raised.value.hint) == ("accelerator_taken", True)
    assert states(client) == {"first": READY}
    assert deployed(client, "second", needing(NEW), others, yes).replaced == ("first",)
    assert states(client) == {"first": STOPPED, "second": READY}
    assert (no.heard, others.heard) == (yes.heard, [])
    assert len(yes.heard) == 1


def test_nobody_is_asked_twice(client: AgentClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that refuses what it was given is believed."""
    asked, refused = Asked(True), BoardError("'first' has it", "-", "accelerator_taken")
    starts: list[dict[str, bool]] = []

    def start(_name: str, **flags: bool) -> Any:
        starts.append(flags)
        raise refused

    monkeypatch.setattr(client, "rollback", start)
    with pytest.raises(BoardError, match="'first' has it"):
        rollback(client, "m", Told(), asked, asked)
    assert (starts, len(asked.heard)) == ([{}, {"replace": True}], 1)


def test_a_model_for_the_cpu_asks_nobody(client: AgentClient) -> None:
    asked = Asked(True)
    assert deployed(client, "cpu", without(), asked, asked).replaced == ()
    assert asked.heard == []


def test_a_rollback_is_asked_as_a_deploy_is(client: AgentClient) -> None:
    deployed(client, "m", needing(NEW), Asked(True), Asked(True))
    deployed(client, "m", without())
    deployed(client, "other", needing())
    with pytest.raises(BoardError, match="'other' has it"):
        rollback(client, "m", Told())
    assert rollback(client, "m", Told(), may_replace=Asked(True)).replaced == ("other",)
    assert states(client) == {"first": STOPPED, "m": READY, "other": STOPPED}


def test_the_commands(board: live.Agent, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "echo.toml").write_text(PROFILE)
    monkeypatch.setattr(profile, "_folder", lambda: tmp_path)
    Boards(home / "config" / "boards.toml").add(Board("tpu", "echo", f"http://127.0.0.1:{board.port}", None))
    made = needing(NEW)
    Bundle(made.manifest, made.files).write(tmp_path / "m")
    refused = run("deploy", "--board", "tpu", tmp_path / "m", "--name", "second")
    assert refused.exit_code == BoardError.exit_code
    assert "'first' has it" in refused.stderr
    done = run("deploy", "--board", "tpu", tmp_path / "m", "--name", "second", "--replace")
    assert done.exit_code == 0, done.output
    assert "s without service" in done.stdout
    assert "replaced, and stopped until it is loaded or deployed again: first\n" in done.stdout
    made = without()
    Bundle(made.manifest, made.files).write(tmp_path / "cpu")
    assert run("deploy", "--board", "tpu", tmp_path / "cpu", "--name", "second").exit_code == 0
    board.activate(needing(), "third")
    done = run("rollback", "--board", "tpu", "--model", "second", "--replace", "--stop-others", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["replaced"] == ["third"]


def test_a_model_that_stands_down_does_not_make_the_board_unready(client: AgentClient, board: live.Agent) -> None:
    deployed(client, "second", needing(NEW), Asked(True), Asked(True))
    assert board.client.get("/health/ready").status_code == 200
    reply = board.infer(bytes(4), "application/octet-stream", model="first")
    assert (reply.status_code, reply.json()["code"]) == (503, "model_not_ready")
    assert "it gave way to 'second'" in reply.json()["error"]
    assert "--replace" in reply.json()["hint"]


@pytest.mark.parametrize("body", [None, {}, {"replace": True, "stop_others": True}])
def test_what_may_be_said_to_the_routes(board: live.Agent, body: dict[str, bool] | None) -> None:
    job = board.client.post("/v1/models/first/load", json=body)
    assert job.status_code == 202, job.text
    assert board.client.post("/v1/models/first/load", json={"force": True}).status_code == 422
    assert board.client.post("/v1/models/first/rollback", json=body).status_code in (202, 409)
