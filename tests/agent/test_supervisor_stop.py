"""A supervisor that is stopped, drained, cancelled or closed, at any moment: nothing is left."""

import asyncio
import os
import signal
import time
from pathlib import Path

import bundles
import pytest
import rogue
import running
from bundles import ask, supervised
from running import outcome
from supervising import QUICK, ready_again, unstarted

from agent import crashes
from agent.errors import (
    ModelNotReadyError,
)
from contract.api import ModelState

READY, FAILED, STOPPED = ModelState.READY, ModelState.FAILED, ModelState.STOPPED


@pytest.mark.parametrize("state", [STOPPED, ModelState.STARTING, READY, ModelState.BACKOFF, FAILED])
def test_stop_from_every_state(tmp_path: Path, state: ModelState) -> None:
    async def main() -> None:
        bundle = bundles.null(crash_on_load=state is FAILED, load_delay_ms=5000 if state is ModelState.STARTING else 0)
        supervisor = unstarted(tmp_path, bundle)
        starting = asyncio.create_task(outcome(supervisor.start())) if state is not STOPPED else None
        if state is ModelState.STARTING:
            await running.until(lambda: running.children())
        elif starting:
            await starting
        if state is ModelState.BACKOFF:
            assert supervisor.pid
            os.kill(supervisor.pid, signal.SIGKILL)
            await running.until(lambda: supervisor.state is ModelState.BACKOFF)
        assert supervisor.state is state
        for _ in range(2):  # the second finds nothing to do
            await supervisor.stop("enough")
            assert supervisor.state is STOPPED
            assert supervisor.pid is None
        await running.until(lambda: not running.children())  # broken off in the fork, it is reaped a bit later
        with pytest.raises(ModelNotReadyError, match="'m' is stopped: enough"):
            supervisor.take_slot()
        if state is ModelState.STARTING and starting:
            assert await starting == "model_not_ready"
        supervisor.close()

    running.run(main())


def test_stop_while_it_starts_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, bundles.null(load_delay_ms=100)) as supervisor:
            assert supervisor.pid
            os.kill(supervisor.pid, signal.SIGKILL)
            await running.until(lambda: supervisor.state is ModelState.STARTING)
            await asyncio.sleep(0.05)
            await supervisor.stop()
            assert supervisor.state is STOPPED
            # Broken off in the middle of exec, its process leaves by itself when it finds its channel closed.
            await running.until(lambda: not running.children())

    running.run(main())


def test_stopping_under_a_request_is_no_crash(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, bundles.null(delay_ms=5000), start=rogue.obedient(tmp_path)) as supervisor:
            requests = [asyncio.create_task(outcome(ask(supervisor))) for _ in range(3)]
            await asyncio.sleep(0.02)
            await supervisor.stop()
            assert await asyncio.gather(*requests) == ["model_not_ready"] * 3
            assert supervisor.in_flight == 0

    running.run(main())


def test_draining_serves_what_is_in_flight_and_takes_no_more(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, bundles.null(delay_ms=50), start=rogue.obedient(tmp_path)) as supervisor:
            requests = [asyncio.create_task(outcome(ask(supervisor))) for _ in range(3)]
            await asyncio.sleep(0)
            stopping = asyncio.create_task(supervisor.stop(drain=True))
            await asyncio.sleep(0)
            with pytest.raises(ModelNotReadyError, match="'m' is being stopped"):
                supervisor.take_slot()
            await stopping
            assert await asyncio.gather(*requests) == ["done"] * 3

    running.run(main())


def test_draining_does_not_wait_forever_for_a_client_that_holds_a_slot(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, bundles.null(), QUICK, start=rogue.obedient(tmp_path)) as supervisor:
            slot = supervisor.take_slot()
            began = time.monotonic()
            await supervisor.stop(drain=True)
            assert 0.9 * QUICK.request_timeout_s < time.monotonic() - began < 3
            with pytest.raises(ModelNotReadyError):
                await supervisor.run(slot)
            supervisor.give_slot(slot)

    running.run(main())


