"""What is run on a board: with programs that act as NVIDIA's are documented to.

Of jetson_clocks: its script in L4T R32 to R36, which many repositories keep (--store asks before it overwrites, and
ends with 1 unless it gets a y; without arguments it sets each lowest clock to the highest that the mode allows).
Of nvpmodel: as tests/agent/test_as_root.py has it; one that switches writes its status.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import live
import pytest
import recorded
import running
from programs import Programs, played

from agent import tuning
from agent.errors import BoardHeldError
from agent.exclusive import Board
from agent.telemetry.nvpmodel import PowerMode
from agent.tuning import Facts, read_facts, tune
from contract.tuning import Tuning

MODE = "sudo nvpmodel -m 2"
STORE = "sudo jetson_clocks --store /run/boardfit-clocks.conf"
PIN = "sudo jetson_clocks"
RAN = ["nvpmodel -m 2", "jetson_clocks --store /run/boardfit-clocks.conf", "jetson_clocks"]
NO_DESKTOP = "sudo systemctl set-default multi-user.target"
TUNED = Facts(modes=(PowerMode(2, "MAXN_SUPER"),), mode="MAXN_SUPER", cpu_held=True, gpu_held=True)

SUDO = '[ "$1" = -n ] || exit 7; shift; echo "${1##*/}${2+ }$2${3+ }$3" >> "$NOTES"; exec "$@"'
NVPMODEL = 'printf "pmode:%04d fmode:quiet\\n" "$2" > ROOT/var/lib/nvpmodel/status'
NVPMODEL_ASKS = 'echo "NVPM WARN: Reboot required for changing to this power mode: $2"; read answer; exit 234'
JETSON_CLOCKS = """
if [ "$1" = --store ]; then
    stored=ROOT$2
    if [ -e "$stored" ]; then
        echo "File $2 already exists. Can I overwrite it? Y/N:"
        read answer
        [ "$answer" = y ] || { echo "Error: file $2 already exists!"; exit 1; }
    fi
    mkdir -p "${stored%/*}"
    echo "sys/class/devfreq:1" > "$stored"
    exit 0
fi
for folder in ROOT/sys/class/devfreq/*; do cp "$folder/max_freq" "$folder/min_freq"; done
for folder in ROOT/sys/devices/system/cpu/cpu[0-9]*/cpufreq; do
    [ -f "$folder/scaling_max_freq" ] && cp "$folder/scaling_max_freq" "$folder/scaling_min_freq"
