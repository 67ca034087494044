"""One model's worker, kept alive: one state machine per model.

    STOPPED --start--> STARTING --loaded--> READY --died--> CRASHED --> BACKOFF --after a while--> STARTING
                          |                                    |
                          +--refused, or died at the first start, or five crashes in a minute--> FAILED

FAILED stays until someone loads the model again; stop() leads to STOPPED from anywhere.
"""

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from agent.arena import Arena, Slot
from agent.errors import AgentError, ModelNotReadyError, QueueFullError, WorkerFailedError
from agent.process import Launch, WorkerProcess
from agent.worker import wire
from contract.api import ModelState
from contract.manifest import Manifest

CRASHES_ALLOWED = 5
CRASH_WINDOW_S = 60.0
FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 10.0

_NEXT = {
    ModelState.STOPPED: {ModelState.STARTING},
    ModelState.STARTING: {ModelState.READY, ModelState.CRASHED, ModelState.FAILED},
    ModelState.READY: {ModelState.CRASHED},
    ModelState.CRASHED: {ModelState.BACKOFF, ModelState.FAILED},
    ModelState.BACKOFF: {ModelState.STARTING},
    ModelState.FAILED: {ModelState.STARTING},
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Deployment:
    """A version of a model on this disk."""

    name: str
    bundle: str
    manifest: Manifest
    folder: Path


@dataclass(frozen=True)
class Limits:
    """From the board's profile."""

    queue_length: int
    start_timeout_s: float
    request_timeout_s: float


@dataclass(frozen=True)
class Loaded:
    """What a worker says once it has loaded its model."""

    runtime_version: str
    python_version: str
    baseline_bytes: int | None
    load_peak_bytes: int | None
    load_s: float


@dataclass(frozen=True)
class RunTimes:
    """Of one run, in nanoseconds; `accelerator_ns` is None where the runtime cannot tell."""

    run_ns: int
    accelerator_ns: int | None


class Supervisor:
    """Runs one deployment. `arena` outlives its workers, so that requests can be received while one restarts."""

    def __init__(self, deployment: Deployment, launch: Launch, limits: Limits) -> None:
        self.deployment = deployment
        self.arena = Arena(deployment.manifest.signature, limits.queue_length)
        self.state = ModelState.STOPPED
        self.reason: str | None = None
        self.restarts = 0
        self.loaded: Loaded | None = None
        self.launch = launch
        self._limits = limits
        self._free = list(reversed(self.arena.slots))
        self._idle = asyncio.Event()
        self._idle.set()
        self._turn = asyncio.Lock()  # one run at a time: the deadline belongs to the run, not to the queue
        self._worker: WorkerProcess | None = None
        self._crashes: deque[float] = deque(maxlen=CRASHES_ALLOWED)
        self._watching: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._worker.pid if self._worker else None

    @property
    def in_flight(self) -> int:
        return len(self.arena.slots) - len(self._free)

    def take_slot(self) -> Slot:
        """A place in the queue. Raises ModelNotReadyError or QueueFullError; give it back with `give_slot`."""
        if self.state is not ModelState.READY:
            raise self.not_ready()
        if not self._free:
            raise QueueFullError(
                f"{self.deployment.name!r} has {self._limits.queue_length} requests in its queue",
                "try again in a moment",
            )
        self._idle.clear()
        return self._free.pop()

    def give_slot(self, slot: Slot) -> None:
        self._free.append(slot)
        if not self.in_flight:
            self._idle.set()

    async def drained(self) -> None:
        """Waits until no request is in flight."""
        await self._idle.wait()

    async def run(self, slot: Slot) -> RunTimes:
        """Runs the inputs in `slot`; its outputs are there afterwards. Raises WorkerFailedError, ModelNotReadyError."""
        async with self._turn:
            if self._worker is None:
                raise self.not_ready()
            reply = await self._worker.request({"op": "infer", "slot": slot.index}, self._limits.request_timeout_s)
        return RunTimes(reply["run_ns"], reply["accelerator_ns"])

    async def start(self) -> Loaded:
        """Loads the model and keeps it loaded. A failure leads to FAILED, and is raised: nothing is tried again."""
        self._crashes.clear()
        self._move(ModelState.STARTING)
        try:
            self._worker, self.loaded = await start_worker(self.deployment, self.launch, self.arena, self._limits)
        except AgentError as error:
            self._move(ModelState.FAILED, error.message)
            raise
        except BaseException:
            self._move(ModelState.FAILED, "the start was broken off")
            raise
        self._move(ModelState.READY)
        self._watching = asyncio.create_task(self._watch())
        return self.loaded

    async def stop(self) -> None:
        """Ends the worker; the requests in flight get an error. From any state; idempotent."""
        watching, self._watching = self._watching, None
        if watching:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        worker, self._worker = self._worker, None
        if worker:
            await worker.leave()
        self.state, self.reason = ModelState.STOPPED, None

    def close(self) -> None:
        """Gives the arena back; after stop()."""
        self.arena.close()

    async def _watch(self) -> None:
        """Starts the worker anew whenever it dies, until it has died too often."""
        while self._worker is not None:
            await asyncio.shield(self._worker.channel.closed)
            reason = await self._worker.epitaph()
            self._worker = None
            _log.warning("%s: %s", self.deployment.name, reason)
            await self._restart(reason)

    async def _restart(self, reason: str) -> None:
        """Back to READY, or FAILED after too many crashes."""
        while True:
            self._move(ModelState.CRASHED, reason)
            self._crashes.append(time.monotonic())
            if self._crashed_too_often():
                self._move(ModelState.FAILED, f"{CRASHES_ALLOWED} crashes in {CRASH_WINDOW_S:g} s, the last: {reason}")
                return
            self._move(ModelState.BACKOFF, reason)
            await asyncio.sleep(self._backoff_s())
            self._move(ModelState.STARTING, reason)
            try:
                self._worker, self.loaded = await start_worker(self.deployment, self.launch, self.arena, self._limits)
            except WorkerFailedError as error:
                reason = error.message
                continue
            self.restarts += 1
            self._move(ModelState.READY)
            return

    def _crashed_too_often(self) -> bool:
        return len(self._crashes) == CRASHES_ALLOWED and self._crashes[-1] - self._crashes[0] < CRASH_WINDOW_S

    def _backoff_s(self) -> float:
        recent = sum(1 for crash in self._crashes if time.monotonic() - crash < CRASH_WINDOW_S)
        return min(FIRST_BACKOFF_S * 2.0 ** (recent - 1), LONGEST_BACKOFF_S)

    def _move(self, state: ModelState, reason: str | None = None) -> None:
        assert state in _NEXT[self.state], f"{self.state} -> {state}"
        self.state, self.reason = state, reason

    def not_ready(self) -> ModelNotReadyError:
        """Why it cannot run anything now."""
        name, because = self.deployment.name, f": {self.reason}" if self.reason else ""
        if self.state in (ModelState.FAILED, ModelState.STOPPED):
            return ModelNotReadyError(
                f"{name!r} is {self.state}{because}", "deploy it again, or POST /v1/models/NAME/load"
            )
        return ModelNotReadyError(f"{name!r} is {self.state}{because}", "try again in a moment")


async def start_worker(
    deployment: Deployment, launch: Launch, arena: Arena, limits: Limits
) -> tuple[WorkerProcess, Loaded]:
    """A fresh worker with the model loaded over `arena`. Raises WorkerFailedError; nothing is then left running."""
    began = time.monotonic()
    worker = await WorkerProcess.spawn(launch, arena)
    try:
        reply = await worker.request(_load_message(deployment, arena), limits.start_timeout_s)
    except BaseException:
        await worker.kill()
        raise
    return worker, Loaded(
        runtime_version=str(reply["runtime_version"]),
        python_version=worker.python_version,
        baseline_bytes=reply["baseline_bytes"],
        load_peak_bytes=reply["load_peak_bytes"],
        load_s=time.monotonic() - began,
    )


def _load_message(deployment: Deployment, arena: Arena) -> wire.Message:
    runtime, signature = deployment.manifest.runtime, deployment.manifest.signature
    return {
        "op": "load",
        "runtime": runtime.key,
        "path": str(deployment.folder / runtime.file),
        "options": dict(runtime.options),
        "inputs": [spec.model_dump(mode="json") for spec in signature.inputs],
        "outputs": [spec.model_dump(mode="json") for spec in signature.outputs],
        "slots": [{"inputs": list(slot.inputs), "outputs": list(slot.outputs)} for slot in arena.slots],
    }
