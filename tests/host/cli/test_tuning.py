import json

import live
import pytest
from shell import run

from agent import tuning
from agent.as_root import Command
from agent.telemetry.nvpmodel import PowerMode
from agent.tuning import Facts
from contract.tuning import TuningStep

pytestmark = pytest.mark.usefixtures("line")


class Jetson:
    """What the board `line-3` is made to be: its clocks follow the load.

    `mode` is its power mode, `ends` is how its commands end, `ran` are those it was given.
    """

    def __init__(self) -> None:
        self.mode = "15W"
        self.ends = "done"
        self.ran: list[str] = []

    def facts(self, *_root: object) -> Facts:
        modes = (PowerMode(0, "15W", 612e6), PowerMode(2, "MAXN_SUPER"))
        return Facts(modes, self.mode, cpu_held=False, gpu_held=False)

    def run(self, command: Command, _allowed: object) -> TuningStep:
        self.ran.append(str(command))
        return TuningStep(command=str(command), state=self.ends, detail="" if self.ends == "done" else "the reason")


@pytest.fixture(autouse=True)
def jetson(monkeypatch: pytest.MonkeyPatch) -> Jetson:
    board = Jetson()
    monkeypatch.setattr(tuning, "read_facts", board.facts)
    monkeypatch.setattr(tuning.as_root, "run", board.run)
    return board


def test_a_board_is_looked_at_and_not_touched(jetson: Jetson) -> None:
    done = run("tune", "--board", "line-3")
    assert done.exit_code == 0
    assert "MAXN_SUPER" in done.stdout
    assert "--apply runs on the board:\n  sudo nvpmodel -m 2\n" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert jetson.ran == []


def test_it_is_tuned(jetson: Jetson) -> None:
    jetson.mode = "MAXN_SUPER"
    done = run("tune", "--board", "line-3", "--apply")
    assert done.exit_code == 0
    assert jetson.ran == ["sudo jetson_clocks --store /run/boardfit-clocks.conf", "sudo jetson_clocks"]
    assert done.stdout.index("Outcome") < done.stdout.index("Better")


@pytest.mark.parametrize("ends", ["failed", "needs_reboot"])
def test_what_was_not_done_is_an_error_of_the_board(jetson: Jetson, ends: str) -> None:
    jetson.ends = ends
    done = run("tune", "--board", "line-3", "--apply")
    assert done.exit_code == 5
    assert "(1) the reason" in done.stdout
    told = run("tune", "--board", "line-3", "--apply", "--json")
    assert told.exit_code == 5
    assert [step["state"] for step in json.loads(told.stdout)["steps"]] == [ends, ends, "skipped"]


def test_for_programs() -> None:
    done = run("tune", "--board", "line-3", "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 0
    assert done.stdout.isascii()
    assert [finding["key"] for finding in told["findings"]] == ["power_mode", "clocks", "desktop", "swap"]
    assert told["findings"][0]["commands"] == ["sudo nvpmodel -m 2"]
    assert told["steps"] == []


def test_a_board_in_use_is_left_alone(line: live.Agent, jetson: Jetson) -> None:
    held = line.service.dataplane.board.held("a bench of 'echo'", print)
    line.run(held.__aenter__())
    try:
        done = run("tune", "--board", "line-3", "--apply")
    finally:
        line.run(held.__aexit__(None, None, None))
    assert done.exit_code == 5
    assert "in use by a bench of 'echo'" in done.stderr
    assert jetson.ran == []
