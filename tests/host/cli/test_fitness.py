"""`host bench` on a board that is, or becomes, not fit for it."""

import json
from pathlib import Path

import live
import pytest
from shell import run

from contract.results import Flag
from contract.tuning import Preflight, PreflightFinding
from host.client import AgentClient
from host.last import Last
from host.store import Store

LOAD = PreflightFinding(flag="other_load", now="others use 0.80 cores: chrome 0.50", better="end them")
FIT = Preflight()


@pytest.fixture(autouse=True)
def deployed(line: live.Agent, last: Last) -> None:
    assert line
    last.remember("line-3", "echo")


def finds(monkeypatch: pytest.MonkeyPatch, found: Preflight) -> None:
    monkeypatch.setattr(AgentClient, "preflight", lambda _client: found)


def rows(home: Path) -> int:
    return len(Store.open(home / "data" / "results.sqlite").rows())


def test_findings_are_told_before_it_begins(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finds(monkeypatch, Preflight(findings=(LOAD,)))
    done = run("bench", "--runs", 5)
    assert done.exit_code == 0
    told = done.stderr.index("line-3: other load: others use 0.80 cores: chrome 0.50. Better: end them\n")
    assert told < done.stderr.index("line-3: running ...")
    assert rows(home) == 1


def test_strict_refuses(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finds(monkeypatch, Preflight(findings=(LOAD,)))
    done = run("bench", "--runs", 5, "--strict")
    assert done.exit_code == 5
    assert "host: 'line-3' is not fit for a bench: other load: others use 0.80 cores: chrome 0.50\n" in done.stderr
    assert "hint: end them" in done.stderr
    assert rows(home) == 0
    told = json.loads(run("bench", "--runs", 5, "--strict", "--json").stdout)
    assert told["code"] == "not_fit_for_bench"


@pytest.mark.parametrize(("flags", "exit_code"), [((), 0), (("throttled",), 5)])
def test_strict_tells_of_what_came_up_during_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[Flag, ...], exit_code: int
) -> None:
    """The rows are stored and shown all the same; on stdout there is nothing else."""
    finds(monkeypatch, FIT)
    monkeypatch.setattr("host.through_worker.Taken.with_energy", lambda _, row: row.model_copy(update={"flags": flags}))
    done = run("bench", "--runs", 5, "--trials", 2, "--cool-down", 0, "--strict", "--json")
    assert done.exit_code == exit_code
    assert len(json.loads(done.stdout)) == rows(home) == 2
    assert ("2 of 2 trials may not show what the board can do: throttled" in done.stderr) is bool(flags)
    assert run("bench", "--runs", 5, "--trials", 2, "--cool-down", 0).exit_code == 0


@pytest.mark.parametrize("seconds", ["-1", "3601", "warm"])
def test_no_time_to_cool_down(seconds: str) -> None:
    done = run("bench", "--cool-down", seconds)
    assert done.exit_code == 2
    assert "--cool-down" in done.stderr
