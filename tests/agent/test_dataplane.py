"""The way of a request, without HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import bundles
import psutil
import pytest
import rogue
import running

from agent.dataplane import Dataplane, Served
from agent.errors import (
    BadTensorError,
    BoardHeldError,
    InputError,
    ModelNotReadyError,
    NotFoundError,
    QueueFullError,
    WorkerCrashedError,
    WorkerFailedError,
)
from agent.exclusive import Board
from agent.process import Launch
from agent.supervisor import Supervisor
from contract.api import ModelState

CONTENT = bytes(range(16))


def dead_after(folder: Path, loads: int) -> Launch:
    """Workers that load so many times, all together, and die of the next load."""
    return rogue.launch(
        folder,
        f"""hello()
with open("loads", "a") as loads:
    loads.write("x")
if os.path.getsize("loads") > {loads}:
    os._exit(1)
load()
receive()
""",
    )


@asynccontextmanager
async def serving(folder: Path, *names: str, start: Launch | None = None) -> AsyncIterator[Dataplane]:
    """A data plane over workers that are READY."""
    dataplane = Dataplane(Board())
    for name in names:
        deployment = bundles.deployment(folder, bundles.null(), name)
        find = bundles.finds(start or rogue.obedient(folder))
        dataplane.models[name] = Served(Supervisor(deployment, find, bundles.LIMITS))
    try:
        for served in dataplane.models.values():
            await served.supervisor.start()
        yield dataplane
    finally:
        for served in dataplane.models.values():
            await served.supervisor.stop()
            served.supervisor.close()


async def request(dataplane: Dataplane, served: Served) -> bytes:
    with dataplane.admit(served) as admission:
        writer = admission.writer()
        writer.write(CONTENT)
        writer.finish()
        await admission.run()
        return b"".join(admission.outputs)


def test_a_request_is_answered_and_counted(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, "m", start=bundles.launch(tmp_path)) as dataplane:
            served = dataplane.pick("m")
            assert dataplane.last_request_at() is None
            assert served.latency().model_dump() == dict.fromkeys(
                ("mean_ms", "p50_ms", "p90_ms", "p99_ms", "max_ms"), None
            ) | {"count": 0}
            for _ in range(20):
                assert await request(dataplane, served) == CONTENT
            assert (served.requests, served.failures, served.rejected) == (20, 0, 0)
            latency = served.latency()
            assert latency.count == 20
            assert latency.p50_ms
            assert latency.p99_ms
            assert latency.max_ms
            assert 0 < latency.p50_ms <= latency.p99_ms <= latency.max_ms * 1.01 < 10_000
            last = dataplane.last_request_at()
            assert last
            assert time.monotonic() - last < 5

    running.run(main())


def test_latency_is_known_to_one_percent(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, "m") as dataplane:
            served = dataplane.pick("m")
            for ms in range(1, 1001):
                served.count(float(ms))
            latency = served.latency()
            assert latency.p50_ms == pytest.approx(500, rel=0.011)
            assert latency.p90_ms == pytest.approx(900, rel=0.011)
            assert latency.p99_ms == pytest.approx(990, rel=0.011)
            assert latency.mean_ms == pytest.approx(500.5)
            assert latency.max_ms == 1000

    running.run(main())


def test_which_model_is_meant(tmp_path: Path) -> None:
    async def main() -> None:
        dataplane = Dataplane(Board())
        with pytest.raises(NotFoundError, match="no model is deployed"):
            dataplane.pick(None)
        async with serving(tmp_path, "capsule", "bottle") as dataplane:
            assert dataplane.pick("bottle").name == "bottle"
            with pytest.raises(InputError, match="2 models are deployed") as several:
                dataplane.pick(None)
            assert "bottle, capsule" in several.value.hint
            with pytest.raises(NotFoundError, match="no model 'capsul'") as near:
                dataplane.pick("capsul")
            assert "did you mean 'capsule'" in near.value.hint
            assert near.value.code == "unknown_model"
            await dataplane.models["capsule"].supervisor.stop()
            dataplane.models.pop("capsule").supervisor.close()
            assert dataplane.pick(None).name == "bottle"

    running.run(main())


def test_what_is_refused_is_counted_apart_and_takes_no_slot(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, "m") as dataplane:
            served = dataplane.pick("m")
            slots = [served.supervisor.take_slot() for _ in range(bundles.LIMITS.queue_length)]
            with pytest.raises(QueueFullError):
                await request(dataplane, served)
            for slot in slots:
                served.supervisor.give_slot(slot)
            async with dataplane.board.held("a bench", print):
                with pytest.raises(BoardHeldError):
                    await request(dataplane, served)
            await served.supervisor.stop()
            with pytest.raises(ModelNotReadyError):
                await request(dataplane, served)
            assert (served.requests, served.failures, served.rejected) == (0, 0, 3)
            assert dataplane.last_request_at() is None  # a bench need not wait for those it has refused

    running.run(main())


def test_a_request_that_is_wrong_gives_its_slot_back_and_is_no_failure(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, "m") as dataplane:
            served = dataplane.pick("m")
            with pytest.raises(BadTensorError), dataplane.admit(served) as admission:
                admission.writer().write(bytes(17))
            assert served.supervisor.in_flight == 0
            assert (served.requests, served.failures, served.latency().count) == (1, 0, 0)

    running.run(main())


def test_a_worker_that_dies_is_a_failure_and_the_queue_behind_it_too(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, "m", start=rogue.launch(tmp_path, "hello()\nload()\nreceive()")) as dataplane:
            served = dataplane.pick("m")
            told = await asyncio.gather(*(request(dataplane, served) for _ in range(3)), return_exceptions=True)
            assert isinstance(told[0], WorkerCrashedError)
            assert all(isinstance(error, WorkerFailedError | ModelNotReadyError) for error in told)
            assert served.failures + served.rejected == 3
            assert served.supervisor.in_flight == 0

    running.run(main())


def test_a_slot_goes_back_where_it_came_from_after_a_switch(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, "old", "new") as dataplane:
            served, new = dataplane.models["old"], dataplane.models["new"].supervisor
            old = served.supervisor
            with dataplane.admit(served) as admission:
                served.supervisor = new
                await admission.run()
                assert (old.in_flight, new.in_flight) == (1, 0)
            assert (old.in_flight, new.in_flight) == (0, 0)
            served.supervisor = old

    running.run(main())


def states(dataplane: Dataplane) -> list[ModelState]:
    return [served.supervisor.state for served in dataplane.models.values()]


def test_what_is_stopped_for_a_block_is_back_after_it_and_says_why_meanwhile(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, "a", "b", "c") as dataplane:
            async with dataplane.stopped(["a", "b"], "a bench of 'c'") as names:
                assert names == ["a", "b"]
                assert states(dataplane) == [ModelState.STOPPED, ModelState.STOPPED, ModelState.READY]
                with pytest.raises(ModelNotReadyError, match="'a' is stopped: a bench of 'c'"):
                    dataplane.models["a"].supervisor.take_slot()
                assert len(running.children()) == 1
            assert states(dataplane) == [ModelState.READY] * 3

    running.run(main())


def test_what_was_stopped_is_back_after_an_error_and_after_a_cancellation_at_any_moment(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, "a", "b") as dataplane:

            async def block(fail: bool) -> None:
                async with dataplane.stopped(["a", "b"], "a bench"):
                    if fail:
                        raise ZeroDivisionError
                    await asyncio.sleep(0.01)

            with pytest.raises(ZeroDivisionError):
                await block(fail=True)
            assert states(dataplane) == [ModelState.READY] * 2
            for after_s in (0, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08):
                task = asyncio.create_task(block(fail=False))
                await asyncio.sleep(after_s)
                task.cancel()
                await asyncio.wait({task})
                assert states(dataplane) == [ModelState.READY] * 2, after_s
            assert len(running.children()) == 2

    running.run(main())


def test_a_failed_model_stays_failed_and_one_that_backs_off_is_ready_afterwards(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, "failed", "backoff") as dataplane:
            await dataplane.models["failed"].supervisor.fail("five crashes")
            backing_off = dataplane.models["backoff"].supervisor
            assert backing_off.pid
            psutil.Process(backing_off.pid).kill()
            await running.until(lambda: backing_off.state is ModelState.BACKOFF)
            async with dataplane.stopped(["failed", "backoff"], "a bench") as names:
                assert names == ["backoff"]
                assert not running.children()
            assert states(dataplane) == [ModelState.FAILED, ModelState.READY]
            assert dataplane.models["failed"].supervisor.reason == "five crashes"

    running.run(main())


def test_one_that_does_not_come_back_is_failed_and_keeps_no_other(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, "a", "b", "c", start=dead_after(tmp_path, 5)) as dataplane:
            async with dataplane.stopped(["a", "b", "c"], "a bench"):
                pass
            assert states(dataplane) == [ModelState.READY, ModelState.READY, ModelState.FAILED]

    running.run(main())


def test_an_agent_that_ends_starts_nothing_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, "a") as dataplane:
            async with dataplane.stopped(["a"], "a bench"):
                dataplane.closing = True
            assert states(dataplane) == [ModelState.STOPPED]

    running.run(main())
