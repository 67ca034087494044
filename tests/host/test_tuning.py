"""How a board is tuned from the host, and how that is shown."""

import io
from typing import Any

import live
import pytest
from rich.console import Console

from agent import tuning as on_board
from agent.as_root import Command
from agent.telemetry.nvpmodel import PowerMode
from agent.tuning import Facts, advice
from contract.tuning import Tuning, TuningFinding, TuningStep
from contract.version import __version__
from host.client import AgentClient
from host.errors import BoardError, BusyError
from host.report.tuning import tuning_table
from host.tuning import all_done, tune

WIDTHS = pytest.mark.parametrize("width", [80, 120])
MODES = (PowerMode(0, "15W", 612e6), PowerMode(2, "MAXN_SUPER"))
LOOSE = Facts(MODES, "MAXN_SUPER", cpu_held=False, gpu_held=False)
UNTUNED = Facts(MODES, "15W", cpu_held=False, gpu_held=False, zram=("/dev/zram0", "/dev/zram1"), desktop=True)
SUDOERS = (
    "sudo wants a password. Add to /etc/sudoers.d/boardfit-agent: boardfit ALL=(root) NOPASSWD: /usr/sbin/nvpmodel -m 2"
)
STEPS = (
    TuningStep(command="sudo nvpmodel -m 2", state="failed", detail=SUDOERS),
    TuningStep(command="sudo jetson_clocks --store /run/boardfit-clocks.conf", state="done"),
    TuningStep(command="sudo jetson_clocks", state="skipped", detail="the command before it was not done"),
)


def tuning(facts: Facts = UNTUNED, steps: tuple[TuningStep, ...] = ()) -> Tuning:
    return Tuning(findings=tuple(finding.reply() for finding in advice(facts)), steps=steps)


def shown(told: Tuning, width: int = 80, *, applied: bool = False) -> str:
    buffer = io.StringIO()
    Console(file=buffer, width=width).print(tuning_table(told, applied=applied))
    text = buffer.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    return text


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> list[Command]:
    """A Jetson whose clocks follow the load, and that does what it is told; the commands it was given."""
    ran: list[Command] = []

    def run(command: Command, _allowed: Any) -> TuningStep:
        ran.append(command)
        return TuningStep(command=str(command), state="done")

    monkeypatch.setattr(on_board, "read_facts", lambda _root: LOOSE)
    monkeypatch.setattr(on_board.as_root, "run", run)
    return ran


def test_a_board_is_looked_at_and_not_touched(client: AgentClient, board: list[Command]) -> None:
    told = tune(client, apply=False)
    assert [finding.key for finding in told.findings if not finding.good] == ["clocks"]
    assert all_done(told)
    assert board == []


def test_it_is_tuned_where_that_is_asked_for(client: AgentClient, board: list[Command]) -> None:
    told = tune(client, apply=True)
    assert [str(command) for command in board] == [step.command for step in told.steps]
    assert [command.words[0] for command in board] == ["jetson_clocks", "jetson_clocks"]
    assert all_done(told)


def test_a_board_in_use_is_busy(agent: live.Agent, client: AgentClient, board: list[Command]) -> None:
    service = agent.service.dataplane.board
    held = service.held("a bench of 'm'", print)
    agent.run(held.__aenter__())
    try:
        with pytest.raises(BusyError, match="a bench of 'm'"):
            tune(client, apply=True)
    finally:
        agent.run(held.__aexit__(None, None, None))
    assert board == []


@pytest.mark.parametrize("apply", [True, False])
def test_an_agent_that_is_older_says_so(client: AgentClient, monkeypatch: pytest.MonkeyPatch, apply: bool) -> None:
    """Its answer to a path that it does not have; asked of the agent as it is, by a path that it does not have."""
    ask = client._transport.ask
    monkeypatch.setattr(
        client._transport,
        "ask",
        lambda kind, method, path, **more: ask(kind, method, path.replace("tuning", "tuned"), **more),
    )
    with pytest.raises(BoardError, match=rf"agent of 'board' cannot tune its board.*boardfit {__version__}") as told:
        tune(client, apply=apply)
    assert told.value.hint == "install the same boardfit on both"


def test_another_error_stays_what_it_is(client: AgentClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> Facts:
        raise RuntimeError("a bug")

    monkeypatch.setattr(on_board, "read_facts", broken)
    with pytest.raises(BoardError) as told:
        tune(client, apply=False)
    assert told.value.code == "agent_bug"


@pytest.mark.parametrize("state", ["failed", "needs_reboot", "skipped"])
def test_one_step_that_is_not_done_is_not_all(state: Any) -> None:
    done, other = (TuningStep(command="c", state=state) for state in ("done", state))
    assert all_done(tuning(steps=(done,)))
    assert not all_done(tuning(steps=(done, other)))


@WIDTHS
def test_what_a_board_lacks_is_shown_with_who_does_it(width: int) -> None:
    text = words(shown(tuning(), width))
    assert "--apply runs on the board: sudo nvpmodel -m 2 sudo jetson_clocks --store" in text
    owner = "For you to run on the board: sudo systemctl set-default multi-user.target sudo systemctl disable"
    assert owner in text
    assert text.index("--apply runs") < text.index("For you to run")


def test_how_it_is_and_what_is_better() -> None:
    lines = shown(tuning(), 160).splitlines()
    mode = next(line for line in lines if "Power mode" in line)
    assert "15W" in mode
    assert "MAXN_SUPER" in mode
    assert any("Clocks" in line and "CPU: follows the load, GPU: follows the load" in line for line in lines)
    assert any("Swap" in line and "/dev/zram0, /dev/zram1" in line for line in lines)


@WIDTHS
def test_a_board_that_is_as_it_should_be(width: int) -> None:
    text = shown(tuning(Facts(MODES, "MAXN_SUPER", cpu_held=True, gpu_held=True)), width)
    assert text.count("as it should be") == 4
    assert "sudo" not in text


def test_what_cannot_be_told() -> None:
    text = shown(tuning(Facts(unmet={"cpu_held": "the kernel shows no CPU clocks"})), 120)
    assert "CPU governor" in text
    assert text.count("not known") == 2


@WIDTHS
def test_what_was_done_has_its_outcome_and_the_reason_as_a_note(width: int) -> None:
    text = shown(tuning(steps=STEPS), width, applied=True)
    told = words(text)
    for outcome in ("failed (1)", "done", "not run (2)"):
        assert outcome in told
    assert f"(1) {SUDOERS}" in told
    assert "(2) the command before it was not done" in told
    assert "--apply runs" not in told
    assert "For you to run on the board:" in told


def test_a_reboot_is_named() -> None:
    text = shown(tuning(steps=(TuningStep(command="c", state="needs_reboot", detail="run it yourself"),)), applied=True)
    assert "needs a reboot (1)" in text
    assert "(1) run it yourself" in text


def test_what_a_newer_agent_finds_is_shown_by_its_key() -> None:
    finding = TuningFinding(key="fan", now="quiet", good=False, better="on", commands=("sudo x",))
    text = shown(Tuning(findings=(finding,)))
    assert "fan" in text
    assert "For you to run on the board:" in text
