import json
from pathlib import Path
from typing import Any

import bundles
import live
import pytest
from shell import run

from host import verifying
from host.bundle import Bundle
from host.verifying import RUNS

CHECKS = 2 + 3 * 3  # the board; three parts of each specimen


def test_a_board_where_all_is_well(line: live.Agent) -> None:
    before = sorted(line.service.dataplane.models)
    done = run("verify", "--board", "line-3")
    assert done.exit_code == 0
    assert f"all {CHECKS} checks passed" in done.stdout
    assert done.stdout.count(" yes ") == CHECKS
    assert f"{RUNS} runs in a fresh worker" in " ".join(done.stdout.split())
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "line-3: running ..." in done.stderr
    assert sorted(line.service.dataplane.models) == before


def test_for_programs(line: live.Agent) -> None:
    done = run("verify", "--board", "line-3", "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 0
    assert len(told) == CHECKS
    assert {check["passed"] for check in told} == {True}


def test_one_that_fails_is_the_commands_failure(line: live.Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    make = verifying.make

    def sabotaged(request: Any, *rest: Any) -> Bundle:
        if request.model.stem != "transposed":
            return make(request, *rest)
        made = bundles.null(golden="wrong")
        return Bundle(made.manifest, made.files)

    monkeypatch.setattr(verifying, "make", sabotaged)
    done = run("verify", "--board", "line-3")
    assert done.exit_code == 5
    assert f"1 of {CHECKS - 2} checks failed" in done.stdout
    assert "hint: " in done.stdout
    told = run("verify", "--board", "line-3", "--json")
    assert told.exit_code == 5
    [failed] = [check for check in json.loads(told.stdout) if not check["passed"]]
    assert (failed["subject"], failed["code"]) == ("transposed", "golden_mismatch")


def test_a_board_that_does_not_answer(home: Path) -> None:
    run("boards", "add", "gone", "--profile", "desktop", "--address", "http://127.0.0.1:1")
    done = run("verify", "--board", "gone")
    assert (done.exit_code, done.stdout) == (4, "")
