"""Who has the board: deploys and benches take turns; while a bench holds it, requests are told to come back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from agent.errors import BoardHeldError

OnStage = Callable[[str], None]


class Board:
    """At most one piece of work that changes or measures the board; `held_by` is who has it alone."""

    def __init__(self) -> None:
        self.held_by: str | None = None
        self._whose_turn: str | None = None
        self._turn = asyncio.Lock()

    def check(self) -> None:
        """Raises BoardHeldError while somebody has the board alone."""
        if self.held_by is not None:
            raise BoardHeldError(f"the board is held by {self.held_by}", "try again when it is over")

    @asynccontextmanager
    async def turn(self, who: str, on_stage: OnStage) -> AsyncIterator[None]:
        """One piece of work at a time, in the order they came; requests go on."""
        if self._turn.locked():
            on_stage(f"waiting for {self._whose_turn}")
        async with self._turn:
            self._whose_turn = who
            yield

    @asynccontextmanager
    async def held(self, who: str, on_stage: OnStage) -> AsyncIterator[None]:
        """A turn in which requests are refused, however the block is left."""
        async with self.turn(who, on_stage):
            self.held_by = who
            try:
                yield
            finally:
                self.held_by = None