def test_a_slot_outlives_close_and_is_the_last_to_hold_the_arena(tmp_path: Path) -> None:
    async def main() -> None:
        supervisor = unstarted(tmp_path, bundles.null(), start=rogue.obedient(tmp_path))
        await supervisor.start()
        slot = supervisor.take_slot()
        await supervisor.stop()
        supervisor.close()
        supervisor.arena.inputs(slot)[0][:] = bytes(16)  # its client is still sending
        assert [name for name in running.open_files().values() if name.startswith("/dev/shm")]
        supervisor.give_slot(slot)
        assert not [name for name in running.open_files().values() if name.startswith("/dev/shm")]

    running.run(main())


@pytest.mark.parametrize("ticks", [1, 2, 5, 13])
def test_a_stop_that_is_cancelled_stops_all_the_same(tmp_path: Path, ticks: int) -> None:
    async def main() -> None:
        async with supervised(tmp_path, bundles.null(), start=rogue.obedient(tmp_path)) as supervisor:
            stopping = asyncio.create_task(supervisor.stop())
            for _ in range(ticks):
                await asyncio.sleep(0)
            cancelled = stopping.cancel()
            await asyncio.wait({stopping})
            assert stopping.cancelled() or not cancelled
            assert supervisor.state is STOPPED
            assert not running.children()

    running.run(main())


@pytest.mark.parametrize("after_s", [0, 0.03, 0.15])
def test_a_start_that_is_cancelled_leaves_it_stopped(tmp_path: Path, after_s: float) -> None:
    async def main() -> None:
        supervisor = unstarted(tmp_path, bundles.null(load_delay_ms=100))
        starting = asyncio.create_task(supervisor.start())
        await asyncio.sleep(after_s)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert supervisor.state is STOPPED
        await running.until(lambda: not running.children())
        await supervisor.start()  # it can be used as before
        assert await outcome(ask(supervisor)) == "done"
        await supervisor.stop()
        supervisor.close()

    running.run(main())


def test_a_request_that_is_cancelled_gives_its_slot_back_and_disturbs_no_other(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, bundles.null(delay_ms=30)) as supervisor:
            for value in range(5):
                leaving = asyncio.create_task(ask(supervisor, b"\xff" * 16))
                await asyncio.sleep(0.005)
                leaving.cancel()
                await asyncio.wait({leaving})
                assert supervisor.in_flight == 0
                content = bytes([value]) * 16  # the same slot, while the worker is still at the other's run
                assert (await ask(supervisor, content))[1] == content

    running.run(main())


def test_fifty_crashes_and_stops_leave_no_file_no_process_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crashes, "CRASHES_ALLOWED", 1000)
    monkeypatch.setattr(crashes, "FIRST_BACKOFF_S", 0.0)

    async def main() -> None:
        supervisor = unstarted(tmp_path, bundles.null(), start=rogue.obedient(tmp_path))
        await supervisor.start()
        files = running.open_files()
        for number in range(1, 26):
            assert supervisor.pid
            os.kill(supervisor.pid, signal.SIGKILL)
            await ready_again(supervisor, number)
        assert len(running.open_files()) == len(files)
        for _ in range(25):
            await supervisor.stop()
            assert not running.children()
            await supervisor.start()
        assert len(running.open_files()) == len(files)
        assert len(running.children()) == 1
        assert len(asyncio.all_tasks()) == 3  # this, the watch, and the reader of the worker's output
        await supervisor.stop()
        supervisor.close()

    running.run(main())


def test_fail_says_why_and_leaves_no_worker(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, bundles.null(), start=rogue.obedient(tmp_path)) as supervisor:
            await supervisor.fail("its golden outputs have changed")
            assert supervisor.state is FAILED
            assert supervisor.pid is None
            with pytest.raises(ModelNotReadyError, match="'m' is failed: its golden outputs have changed"):
                supervisor.take_slot()

    running.run(main())
