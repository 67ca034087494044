"""Room for a new version: what is in its way is stopped, and brought back where the new one fails."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agent.dataplane import Dataplane
from agent.errors import AgentError
from agent.exclusive import OnStage
from agent.supervisor import Supervisor
from agent.uncancelled import whole
from contract.api import ModelState


@dataclass(frozen=True)
class Room:
    """When service ended, by time.monotonic(); None where it goes on.

    `rivals` are models of other names, which stay stopped once the new version serves.
    """

    stopped_at: float | None = None
    rivals: Sequence[Supervisor] = ()

    @property
    def outage_s(self) -> float:
        return 0.0 if self.stopped_at is None else time.monotonic() - self.stopped_at


@asynccontextmanager
async def made(
    name: str,
    old: Supervisor | None,
    rivals: Sequence[Supervisor],
    prove: Callable[[Supervisor], Awaitable[None]],
    dataplane: Dataplane,
    on_stage: OnStage,
) -> AsyncIterator[Room]:
    """For the model `name`, whose version `old` is in the way, as are `rivals`.

    Where the block fails, those that were stopped for it are started and proven (`prove`), whatever comes; an
    AgentError says how long they were missing.
    """
    in_the_way = [*([old] if old else []), *rivals]
    if not in_the_way:
        yield Room()
        return
    names = ", ".join("the old version" if each is old else repr(each.deployment.name) for each in in_the_way)
    on_stage(f"stopping {names}")
    room = Room(time.monotonic(), rivals)
    try:
        for each in in_the_way:
            await each.stop("another version is being loaded" if each is old else gave_way(name), drain=True)
        yield room
    except BaseException as error:
        on_stage(f"bringing {names} back")
        await whole(_bring_back(in_the_way, prove, dataplane))
        if isinstance(error, AgentError):
            error.add(_missed(in_the_way, room.outage_s))
        raise


def gave_way(name: str) -> str:
    """Why a model stands down; true also when that one has gone."""
    return f"it gave way to {name!r}, which took the accelerator"


async def _bring_back(
    stopped: Sequence[Supervisor], prove: Callable[[Supervisor], Awaitable[None]], dataplane: Dataplane
) -> None:
    for old in stopped:
        if old.state is not ModelState.STOPPED or dataplane.closing:
            continue
        try:
            await prove(old)
        except AgentError as error:  # the error that matters is the first; `host models` shows this one
            await old.fail(error.message)


def _missed(stopped: Sequence[Supervisor], outage_s: float) -> str:
    """How long each was without service, or what has become of it."""
    return ", ".join(
        f"{each.deployment.name!r} was without service for {outage_s:.1f} s"
        if each.state is ModelState.READY
        else f"{each.deployment.name!r} is {each.state}"
        for each in stopped
    )
