"""The whole way on `desktop`, with the agent that it starts by itself."""

import json
from pathlib import Path

import psutil
import pytest
from shell import run, spawn

from host.boards import Board
from host.connect import local_agent


@pytest.mark.timeout(120)
def test_from_the_first_command_to_the_last(home: Path, model: Path, images: Path) -> None:
    desktop = local_agent(Board("desktop", "desktop"))
    try:
        deployed = run("deploy", "--board", "desktop", model)
        assert deployed.exit_code == 0, deployed.output
        running = desktop.running()
        assert running is not None
        found = json.loads(run("boards", "--json").stdout)[0]
        assert (found["address"], found["answers"]) == (running.address, True)
        inferred = run("infer", images / "0.png", "--json")
        assert json.loads(inferred.stdout)[0]["decision"] in ("good", "defective")
        [row] = json.loads(run("bench", "--runs", 20, "--interrupt", "--json").stdout)
        assert row["environment"]["runtime"] == "ort"
        agent = psutil.Process(running.pid)
        agent.kill()
        agent.wait()
        assert json.loads(run("boards", "--json").stdout)[0]["state"].startswith("not running")
        again = run("models", "--json")  # another is started, and serves the same
        assert [served["name"] for served in json.loads(again.stdout)] == ["capsules"]
        assert run("boards", "stop").stdout == "stopped desktop\n"
        assert desktop.running() is None
    finally:
        desktop.stop()


def test_an_agent_that_does_not_come_up(home: Path, images: Path) -> None:
    (home / "data" / "agents").mkdir(parents=True)
    (home / "data" / "agents" / "desktop").write_text("a file where a folder belongs")
    command = spawn("infer", "--board", "desktop", "--model", "m", images / "0.png", "--json", home=home)
    exit_code, stdout, stderr = command.end()
    assert exit_code == 4
    assert json.loads(stdout)["code"] == "local_agent_failed"
    assert "the agent of this machine does not come up. The last it said:\n    " in stderr
    assert f"its whole log: {home / 'state' / 'agents' / 'desktop' / 'agent.log'}" in stderr
