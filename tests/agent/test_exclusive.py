"""Who has the board."""

import asyncio

import pytest
import running

from agent.errors import BoardHeldError
from agent.exclusive import Board


def test_turns_are_taken_in_order_and_the_waiting_are_told_for_whom() -> None:
    async def main() -> None:
        board, order, stages = Board(), [], []

        async def work(who: str) -> None:
            async with board.turn(who, lambda stage: stages.append((who, stage))):
                order.append(who)
                await asyncio.sleep(0)

        await asyncio.gather(*(work(who) for who in "abc"))
        assert order == ["a", "b", "c"]
        assert stages == [("b", "waiting for a"), ("c", "waiting for a")]

    running.run(main())


def test_requests_are_refused_while_it_is_held_and_only_then() -> None:
    async def main() -> None:
        board = Board()
        async with board.turn("a deploy", print):
            board.check()

        async def bench() -> None:
            async with board.held("a bench of 'm'", print):
                assert board.held_by == "a bench of 'm'"
                with pytest.raises(BoardHeldError, match="held by a bench of 'm'") as told:
                    board.check()
                assert told.value.retry_after_s > 0
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await bench()
        board.check()

    running.run(main())


def test_one_that_is_cancelled_while_it_waits_disturbs_nobody() -> None:
    async def main() -> None:
        board = Board()

        async def hold(who: str) -> None:
            async with board.held(who, print):
                pass

        async with board.held("a", print):
            waiting = asyncio.create_task(hold("b"))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait({waiting})
            assert board.held_by == "a"
        await hold("c")
        board.check()

    running.run(main())
