"""A bench that fails, is cancelled or cut off by the agent's end: everything is put back."""

import asyncio
import os
import signal
import time
from pathlib import Path

import bundles
import pytest
import rogue
import running
from bundles import Bundle
from measuring import STAGES, Bench, all_is_back, ask

from agent.jobs import RunningJob
from contract.api import JobState, ModelState


def test_a_worker_that_crashes_while_its_requests_are_waited_for_stops_no_bench(tmp_path: Path) -> None:
    async def main() -> None:
        models = {"m": bundles.null(), "n": bundles.null(cases=1, crash_on_run=2, delay_ms=50)}
        async with bundles.serving(tmp_path, models, start=rogue.obedient(tmp_path)) as service:
            request = asyncio.create_task(ask(service, "n"))
            await asyncio.sleep(0)
            await Bench(service).measured()
            await asyncio.wait({request})
            assert request.exception()
            await running.until(lambda: service.dataplane.pick("n").supervisor.state is ModelState.READY)
            await all_is_back(service)

    running.run(main())


@pytest.mark.parametrize("end", ["success", "failure", "cancel"])
def test_a_board_that_shares_memory_is_emptied_and_filled_again(tmp_path: Path, end: str) -> None:
    async def main() -> None:
        models = {"m": bundles.null(crash_on_run=3), "n": bundles.null(), "out": bundles.null()}
        async with bundles.serving(tmp_path, models, shares_memory=True, start=rogue.obedient(tmp_path)) as service:
            await service.dataplane.pick("out").supervisor.fail("five crashes")
            workers = []

            def at(stage: str, job: RunningJob) -> None:
                if stage == "running":
                    workers.extend(running.children())
                    if end == "cancel":
                        service.jobs.cancel(job.state.id)

            bench = Bench(service, at, runs=5 if end == "failure" else 2)
            job = await bench.over()
            assert len(workers) == 1
            assert job.state == {"success": "done", "failure": "failed", "cancel": "cancelled"}[end]
            if job.measurement:
                assert job.measurement.stopped_models == ("m", "n")
            states = {name: served.supervisor.state for name, served in service.dataplane.models.items()}
            assert states == {"m": ModelState.READY, "n": ModelState.READY, "out": ModelState.FAILED}
            assert service.dataplane.pick("out").supervisor.reason == "five crashes"
            assert service.dataplane.board.held_by is None

    running.run(main())


@pytest.mark.parametrize("shares_memory", [False, True])
@pytest.mark.parametrize("stage", [*STAGES, "putting things back"])
def test_cancelled_in_every_stage_it_puts_everything_back(tmp_path: Path, stage: str, shares_memory: bool) -> None:
    async def main() -> None:
        models = {"m": bundles.null(), "n": bundles.null()}
        async with bundles.serving(
            tmp_path, models, shares_memory=shares_memory, start=rogue.obedient(tmp_path)
        ) as service:

            def at(now: str, job: RunningJob) -> None:
                if now == stage:
                    service.jobs.cancel(job.state.id)

            bench = Bench(service, at)
            job = await bench.over()
            assert stage in bench.stages
            assert job.state in ((JobState.CANCELLED,) if stage != "putting things back" else tuple(JobState))
            await all_is_back(service)
            await ask(service, "m")

    running.run(main())


def test_cancelled_at_any_moment_it_puts_everything_back(tmp_path: Path) -> None:
    async def main() -> None:
        models = {"m": bundles.null(), "n": bundles.null()}
        async with bundles.serving(tmp_path, models, shares_memory=True, start=rogue.obedient(tmp_path)) as service:
            for number in range(8):
                bench = Bench(service, runs=2)
                await asyncio.sleep(number * 0.05)
                service.jobs.cancel(bench.job_id)
                assert (await bench.over()).state in (JobState.CANCELLED, JobState.DONE)
                await all_is_back(service)

    running.run(main())


@pytest.mark.parametrize(
    ("bundle", "code"),
    [
        (bundles.null(cases=1, crash_on_run=3), "worker_crashed"),
        (bundles.null(cases=1, kill_on_run=3), "worker_crashed"),
        (bundles.null(cases=1, hang_on_run=3), "worker_timeout"),
        (bundles.null(cases=1, fail_on_run=3), "run_failed"),
    ],
)
def test_a_model_that_goes_wrong_in_the_bench_is_a_reason_and_serves_on(
    tmp_path: Path, bundle: Bundle, code: str
) -> None:
    async def main() -> None:
        async with bundles.serving(tmp_path, {"m": bundle}, request_timeout_s=0.5) as service:
            bench = Bench(service)
            assert await bench.failed() == code
            assert service.jobs.get(bench.job_id).samples is None
            await all_is_back(service)
            assert service.dataplane.pick("m").supervisor.restarts == 0

    running.run(main())


def test_a_model_that_has_failed_can_be_measured_and_stays_failed(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(
            tmp_path, {"m": bundles.null()}, shares_memory=True, start=rogue.obedient(tmp_path)
        ) as service:
            await service.dataplane.pick("m").supervisor.fail("five crashes")
            assert (await Bench(service).measured()).stopped_models == ()
            assert service.dataplane.pick("m").supervisor.state is ModelState.FAILED

    running.run(main())


def test_killed_from_outside_under_the_bench(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(
            tmp_path, {"m": bundles.null(delay_ms=50)}, start=rogue.obedient(tmp_path)
        ) as service:
            serving = service.dataplane.pick("m").supervisor.pid

            def at(stage: str, _job: RunningJob) -> None:
                if stage == "running":
                    (measured,) = (pid for pid in running.children() if pid != serving)
                    asyncio.get_running_loop().call_later(0.1, os.kill, measured, signal.SIGKILL)

            bench = Bench(service, at, runs=100)
            assert await bench.failed() == "worker_crashed"
            error = (await bench.over()).error
            assert error
            assert "out of memory" in error.error
            await all_is_back(service)

    running.run(main())


def test_a_model_that_is_removed_before_its_turn_comes(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(
            tmp_path, {"m": bundles.null(), "n": bundles.null()}, start=rogue.obedient(tmp_path)
        ) as service:
            async with service.dataplane.board.turn("somebody", print):
                removing = asyncio.create_task(service.activator.remove("n"))
                await asyncio.sleep(0)
                bench = Bench(service, model="n")
                await asyncio.sleep(0)
            await removing
            assert await bench.failed() == "unknown_model"
            assert service.dataplane.board.held_by is None

    running.run(main())


@pytest.mark.parametrize("stage", ["loading", "running"])
def test_an_agent_that_ends_leaves_no_worker_and_starts_none(tmp_path: Path, stage: str) -> None:
    async def main() -> None:
        models = {"m": bundles.null(delay_ms=20), "n": bundles.null(load_delay_ms=200)}
        service = bundles.service(tmp_path, start=rogue.obedient(tmp_path), shares_memory=True)
        for name, bundle in models.items():
            await bundles.activate(service, bundle, name)
        reached = asyncio.Event()
        bench = Bench(service, lambda now, _job: reached.set() if now == stage else None, runs=1000)
        await reached.wait()
        began = time.monotonic()
        await service.close()
        assert time.monotonic() - began < 2
        assert (await bench.over()).state is JobState.CANCELLED
        assert not running.children()

    running.run(main())
