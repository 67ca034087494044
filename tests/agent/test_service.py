"""One agent: started, ended, killed, and started again."""

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import Any

import blockbuster
import bundles
import psutil
import pytest
import rogue
import running
from measuring import send

from agent.errors import StartError
from agent.service import Service
from agent.settings import Settings
from contract.api import BenchRequest, Job, JobState, ModelState
from contract.profile import UnknownProfileError


def states(service: Service) -> dict[str, ModelState]:
    return {name: served.supervisor.state for name, served in service.dataplane.models.items()}


async def over(service: Service, job: Job) -> Job:
    while not job.is_over:
        job = await service.jobs.get(job.id).changed_since(job.revision, 10)
    return job


def deploy(service: Service, bundle: bundles.Bundle, name: str = "m") -> Job:
    wanted = bundles.put(service.repository, bundle)
    return service.jobs.start("activate", name, lambda job: service.activator.activate(name, wanted, job.stage))


def bench(service: Service, name: str = "m", runs: int = 1000) -> Job:
    request = BenchRequest(model=name, runs=runs)
    return service.jobs.start("bench", name, partial(service.bencher.run, request))


def test_what_was_served_is_served_again(tmp_path: Path) -> None:
    async def main() -> None:
        start = rogue.obedient(tmp_path)
        models = {"a": bundles.null(), "b": bundles.null(cases=3)}
        async with bundles.serving(tmp_path, models, start=start):
            pass
        assert not running.children()
        service = bundles.service(tmp_path, start=start)
        service.start()
        assert not service.restored.is_set()
        await service.restored.wait()
        assert states(service) == {"a": ModelState.READY, "b": ModelState.READY}
        await service.close()

    running.run(main())


def test_one_that_ends_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        start = rogue.obedient(tmp_path)
        async with bundles.serving(tmp_path, {"m": bundles.null(load_delay_ms=300)}, start=start):
            pass
        for after_s in (0.0, 0.01, 0.1):
            service = bundles.service(tmp_path, start=start)
            service.start()
            await asyncio.sleep(after_s)
            began = time.monotonic()
            await service.close()
            assert time.monotonic() - began < 2
            assert service.restored.is_set() or after_s == 0.0
            await running.until(lambda: not running.children())

    running.run(main())


@pytest.mark.parametrize("switching", ["overlap", "stop-first"])
@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.2])
def test_one_that_ends_during_everything_leaves_nothing_and_serves_the_same_again(
    tmp_path: Path, switching: str, after_s: float
) -> None:
    """Requests in flight, a worker that backs off, a deploy under way, a bench and another deploy waiting."""

    async def main() -> None:
        start, options = rogue.obedient(tmp_path), _options(switching)
        service = bundles.service(tmp_path, start=start, **options)
        served = {"m": bundles.null(), "n": bundles.null(delay_ms=500), "o": bundles.null(cases=3)}
        for name, bundle in served.items():
            await bundles.activate(service, bundle, name)
        request = asyncio.create_task(bundles.ask(service.dataplane.pick("n").supervisor))
        crashed = service.dataplane.pick("o").supervisor
        assert crashed.pid
        psutil.Process(crashed.pid).kill()
        jobs = [
            deploy(service, bundles.null(cases=4, load_delay_ms=100)),
            bench(service, "n"),
            deploy(service, bundles.null(cases=5), "p"),
        ]
        await asyncio.sleep(after_s)
        service.begin_to_close()  # as a signal does, before close() does it again
        began = time.monotonic()
        await service.close()
        assert time.monotonic() - began < 3
        ended = {(await over(service, job)).state for job in jobs}
        assert ended <= {JobState.CANCELLED, JobState.DONE}
        await asyncio.wait({request})
        request.exception()
        await running.until(lambda: not running.children())

        async with bundles.serving(tmp_path, start=start, **options) as again:
            found = {name: served.supervisor.deployment.bundle for name, served in again.dataplane.models.items()}
            job = await over(service, jobs[0])
            served["m"] = bundles.null(cases=4, load_delay_ms=100) if job.state is JobState.DONE else served["m"]
            assert {name: found[name] for name in served} == {name: bundle.id for name, bundle in served.items()}
            assert set(states(again).values()) == {ModelState.READY}

    running.run(main())


def _options(switching: str) -> dict[str, Any]:
    return {"switching": switching, "shares_memory": True}


def test_a_fault_of_our_own_at_the_start_is_logged_and_the_agent_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        service = bundles.service(tmp_path)
        monkeypatch.setattr(service.repository, "records", lambda: 1 / 0)
        service.start()
        await asyncio.wait_for(service.restored.wait(), 5)
        await service.close()

    running.run(main())
    assert "the models of the last run could not be brought back" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_two_agents_of_one_directory(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(tmp_path):
            with pytest.raises(StartError, match="another agent uses the data directory"):
                bundles.service(tmp_path)
        await bundles.service(tmp_path).close()  # it is free again

    running.run(main())


def test_an_unknown_profile_is_told_before_anything_is_made(tmp_path: Path) -> None:
    settings = Settings(host="127.0.0.1", port=0, data_dir=tmp_path / "data", profile="desktpo")
    with pytest.raises(UnknownProfileError, match="did you mean 'desktop'"):
        Service.open(settings)
    assert not (tmp_path / "data").exists()


def test_the_loop_is_not_kept_from_requests_by_a_disk(tmp_path: Path) -> None:
    """No sync, no read, no write, no removal and no wait for a lock on the event loop, whatever is done."""
    guard = blockbuster.BlockBuster("agent")
    syncs = [
        blockbuster.BlockBusterFunction(None, f"os.{name}", scanned_modules="agent") for name in ("fsync", "utime")
    ]
    guard.functions |= {function.full_name: function for function in syncs}
    for name in ("io.TextIOWrapper.read", "threading.Lock.acquire"):
        # /proc for the load of others, and the end of a thread that watches memory: microseconds
        guard.functions[name].can_block_in("agent/telemetry/cpu_share.py", {"_point"})
        guard.functions[name].can_block_in("agent/telemetry/sampler.py", {"start", "stop", "_sample"})

    async def through_all(service: Service) -> None:
        for bundle in (bundles.null(), bundles.null(cases=3), bundles.null()):
            wanted = await asyncio.to_thread(bundles.put, service.repository, bundle)
            await service.activator.activate("m", wanted, print)
        await service.activator.rollback("m", print)
        await bundles.ask(service.dataplane.pick("m").supervisor)
        sent = await asyncio.to_thread(send, service, bytes(16))
        request = BenchRequest(model="m", runs=5, inputs=(sent,))
        job = await over(service, service.jobs.start("bench", "m", partial(service.bencher.run, request)))
        assert job.state is JobState.DONE, job.error
        await service.activator.remove("m")

    async def main() -> None:
        service = bundles.service(tmp_path, start=rogue.obedient(tmp_path))
        guard.activate()
        try:
            service.start()
            await service.restored.wait()
            await through_all(service)
        finally:
            guard.deactivate()
            await service.close()

    running.run(main())
