"""One model's worker, kept alive: against the real faults of the null runtime."""

import asyncio
import os
import signal
import time
from pathlib import Path

import bundles
import numpy as np
import psutil
import pytest
import rogue
import running
from bundles import ask, supervised
from running import outcome
from supervising import QUICK, ready_again, unstarted

from agent import crashes
from agent.errors import (
    ModelNotReadyError,
    NotFoundError,
    QueueFullError,
    WorkerCrashedError,
)
from agent.loading import Limits
from agent.supervisor import Supervisor
from agent.telemetry.procfs import read_process_memory
from contract.api import ModelState
from contract.profile import read_profile

READY, FAILED, STOPPED = ModelState.READY, ModelState.FAILED, ModelState.STOPPED


def test_it_echoes(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, bundles.null()) as supervisor:
            values = np.arange(4, dtype=np.float32).tobytes()
            times, answer = await ask(supervisor, values)
            assert answer == values
            assert 0 < times.run_ns < 1e9
            assert times.accelerator_ns is None

    running.run(main())


@pytest.mark.parametrize(
    "dying",
    [bundles.null(crash_on_run=2, delay_ms=20), bundles.null(kill_on_run=2, delay_ms=20)],
    ids=["crash", "kill"],
)
def test_a_crash_under_requests(tmp_path: Path, dying: bundles.Bundle) -> None:
    """The one in flight and the queued get their errors at once; then it is back, and another model never knew."""

    async def main() -> None:
        async with (
            supervised(tmp_path / "a", dying) as supervisor,
            supervised(tmp_path / "b", bundles.null(delay_ms=1)) as neighbour,
        ):
            beside = [asyncio.ensure_future(outcome(ask(neighbour))) for _ in range(4)]
            told = await asyncio.gather(*(outcome(ask(supervisor)) for _ in range(4)))
            assert told[:2] == ["done", "worker_crashed"]
            assert set(told[2:]) <= {"worker_crashed", "model_not_ready"}
            assert await asyncio.gather(*beside) == ["done"] * 4
            await ready_again(supervisor)
            assert await outcome(ask(supervisor)) == "done"
            assert neighbour.restarts == 0
            assert supervisor.in_flight == 0

    running.run(main())


def test_an_out_of_memory_kill_is_told_as_one(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, bundles.null(kill_on_run=1)) as supervisor:
            with pytest.raises(WorkerCrashedError, match=r"SIGKILL.*out of memory"):
                await ask(supervisor)
            await running.until(lambda: supervisor.state is not READY)
            assert "out of memory" in str(supervisor.reason)
            with pytest.raises(ModelNotReadyError, match=r"'m' is (backoff|starting): .*out of memory"):
                supervisor.take_slot()

    running.run(main())


def test_killed_from_outside_while_idle_it_comes_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, bundles.null(), start=rogue.obedient(tmp_path)) as supervisor:
            first = supervisor.pid
            assert first
            os.kill(first, signal.SIGKILL)
            await ready_again(supervisor)
            assert supervisor.pid != first
            assert await outcome(ask(supervisor)) == "done"
            assert not psutil.pid_exists(first)

    running.run(main())


def test_a_hang_ends_at_the_deadline_and_the_queue_with_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, bundles.null(hang_on_run=1), QUICK) as supervisor:
            began = time.monotonic()
            told = await asyncio.gather(*(outcome(ask(supervisor)) for _ in range(3)))
            assert time.monotonic() - began < QUICK.request_timeout_s + 1
            assert told[0] == "worker_timeout"
            assert set(told[1:]) <= {"worker_crashed", "model_not_ready"}
            await running.until(lambda: supervisor.state is not READY)
            assert "did not answer 'infer' within 0.4 s" in str(supervisor.reason)
            await ready_again(supervisor)

    running.run(main())


def test_the_deadline_is_the_runs_and_not_the_queues(tmp_path: Path) -> None:
    """Four requests of 0.15 s each wait for one another longer than 0.4 s."""

    async def main() -> None:
        async with supervised(
            tmp_path, bundles.null(delay_ms=150), QUICK, start=rogue.obedient(tmp_path)
        ) as supervisor:
            assert await asyncio.gather(*(outcome(ask(supervisor)) for _ in range(4))) == ["done"] * 4

    running.run(main())


def test_noise_and_an_error_of_the_runtime_are_no_crashes(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, bundles.null(noise=True, fail_on_run=2)) as supervisor:
            told = [await outcome(ask(supervisor)) for _ in range(4)]
            assert told == ["done", "run_failed", "done", "done"]
            assert supervisor.restarts == 0

    running.run(main())


def test_growth_is_seen_on_the_worker_alone(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, bundles.null(grow_bytes=4 << 20)) as supervisor:
            assert supervisor.pid
            before = read_process_memory(supervisor.pid).rss_bytes
            for _ in range(5):
                await ask(supervisor)
            after = read_process_memory(supervisor.pid).rss_bytes
            assert before
            assert after
            assert after - before > 15 << 20
            assert supervisor.loaded
            assert supervisor.loaded.load_peak_bytes
            assert supervisor.loaded.load_peak_bytes < after

    running.run(main())