done
exit 0
"""


class Orin:
    """A recorded board with its programs; `ran`: what sudo was asked to run, in order."""

    def __init__(self, root: Path, programs: Programs) -> None:
        self.root = root
        self.programs = programs
        for name, text in (("sudo", SUDO), ("nvpmodel", NVPMODEL), ("jetson_clocks", JETSON_CLOCKS)):
            self.play(name, text)

    def play(self, name: str, text: str) -> None:
        self.programs.write(name, text.replace("ROOT", str(self.root)))

    @property
    def ran(self) -> list[str]:
        return self.programs.notes

    def tune(self) -> Tuning:
        return running.run(tune(Board(), self.root))


@pytest.fixture
def orin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Orin]:
    """In 25W, with a desktop, its clocks following the load."""
    with played(tmp_path, monkeypatch) as programs:
        yield Orin(recorded.build("orin-nano-jp72", tmp_path / "root").root, programs)


def outcomes(tuned: Tuning) -> list[tuple[str, str]]:
    return [(step.command, step.state) for step in tuned.steps]


def test_a_board_is_tuned(orin: Orin) -> None:
    tuned = orin.tune()
    assert orin.ran == RAN
    assert outcomes(tuned) == [(MODE, "done"), (STORE, "done"), (PIN, "done")]
    found = {finding.key: finding for finding in tuned.findings}
    assert (found["power_mode"].now, found["power_mode"].good) == ("MAXN_SUPER", True)
    assert found["clocks"].good is True
    # What would need a reboot is still as it was, and still advised.
    assert (found["desktop"].good, found["desktop"].commands) == (False, (NO_DESKTOP,))


def test_a_board_that_was_tuned_is_left_alone(orin: Orin) -> None:
    orin.tune()
    again = orin.tune()
    assert orin.ran == RAN
    assert again.steps == ()


def test_clocks_that_were_stored_before_are_stored_anew(orin: Orin) -> None:
    """After a change of the mode they are let go, and their file of this start is there already."""
    stored = orin.root / "run/boardfit-clocks.conf"
    stored.parent.mkdir()
    stored.write_text("of another mode\n")
    assert outcomes(orin.tune()) == [(MODE, "done"), (STORE, "done"), (PIN, "done")]
    assert stored.read_text() != "of another mode\n"


def test_a_mode_that_needs_a_reboot_is_left_to_the_owner_and_the_clocks_are_set(orin: Orin) -> None:
    orin.play("nvpmodel", NVPMODEL_ASKS)
    tuned = orin.tune()
    assert outcomes(tuned) == [(MODE, "needs_reboot"), (STORE, "done"), (PIN, "done")]
    assert f"run `{MODE}` on the board yourself" in tuned.steps[0].detail
    assert tuned.findings[0].now == "25W"


def test_a_mode_that_silently_stays_is_found_out(orin: Orin) -> None:
    orin.play("nvpmodel", "exit 0")
    step = orin.tune().steps[0]
    assert step.state == "failed"
    assert step.detail == "nvpmodel ended well, but the mode is 25W; try again after a reboot"


def test_a_mode_that_is_set_with_complaints_is_set(orin: Orin) -> None:
    """NVPM ERROR of a parameter that this kernel has not."""
    orin.play("nvpmodel", f"{NVPMODEL}; echo 'NVPM ERROR: failed to write PARAM VIC: ARG MAX_FREQ'; exit 255")
    step = orin.tune().steps[0]
    assert (step.state, step.detail) == ("done", "")


def test_clocks_that_were_not_stored_are_not_set(orin: Orin) -> None:
    orin.play("jetson_clocks", 'echo "Error: Run this script($0) as a root user"; exit 1')
    tuned = orin.tune()
    assert orin.ran == RAN[:2]
    assert outcomes(tuned) == [(MODE, "done"), (STORE, "failed"), (PIN, "skipped")]
    assert "as a root user" in tuned.steps[1].detail
    assert tuned.steps[2].detail == "the command before it was not done"


def test_a_sudo_that_wants_a_password_is_told_all_that_is_ever_run(orin: Orin) -> None:
    orin.play("sudo", "echo 'sudo: a password is required' >&2; exit 1")
    tuned = orin.tune()
    assert outcomes(tuned) == [(MODE, "failed"), (STORE, "failed"), (PIN, "skipped")]
    programs = orin.programs.folder
    for step in tuned.steps[:2]:
        assert step.detail.endswith(
            f"NOPASSWD: {programs}/nvpmodel -m 2, {programs}/jetson_clocks --store /run/boardfit-clocks.conf, "
            f'{programs}/jetson_clocks ""'
        )


def test_a_board_without_nvpmodel_is_never_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with played(tmp_path, monkeypatch) as programs:
        programs.write("sudo", SUDO)
        folder = tmp_path / "root/sys/devices/system/cpu/cpu0/cpufreq"
        folder.mkdir(parents=True)
        for name, text in (("governor", "powersave"), ("min_freq", "1"), ("max_freq", "2"), ("cur_freq", "1")):
            (folder / f"scaling_{name}").write_text(text)
        tuned = running.run(tune(Board(), tmp_path / "root"))
        assert (tuned.steps, programs.notes) == ((), [])
        assert [(each.key, each.good, each.applied) for each in tuned.findings] == [("governor", False, False)]


@pytest.mark.parametrize("alone", [True, False])
def test_while_the_board_is_in_use_it_is_refused_at_once(orin: Orin, alone: bool) -> None:
    """By a bench, which has it alone, or by a deploy, which has a turn."""

    async def main() -> None:
        board = Board()
        async with (board.held if alone else board.turn)("a bench of 'm'", print):
            with pytest.raises(BoardHeldError, match="in use by a bench of 'm': its clocks stay as they are"):
                await tune(board, orin.root)
        assert orin.ran == []
        await tune(board, orin.root)

    running.run(main())
    assert orin.ran == RAN


def test_a_bench_waits_for_it(orin: Orin) -> None:
    async def main() -> None:
        board, stages = Board(), []
        tuning_it = asyncio.create_task(tune(board, orin.root))
        await asyncio.sleep(0)
        async with board.held("a bench", stages.append):
            assert orin.ran == RAN
        assert stages == ["waiting for a change of the board's clocks"]
        await tuning_it

    running.run(main())


def test_one_that_is_cancelled_is_done_whole(orin: Orin) -> None:
    """Its programs are root's, and go on anyway: nobody is to measure beside them."""

    async def main() -> None:
        board = Board()
        tuning_it = asyncio.create_task(tune(board, orin.root))
        await asyncio.sleep(0)
        tuning_it.cancel()
        async with board.turn("a bench", lambda _stage: None):
            assert orin.ran == RAN
        with pytest.raises(asyncio.CancelledError):
            await tuning_it

    running.run(main())


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Agent]:
    with live.listening(tmp_path_factory.mktemp("agent"), token=live.TOKEN) as listening:
        yield listening


def test_the_routes(agent: live.Agent, orin: Orin, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent's own root is /: here it is the board's."""
    monkeypatch.setattr(tuning, "read_facts", lambda _root, read=read_facts: read(orin.root))
    monkeypatch.setattr(tuning, "Jetson", lambda _root, real=tuning.Jetson: real(orin.root))
    looked = agent.client.get("/v1/tuning")
    assert looked.status_code == 200
    assert [finding["good"] for finding in looked.json()["findings"]] == [False, False, False, True]
    assert orin.ran == []
    tuned = agent.client.post("/v1/tuning")
    assert tuned.status_code == 200
    assert [step["state"] for step in tuned.json()["steps"]] == ["done"] * 3
    assert orin.ran == RAN


def test_what_a_request_says_is_not_run(agent: live.Agent, orin: Orin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "read_facts", lambda _root: TUNED)
    tuned = agent.client.post("/v1/tuning?commands=reboot", json={"commands": ["reboot"]})
    assert tuned.json()["steps"] == []
    assert orin.ran == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_is_let_in_without_the_token(agent: live.Agent, orin: Orin, method: str) -> None:
    refused = agent.client.request(method, "/v1/tuning", headers={"Authorization": "Bearer another"})
    assert refused.status_code == 401
    assert orin.ran == []


def test_a_bench_on_the_board_refuses_it(agent: live.Agent, orin: Orin) -> None:
    async def held() -> None:
        board = agent.service.dataplane.board
        async with board.held("a bench of 'm'", print):
            refused = await asyncio.to_thread(agent.client.post, "/v1/tuning")
        assert refused.status_code == 503
        assert refused.json()["code"] == "board_held"

    agent.run(held())
    assert orin.ran == []
