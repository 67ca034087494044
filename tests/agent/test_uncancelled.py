"""Work that a cancellation waits for."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import running

from agent.uncancelled import committed, whole


class Work:
    """Goes on when it is let."""

    def __init__(self, error: Exception | None = None) -> None:
        self.gate = asyncio.Event()
        self.begun = asyncio.Event()
        self.done = False
        self._error = error

    async def __call__(self) -> str:
        self.begun.set()
        await self.gate.wait()
        self.done = True
        if self._error:
            raise self._error
        return "result"


@pytest.mark.parametrize("runner", [whole, committed])
def test_uncancelled_it_gives_the_result_or_the_error(runner: Callable[[Awaitable[str]], Awaitable[str]]) -> None:
    async def main() -> None:
        work = Work()
        work.gate.set()
        assert await runner(work()) == "result"
        broken = Work(ValueError("no"))
        broken.gate.set()
        with pytest.raises(ValueError, match="no"):
            await runner(broken())

    running.run(main())


@pytest.mark.parametrize("error", [None, ValueError("no")])
def test_whole_work_is_done_before_the_cancellation_goes_on(error: Exception | None) -> None:
    async def main() -> None:
        work = Work(error)
        caller = asyncio.create_task(whole(work()))
        await work.begun.wait()
        for _ in range(3):
            caller.cancel()
            await asyncio.sleep(0)
        assert not caller.done()
        work.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert work.done

    running.run(main())


def test_committed_work_forgets_the_cancellation() -> None:
    async def main() -> None:
        work = Work()

        async def caller() -> str:
            said = await committed(work())
            await asyncio.sleep(0)  # a cancellation that was only put off would come here
            return said

        task = asyncio.create_task(caller())
        await work.begun.wait()
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        work.gate.set()
        assert await task == "result"
        assert not task.cancelling()

    running.run(main())


def test_a_cancellation_just_before_does_not_keep_the_work_from_beginning() -> None:
    async def main() -> None:
        work = Work()
        work.gate.set()

        async def caller() -> None:
            task = asyncio.current_task()
            assert task
            task.cancel()
            await whole(work())

        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(caller())
        assert work.done

    running.run(main())


def test_work_that_is_cancelled_itself_is_told_as_such() -> None:
    async def itself() -> None:
        raise asyncio.CancelledError

    async def main() -> None:
        with pytest.raises(asyncio.CancelledError):
            await whole(itself())

    running.run(main())
