"""What a bench draws: of a recorded board whose rail changes, in a bench and apart from one."""

import asyncio
from dataclasses import replace
from pathlib import Path

import bundles
import pytest
import recorded
import rogue
import running
from measuring import STAGES, Bench, all_is_back

from agent import power
from agent.jobs import RunningJob
from agent.power import Meter
from contract.api import JobState
from contract.results import Power

CURRENT = "sys/class/hwmon/hwmon1/curr1_input"
VOLTS = 5.016
AT_REST = "measuring the power of the board at rest"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample each 2 ms, and so little time at rest."""
    monkeypatch.setattr(power, "INTERVAL_S", 0.002)
    monkeypatch.setattr(power, "REST_S", 0.2)


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """An Orin Nano that draws 1 A."""
    root = recorded.build("orin-nano-jp62", tmp_path / "board").root
    draw(root, 1000)
    return root


def draw(root: Path, milliamperes: int) -> None:
    """In one write of equal length, under whoever reads it."""
    with (root / CURRENT).open("r+") as file:
        file.write(f"{milliamperes:>6}\n")


def test_at_rest_then_running(board: Path) -> None:
    stages: list[str] = []

    async def main() -> None:
        meter = Meter(board)
        await meter.rest(stages.append)
        draw(board, 9000)  # the inputs are mapped, and the first run
        with meter.running() as counted:
            await asyncio.sleep(0.05)
            draw(board, 2000)
            for _ in range(2):
                counted()
            await asyncio.sleep(0.2)
        drawn = meter.drawn
        assert drawn.power.idle == pytest.approx(1000 * VOLTS)
        assert drawn.power.run == pytest.approx(2000 * VOLTS)
        assert drawn.unmet == {}

    running.run(main())
    assert stages == [AT_REST]


@pytest.mark.parametrize("some", [True, False])
def test_runs_that_are_too_short_to_tell(board: Path, some: bool) -> None:
    """Or but one run, after which there is nothing to measure."""

    async def main() -> None:
        meter = Meter(board)
        await meter.rest(lambda _: None)
        with meter.running() as counted:
            if some:
                counted()
        assert meter.drawn.power.idle == pytest.approx(1000 * VOLTS)
        assert meter.drawn.power.run is None
        assert "too short" in meter.drawn.unmet["power_mw.run"]
        assert meter.drawn.unmet.keys() == {"power_mw.run"}

    running.run(main())


def test_a_board_without_such_a_rail_waits_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "REST_S", 3600)
    stages: list[str] = []

    async def main() -> None:
        meter = Meter(tmp_path)
        await meter.rest(stages.append)
        with meter.running() as counted:
            counted()
        assert meter.drawn.power == Power(idle=None, run=None)
        assert meter.drawn.unmet.keys() == {"power_mw.idle", "power_mw.run"}
        assert "no sensor reads the power of the whole board" in meter.drawn.unmet["power_mw.run"]

    running.run(main())
    assert stages == []


def test_what_was_not_come_to_says_so(board: Path) -> None:
    assert Meter(board).drawn.unmet.keys() == {"power_mw.idle", "power_mw.run"}


def test_a_bench_on_a_board_with_a_rail(tmp_path: Path, board: Path) -> None:
    """The model runs at twice the current, after a first run that draws more and counts no more than its time does.

    What is found of the board's settings is in its flags.
    """

    async def main() -> None:
        models = {"m": bundles.null(delay_ms=10)}
        async with bundles.serving(tmp_path, models, start=rogue.obedient(tmp_path)) as service:
            service.bencher = replace(service.bencher, root=board)

            def at(stage: str, job: RunningJob) -> None:
                draw(board, 9000 if stage == "running" else 1000)
                if stage == "running":
                    told = job.progress

                    def progress(done: int, total: int) -> None:
                        draw(board, 2000 if done else 9000)
                        told(done, total)

                    job.progress = progress  # type: ignore[method-assign]  # to hear of it too

            bench = Bench(service, at, runs=30)
            measurement = await bench.measured()
            assert bench.stages == [*STAGES[:2], AT_REST, *STAGES[2:], "putting things back"]
            assert measurement.power_mw is not None
            assert measurement.power_mw.idle == pytest.approx(1000 * VOLTS)
            assert measurement.power_mw.run == pytest.approx(2000 * VOLTS)
            assert not {key for key in measurement.unmet if key.startswith("power_mw.")}
            assert "clocks_not_fixed" not in measurement.flags
            await all_is_back(service)

    running.run(main())


def test_cancelled_while_the_board_rests_everything_is_put_back(tmp_path: Path, board: Path) -> None:
    async def main() -> None:
        models = {"m": bundles.null(), "n": bundles.null()}
        async with bundles.serving(tmp_path, models, start=rogue.obedient(tmp_path), shares_memory=True) as service:
            service.bencher = replace(service.bencher, root=board)

            def at(stage: str, job: RunningJob) -> None:
                if stage == AT_REST:
                    assert not running.children()  # the others were stopped before
                    service.jobs.cancel(job.state.id)

            bench = Bench(service, at)
            assert (await bench.over()).state is JobState.CANCELLED
            assert bench.stages[-1] == AT_REST
            await all_is_back(service)

    running.run(main())
