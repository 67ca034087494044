"""A runtime under one Python, and workers there: started as the agent starts them, asked in the words of the wire."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bundles
import numpy as np
from bundles import Bundle, Tensors
from conformance.models import Maker
from environments import Environment
from numpy.typing import NDArray

from agent.arena import Arena, Slot
from agent.engines import ENGINE, Engine
from agent.loading import Deployment, Limits, Loaded, start_worker
from agent.process import Launch, WorkerProcess
from agent.worker import wire
from contract.api import Build, RuntimeInfo
from contract.tensors import Signature

LIMITS = Limits(queue_length=3, start_timeout_s=30.0, request_timeout_s=30.0)
MOST_RUNS = 400_000
UNTOUCHED = 0xA5
_BUILD = Build(
    key="-", reason=None, build_s=0, engine_bytes=0, build_peak_bytes=None, runtime_version="-", architecture="-"
)
"""How it was built is nobody's business here."""


@dataclass(frozen=True)
class Place:
    """A runtime under a Python that offers it."""

    environment: Environment
    offer: RuntimeInfo
    launch: Launch
    maker: Maker
    runner: asyncio.Runner
    folder: Path

    @property
    def runtime(self) -> str:
        return self.maker.runtime


@dataclass(frozen=True)
class Worker:
    """A worker and the arena it shares with this process. `loaded` is None where it has loaded nothing."""

    place: Place
    process: WorkerProcess
    arena: Arena
    loaded: Loaded | None = None

    def request(
        self, *, progress: list[tuple[int, int]] | None = None, lines: list[str] | None = None, **message: Any
    ) -> wire.Message:
        """One request and its reply; `progress` and `lines` get what came before it."""
        note = None if progress is None else lambda done, total: progress.append((done, total))
        hear = None if lines is None else lines.append
        return self.place.runner.run(self.process.request(message, LIMITS.request_timeout_s, note, hear))

    def load(self, bundle: Bundle, **changes: Any) -> wire.Message:
        """Loads the bundle's model over all slots; `changes` replace keys of the message."""
        manifest = bundle.manifest
        message = {
            "op": "load",
            "runtime": manifest.runtime.key,
            "path": str(deployment(self.place, bundle).artifact),
            "options": dict(manifest.runtime.options),
            "inputs": [spec.model_dump(mode="json") for spec in manifest.signature.inputs],
            "outputs": [spec.model_dump(mode="json") for spec in manifest.signature.outputs],
            "artifact": manifest.artifact and manifest.artifact.model_dump(mode="json"),
            "slots": [{"inputs": slot.inputs, "outputs": slot.outputs} for slot in self.arena.slots],
        }
        return self.request(**message | changes)

    def site(self, operation: str, bundle: Bundle, lines: list[str] | None = None, **keys: Any) -> wire.Message:
        """identify, parse or build."""
        runtime = bundle.manifest.runtime
        return self.request(lines=lines, op=operation, runtime=runtime.key, options=dict(runtime.options), **keys)

    def build(self, bundle: Bundle, folder: Path, lines: list[str] | None = None, **changes: Any) -> wire.Message:
        """Builds `folder`/model.engine; `changes` replace keys of the order."""
        assert bundle.manifest.build, "it is loaded as it is"
        order = {
            "source": str(bundles.deployment(self.place.folder, bundle).artifact),
            "target": str(folder / ENGINE),
            "cache": str(folder / "timing.cache"),
            "precision": bundle.manifest.build.precision,
            "typed": bundle.manifest.build.typed,
            "workspace_bytes": 64 << 20,
        }
        return self.site("build", bundle, lines, order=order | changes)

    def fill(self, slot: Slot, tensors: Tensors) -> None:
        """Writes the inputs, and what no model answers into the outputs."""
        for view, tensor in zip(self.arena.inputs(slot), tensors, strict=True):
            view[:] = tensor.tobytes()
        for view in self.arena.outputs(slot):
            view[:] = bytes([UNTOUCHED]) * len(view)

    def infer(self, slot: Slot, tensors: Tensors) -> list[bytes]:
        """The bytes of each output."""
        self.fill(slot, tensors)
        self.request(op="infer", slot=slot.index)
        return self.outputs(slot)

    def bench(self, runs: int, progress: list[tuple[int, int]] | None = None) -> tuple[wire.Message, NDArray[np.int64]]:
        """The reply, and the samples in nanoseconds."""
        slots = len(self.arena.slots)
        reply = self.request(progress=progress, op="bench", runs=runs, slots=slots, samples=self.arena.extra_offset)
        return reply, np.frombuffer(bytes(self.arena.extra(8 * runs)), np.int64)

    def inputs(self, slot: Slot) -> list[bytes]:
        return [bytes(view) for view in self.arena.inputs(slot)]

    def outputs(self, slot: Slot) -> list[bytes]:
        return [bytes(view) for view in self.arena.outputs(slot)]


def deployment(place: Place, bundle: Bundle) -> Deployment:
    """On disk; what is to be built of it is built there, once, by a worker of its own."""
    plain = bundles.deployment(place.folder, bundle)
    if bundle.manifest.build is None:
        return plain
    engine = plain.folder / "built" / ENGINE
    if not engine.exists():
        engine.parent.mkdir()
        with idle(place, bundle.manifest.signature) as builder:
            builder.build(bundle, engine.parent)
    return replace(plain, engine=Engine(engine, _BUILD))


@contextmanager
def loaded(place: Place, bundle: Bundle) -> Iterator[Worker]:
    """A worker that has loaded the bundle's model; it has left afterwards."""
    arena = _arena(bundle.manifest.signature)
    process, said = place.runner.run(start_worker(deployment(place, bundle), place.launch, arena, LIMITS))
    yield from _until_left(Worker(place, process, arena, said))


@contextmanager
def idle(place: Place, signature: Signature) -> Iterator[Worker]:
    """A worker that has said hello, over an arena for `signature`."""
    arena = _arena(signature)
    yield from _until_left(Worker(place, place.runner.run(WorkerProcess.spawn(place.launch, arena)), arena))


def random_tensors(signature: Signature, seed: int) -> Tensors:
    """Values of the whole range of each type; no NaN."""
    random = np.random.default_rng(seed)
    tensors = []
    for spec in signature.inputs:
        dtype = np.dtype(spec.dtype)
        if dtype.kind == "f":
            tensors.append(np.asarray(random.standard_normal(spec.shape), dtype))
        elif dtype.kind == "b":
            tensors.append(random.integers(0, 2, spec.shape).astype(dtype))
        else:
            limits = np.iinfo(dtype)
            tensors.append(random.integers(limits.min, limits.max, spec.shape, dtype, endpoint=True))
    return tensors


def _arena(signature: Signature) -> Arena:
    return Arena(signature, LIMITS.queue_length, 8 * MOST_RUNS)


def _until_left(worker: Worker) -> Iterator[Worker]:
    try:
        yield worker
    finally:
        worker.place.runner.run(worker.process.leave())
        worker.arena.close()
