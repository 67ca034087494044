"""Two versions of one model, an agent that serves the old one, and what a switch to the new one does."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import bundles
import rogue
import running
from bundles import Bundle

from agent.service import Service
from contract.api import ModelState
from contract.tensors import TensorSpec

SPEC = TensorSpec(name="x", dtype="uint8", shape=(4,))
CONTENT = bytes([1, 2, 3, 4])
OLD, NEW = "old", "new"
ANSWERS = {CONTENT: OLD, bytes([0, 255, 254, 253]): NEW}  # an echo, and one that gives 1 - x


def old(**options: Any) -> Bundle:
    return bundles.null(SPEC, source_name=OLD, **options)


def new(**options: Any) -> Bundle:
    return bundles.null(SPEC, source_name=NEW, wrong=True, **options)


def serving(tmp_path: Path, **options: Any) -> Any:
    """An agent that serves `old` as "m"; `stop_first` as a board without room for two."""
    switching = "stop-first" if options.pop("stop_first", False) else "overlap"
    return bundles.serving(tmp_path, {"m": old()}, start=rogue.obedient(tmp_path), switching=switching, **options)


async def ask(service: Service, name: str = "m") -> str:
    """Which version answers."""
    with service.dataplane.admit(service.dataplane.pick(name)) as admission:
        writer = admission.writer()
        writer.write(CONTENT)
        writer.finish()
        await admission.run()
        return ANSWERS[b"".join(admission.outputs)]


class Stages:
    """Notes each stage, and cancels the work in one of them."""

    def __init__(self, cancel_in: str | None = None) -> None:
        self.seen: list[str] = []
        self.task: asyncio.Task[Any] | None = None
        self._cancel_in = cancel_in

    def of(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Begins the work whose stages they are."""
        self.task = asyncio.create_task(work)
        return self.task

    def __call__(self, stage: str) -> None:
        self.seen.append(stage)
        if stage == self._cancel_in:
            assert self.task
            self.task.cancel()


async def is_as_it_was(service: Service, bundle: Bundle, version: str = OLD) -> None:
    """`version` is served, by one worker, and would be after a restart."""
    served = service.dataplane.pick("m")
    assert served.supervisor.state is ModelState.READY
    assert served.supervisor.deployment.bundle == bundle.id
    assert await ask(service) == version
    assert service.repository.record("m").active == bundle.id
    await running.until(lambda: len(running.children()) == len(service.dataplane.models))
    assert served.supervisor.in_flight == 0
