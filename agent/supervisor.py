"""One model's worker, kept alive: one state machine per model.

    STOPPED --start--> STARTING --loaded--> READY --died--> CRASHED --> BACKOFF --after a while--> STARTING
                          |                                    |
                          +--refused, or died at the first start, or too many crashes (crashes.py)--> FAILED

FAILED stays until someone loads the model again; stop() leads to STOPPED from anywhere.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agent.arena import Arena, Slot
from agent.crashes import CRASH_WINDOW_S, CRASHES_ALLOWED, Crashes
from agent.errors import AgentError, ModelNotReadyError, QueueFullError, WorkerCrashedError
from agent.loading import Deployment, Limits, Loaded, start_worker
from agent.process import Launch, WorkerProcess
from agent.uncancelled import whole
from contract.api import ModelState

_NEXT = {
    ModelState.STOPPED: {ModelState.STARTING},
    ModelState.STARTING: {ModelState.READY, ModelState.CRASHED, ModelState.FAILED},
    ModelState.READY: {ModelState.CRASHED},
    ModelState.CRASHED: {ModelState.BACKOFF, ModelState.FAILED},
    ModelState.BACKOFF: {ModelState.STARTING},
    ModelState.FAILED: {ModelState.STARTING},
}
_log = logging.getLogger(__name__)

FindLaunch = Callable[[str], Awaitable[Launch]]
"""How to start a worker for the runtime of this key; NotFoundError where no Python of the board offers it."""

MayStart = Callable[[Deployment], Awaitable[None]]
"""Raises an AgentError where a worker of this deployment must not be started now (ownership.py)."""


async def _always(_deployment: Deployment) -> None: ...


@dataclass(frozen=True)
class RunTimes:
    """Of one run, in nanoseconds; `accelerator_ns` is None where the runtime cannot tell, `convert_ns` (between the
    signature's tensors and the file's own) where there is nothing to convert.
    """

    run_ns: int
    accelerator_ns: int | None
    convert_ns: int | None


class Supervisor:
    """Runs one deployment. `arena` outlives its workers, so that requests can be received while one restarts.

    `stands_down`: it is STOPPED until somebody loads it; another model has the accelerator they both need.
    """

    def __init__(
        self, deployment: Deployment, find_launch: FindLaunch, limits: Limits, may_start: MayStart = _always
    ) -> None:
        self.deployment = deployment
        self.arena = Arena(deployment.manifest.signature, limits.queue_length)
        self.state = ModelState.STOPPED
        self.reason: str | None = "it has not been loaded yet"
        self.restarts = 0
        self.loaded: Loaded | None = None
        self.stands_down = False
        self._find_launch = find_launch
        self._may_start = may_start
        self._limits = limits
        self._free = list(reversed(self.arena.slots))
        self._slot_given = asyncio.Event()
        self._closed = False
        self._turn = asyncio.Lock()  # one run at a time: the deadline belongs to the run, not to the queue
        self._worker: WorkerProcess | None = None
        self._crashes = Crashes()
        self._leaving = False
        self._starting: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._worker.pid if self._worker else None

    @property
    def in_flight(self) -> int:
        return len(self.arena.slots) - len(self._free)

    @property
    def is_on(self) -> bool:
        """Whether it has a worker, or will have one again by itself."""
        return self.state not in (ModelState.STOPPED, ModelState.FAILED)

    def take_slot(self) -> Slot:
        """A place in the queue. Raises ModelNotReadyError or QueueFullError; give it back with `give_slot`."""
        if self.state is not ModelState.READY or self._leaving:
            raise self.not_ready()
        if not self._free:
            raise QueueFullError(
                f"{self.deployment.name!r} has {self._limits.queue_length} requests in its queue",
                "try again in a moment",
            )
        return self._free.pop()

    async def wait_for_slot(self) -> Slot:
        """The same, but waits while the queue is full."""
        while True:
            try:
                return self.take_slot()
            except QueueFullError:
                await self._slot_given.wait()

    def give_slot(self, slot: Slot) -> None:
        self._free.append(slot)
        self._slot_given.set()
        self._slot_given = asyncio.Event()
        if self._closed and not self.in_flight:
            self.arena.close()

    async def drained(self) -> None:
        """Waits until no request is in flight."""
        while self.in_flight:
            await self._slot_given.wait()

    async def run(self, slot: Slot) -> RunTimes:
        """Runs the inputs in `slot`; its outputs are there afterwards. Raises WorkerFailedError, ModelNotReadyError."""
        async with self._turn:
            if self._worker is None:
                raise self.not_ready()
            try:
                reply = await self._worker.request({"op": "infer", "slot": slot.index}, self._limits.request_timeout_s)
            except WorkerCrashedError:
                if self._leaving:
                    raise self.not_ready() from None
                raise
        return RunTimes(reply["run_ns"], reply["accelerator_ns"], reply["convert_ns"])

    async def start(self) -> Loaded:
        """Loads the model and keeps it loaded. A failure leads to FAILED, and is raised: nothing is tried again.

        ModelNotReadyError where stop() comes in between.
        """
        self._move(ModelState.STARTING)
        self._leaving = self.stands_down = False
        self._crashes = Crashes()
        self._starting = asyncio.create_task(self._load())
        try:
            await self._starting
        except AgentError as error:
            self._move(ModelState.FAILED, error.message)
            raise
        except asyncio.CancelledError:
            if self._leaving:
                raise self.not_ready() from None
            await self.stop("its start was broken off")
            raise
        finally:
            self._starting = None
        self._move(ModelState.READY)
        self._watching = asyncio.create_task(self._watch())
        assert self.loaded is not None
        return self.loaded

    async def stop(self, reason: str | None = None, *, drain: bool = False) -> None:
        """Takes no more requests and ends the worker; those in flight get an error. From any state; idempotent.

        `drain`: those in flight are served first, as far as `request_timeout_s` allows.
        """
        self._leaving = True
        await whole(self._stop(ModelState.STOPPED, reason, drain))

    async def stand_down(self, reason: str) -> None:
        """The same, until somebody loads it again: nobody waits for it."""
        await self.stop(reason)
        self.stands_down = True

    async def fail(self, reason: str) -> None:
        """The same, to FAILED: somebody has found out that it cannot be trusted."""
        self._leaving = True
        await whole(self._stop(ModelState.FAILED, reason, drain=False))

    def close(self) -> None:
        """Gives the arena back, at the latest with the last slot; once, after stop()."""
        self._closed = True
        if not self.in_flight:
            self.arena.close()

    async def launch(self) -> Launch:
        """How its workers are started. NotFoundError; what `may_start` raises where they must not be, now."""
        await self._may_start(self.deployment)
        return await self._find_launch(self.deployment.manifest.runtime.key)

    async def _stop(self, end: ModelState, reason: str | None, drain: bool) -> None:
        if drain:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._limits.request_timeout_s):
                    await self.drained()
        await _cancelled(self._starting)
        await _cancelled(self._watching)
        self._watching = None
        await self._dismiss()
        self.state, self.reason = end, reason

    async def _watch(self) -> None:
        """Starts the worker anew whenever it dies, until it has died too often."""
        try:
            while self._worker is not None:
                ready_since = time.monotonic()
                await asyncio.shield(self._worker.channel.closed)
                reason = await self._worker.epitaph()
                self._worker = None
                await self._restart(reason, ready_since)
        except Exception:  # the outer edge of a task: nobody else would hear of it
            _log.exception("%s: its supervisor failed", self.deployment.name)
            await self._dismiss()
            self.state, self.reason = ModelState.FAILED, "a fault of the agent: its log has the traceback"

    async def _restart(self, reason: str, ready_since: float | None) -> None:
        """Back to READY, or FAILED after too many crashes."""
        while self._worker is None:
            _log.warning("%s: %s", self.deployment.name, reason)
            self._move(ModelState.CRASHED, reason)
            self._crashes.add(time.monotonic(), ready_since)
            if self._crashes.are_too_many:
                self._move(ModelState.FAILED, f"{CRASHES_ALLOWED} crashes in {CRASH_WINDOW_S:g} s, the last: {reason}")
                return
            self._move(ModelState.BACKOFF, reason)
            await asyncio.sleep(self._crashes.backoff_s)
            self._move(ModelState.STARTING, reason)
            try:
                await self._load()
            except AgentError as error:
                reason, ready_since = error.message, None
        self.restarts += 1
        self._move(ModelState.READY)

    async def _load(self) -> None:
        self._worker, self.loaded = await start_worker(self.deployment, await self.launch(), self.arena, self._limits)

    async def _dismiss(self) -> None:
        worker, self._worker = self._worker, None
        if worker:
            await worker.leave()

    def _move(self, state: ModelState, reason: str | None = None) -> None:
        assert state in _NEXT[self.state], f"{self.state} -> {state}"
        self.state, self.reason = state, reason

    def not_ready(self) -> ModelNotReadyError:
        """Why it cannot run anything now."""
        state = "being stopped" if self._leaving and self.is_on else self.state
        because = f": {self.reason}" if self.reason else ""
        is_stopped = self.state is ModelState.STOPPED
        for_good = self.state is ModelState.FAILED or (is_stopped and (self.stands_down or not self.reason))
        return ModelNotReadyError(
            f"{self.deployment.name!r} is {state}{because}",
            f"deploy it again{' with --replace' * self.stands_down}, or POST /v1/models/NAME/load"
            if for_good
            else "try again in a moment",
        )


async def _cancelled(task: asyncio.Task[None] | None) -> None:
    if task:
        task.cancel()
        await asyncio.wait({task})