@pytest.mark.parametrize(
    ("bundle", "code"),
    [
        (bundles.null(crash_on_load=True), "worker_crashed"),
        (bundles.null().with_file("model.json", b"[]"), "load_failed"),
        (bundles.null(crash_on_rum=True), "bad_runtime_option"),
    ],
)
def test_a_first_start_that_goes_wrong_is_not_tried_again(tmp_path: Path, bundle: bundles.Bundle, code: str) -> None:
    async def main() -> None:
        supervisor = unstarted(tmp_path, bundle)
        for _ in range(2):  # someone may try again
            assert await outcome(supervisor.start()) == code
            assert supervisor.state is FAILED
            assert supervisor.reason
            with pytest.raises(ModelNotReadyError, match="'m' is failed: ") as told:
                supervisor.take_slot()
            assert "deploy it again" in told.value.hint
        supervisor.close()

    running.run(main())


def test_a_start_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    async def main() -> None:
        limits = Limits(queue_length=1, start_timeout_s=0.3, request_timeout_s=1)
        supervisor = unstarted(tmp_path, bundles.null(load_delay_ms=60_000), limits)
        assert await outcome(supervisor.start()) == "worker_timeout"
        assert supervisor.state is FAILED
        supervisor.close()

    running.run(main())


def test_requests_are_told_to_come_back_while_it_starts(tmp_path: Path) -> None:
    async def main() -> None:
        supervisor = unstarted(tmp_path, bundles.null(load_delay_ms=100))
        with pytest.raises(ModelNotReadyError, match="'m' is stopped: it has not been loaded yet") as told:
            supervisor.take_slot()
        assert told.value.hint == "try again in a moment"
        starting = asyncio.create_task(supervisor.start())
        await asyncio.sleep(0)
        with pytest.raises(ModelNotReadyError, match="'m' is starting"):
            supervisor.take_slot()
        await starting
        assert await outcome(ask(supervisor)) == "done"
        await supervisor.stop()
        supervisor.close()

    running.run(main())


def test_backoff_grows_and_the_fifth_crash_is_the_last(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, bundles.null(crash_on_run=1)) as supervisor:
            waits = []
            for restarts in range(1, 5):
                assert await outcome(ask(supervisor)) == "worker_crashed"
                await running.until(lambda: supervisor.state is ModelState.BACKOFF)
                began = time.monotonic()
                await running.until(lambda: supervisor.state is not ModelState.BACKOFF)
                waits.append(time.monotonic() - began)
                await ready_again(supervisor, restarts)
            assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8], abs=0.08)
            await outcome(ask(supervisor))
            await running.until(lambda: supervisor.state is FAILED)
            assert "5 crashes in 60 s, the last: the worker crashed (SIGSEGV)" in str(supervisor.reason)
            assert supervisor.pid is None
            await supervisor.start()  # someone loads it again: it has all its lives back
            assert await outcome(ask(supervisor)) == "worker_crashed"
            await ready_again(supervisor, 5)

    running.run(main())


def test_crashes_while_loading_again_count_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crashes, "FIRST_BACKOFF_S", 0.01)

    async def main() -> None:
        async with supervised(tmp_path, bundles.null()) as supervisor:
            (supervisor.deployment.folder / "model.json").write_bytes(b"no longer")
            assert supervisor.pid
            os.kill(supervisor.pid, signal.SIGKILL)
            await running.until(lambda: supervisor.state is FAILED)
            assert "5 crashes in 60 s, the last: not a null model" in str(supervisor.reason)

    running.run(main())


def test_a_full_queue_refuses_at_once_and_who_waits_gets_the_next_slot(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, bundles.null(), QUICK, start=rogue.obedient(tmp_path)) as supervisor:
            slots = [supervisor.take_slot() for _ in range(4)]
            assert sorted(slot.index for slot in slots) == [0, 1, 2, 3]
            with pytest.raises(QueueFullError, match="'m' has 4 requests in its queue"):
                supervisor.take_slot()
            waiting = asyncio.create_task(supervisor.wait_for_slot())
            await asyncio.sleep(0.01)
            assert not waiting.done()
            supervisor.give_slot(slots[2])
            assert (await waiting).index == slots[2].index
            for slot in slots:
                supervisor.give_slot(slot)

    running.run(main())


def test_slots_keep_requests_apart(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, bundles.null(delay_ms=1)) as supervisor:

            async def echoes(value: int) -> None:
                content = bytes([value]) * 16
                for _ in range(10):
                    assert (await ask(supervisor, content))[1] == content

            await asyncio.gather(*(echoes(value) for value in range(4)))

    running.run(main())


def test_a_fault_of_our_own_is_logged_and_ends_in_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with supervised(tmp_path, bundles.null(), start=rogue.obedient(tmp_path)) as supervisor:

            async def broken() -> None:
                raise ZeroDivisionError

            monkeypatch.setattr(supervisor, "_load", broken)
            assert supervisor.pid
            os.kill(supervisor.pid, signal.SIGKILL)
            await running.until(lambda: supervisor.state is FAILED)
            assert supervisor.reason == "a fault of the agent: its log has the traceback"

    running.run(main())
    assert "ZeroDivisionError" in caplog.text


def test_a_runtime_that_no_python_offers_is_its_reason(tmp_path: Path) -> None:
    async def main() -> None:
        find = bundles.KnownPythons(read_profile("desktop"), tmp_path).launch
        supervisor = Supervisor(bundles.deployment(tmp_path, bundles.null().for_runtime("trt")), find, QUICK)
        with pytest.raises(NotFoundError, match="there is no runtime 'trt'"):
            await supervisor.start()
        assert supervisor.state is FAILED
        assert "'trt'" in str(supervisor.reason)
        supervisor.close()

    running.run(main())
