"""Board-site steps: this board makes what it loads, in a worker of its own that is gone afterwards."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from agent.arena import Arena
from agent.dataplane import Dataplane
from agent.engines import Engine, Engines, Ingredients
from agent.errors import BuildNeedsBoardError, WorkerCrashedError, WorkerFailedError, WorkerRefusedError
from agent.exclusive import OnStage
from agent.loading import Deployment, as_the_driver_says
from agent.process import WorkerProcess
from agent.supervisor import FindLaunch
from agent.uncancelled import whole
from agent.worker import wire
from contract.api import Build
from contract.profile import BuildFacts

OnLine = Callable[[str], None]

_ASK_S = 120.0
"""For the runtime to open, or to read a model: on a small board that takes seconds."""

_SHOWN_PROBLEMS = 5
_LESS_MEMORY = "stop other programs and the desktop, add swap for the build, or lower workspace_mib in the profile"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Builder:
    """Builds for one board. `facts` None: its runtime builds nothing. `release`: of the board's system."""

    engines: Engines
    dataplane: Dataplane
    find_launch: FindLaunch
    facts: BuildFacts | None
    release: str

    async def built(
        self, deployment: Deployment, on_stage: OnStage, on_line: OnLine, *, stop_others: bool
    ) -> Deployment:
        """The deployment with what it loads: itself, where it loads its own file; an engine that is there already.

        `on_line` hears what the builder says. BuildNeedsBoardError; WorkerFailedError where it cannot be built.
        """
        if deployment.manifest.build is None:
            return deployment
        if self.facts is None:
            raise WorkerRefusedError(
                f"this board builds nothing, and {deployment.name!r} is to be built on it",
                "convert the model for this board",
                "unsupported",
            )
        on_stage("asking the runtime what it is")
        async with self._worker(deployment) as worker:
            site = _Site(worker, deployment, await self._ingredients(worker, deployment, self.facts), self.facts)
            engine = await asyncio.to_thread(self.engines.find, site.ingredients)
            if engine is None:
                engine = await self._engine(site, on_stage, on_line, stop_others)
        return replace(deployment, engine=engine)

    @asynccontextmanager
    async def _worker(self, deployment: Deployment) -> AsyncIterator[WorkerProcess]:
        arena = Arena(deployment.manifest.signature, 1)
        try:
            launch = await self.find_launch(deployment.manifest.runtime.key)
            worker = await WorkerProcess.spawn(launch, arena)
            try:
                yield worker
            finally:
                await whole(worker.kill())
        finally:
            arena.close()

    async def _ingredients(self, worker: WorkerProcess, deployment: Deployment, facts: BuildFacts) -> Ingredients:
        manifest = deployment.manifest
        assert manifest.build, "only what is to be built comes here"
        said = await worker.request({"op": "identify", **_runtime(deployment)}, _ASK_S)
        return Ingredients(
            model=manifest.files[manifest.runtime.file].sha256,
            runtime=manifest.runtime.key,
            runtime_version=said["runtime_version"],
            architecture=said["architecture"],
            release=self.release,
            precision=manifest.build.precision,
            typed=manifest.build.typed,
            workspace_bytes=facts.workspace_mib << 20,
        )

    async def _engine(self, site: "_Site", on_stage: OnStage, on_line: OnLine, stop_others: bool) -> Engine:
        reason = await asyncio.to_thread(self.engines.why, site.ingredients)
        _log.info("%s: building an engine: %s", site.deployment.name, reason)
        on_stage(f"asking the board's parser ({site.runtime_name})")
        await site.check()
        async with self._room(site, stop_others):
            on_stage(f"building the engine: {reason}")
            target = await asyncio.to_thread(self.engines.prepare, site.ingredients)
            build = await site.build(target, self.engines.timing_cache(site.ingredients), reason, on_line)
            return await asyncio.to_thread(self.engines.keep, site.ingredients, build)

    @asynccontextmanager
    async def _room(self, site: "_Site", stop_others: bool) -> AsyncIterator[None]:
        """Other models go on, but where the board has no memory for them beside a builder."""
        running = sorted(name for name, served in self.dataplane.models.items() if served.supervisor.is_on)
        if not site.facts.alone or not running:
            yield
            return
        if not stop_others:
            raise BuildNeedsBoardError(
                f"building takes most of this board's memory, and it serves {', '.join(running)}",
                "host deploy --stop-others: they are stopped for as long as the build takes, and started again",
            )
        async with self.dataplane.stopped(running, f"an engine is being built for {site.deployment.name!r}"):
            yield


@dataclass(frozen=True)
class _Site:
    """A worker that is asked to build, and what it is to build."""

    worker: WorkerProcess
    deployment: Deployment
    ingredients: Ingredients
    facts: BuildFacts

    @property
    def runtime_name(self) -> str:
        return f"{self.ingredients.runtime} {self.ingredients.runtime_version}"

    async def check(self) -> None:
        """The board's own parser is the authority. WorkerRefusedError (model_refused) names the nodes."""
        message = {"op": "parse", **_runtime(self.deployment), "source": _source(self.deployment)}
        problems = (await self.worker.request(message, _ASK_S))["problems"]
        if problems:
            shown = "; ".join(_problem(*problem) for problem in problems[:_SHOWN_PROBLEMS])
            more = f"; and {len(problems) - _SHOWN_PROBLEMS} more" if len(problems) > _SHOWN_PROBLEMS else ""
            raise WorkerRefusedError(
                f"{self.runtime_name} refuses the model: {shown}{more}",
                "export the model without these operators, or end it before them",
                "model_refused",
            )

    async def build(self, target: Path, cache: Path, reason: str, on_line: OnLine) -> Build:
        """WorkerFailedError, with what the driver has printed where that says more."""
        ingredients = self.ingredients
        order = {
            "source": _source(self.deployment),
            "target": str(target),
            "cache": str(cache),
            "precision": ingredients.precision,
            "typed": ingredients.typed,
            "workspace_bytes": ingredients.workspace_bytes,
        }
        message = {"op": "build", **_runtime(self.deployment), "order": order}
        began = time.monotonic()
        try:
            said = await self.worker.request(message, self.facts.timeout_s, on_line=on_line)
        except WorkerFailedError as error:
            await whole(self.worker.kill())  # what it has printed is read to its end
            raise _explained(error, self.worker) from error
        return Build(
            key=ingredients.key,
            reason=reason,
            build_s=time.monotonic() - began,
            engine_bytes=said["engine_bytes"],
            build_peak_bytes=said["build_peak_bytes"],
            runtime_version=ingredients.runtime_version,
            architecture=ingredients.architecture,
            unmet=said["unmet"],
        )


def _runtime(deployment: Deployment) -> wire.Message:
    runtime = deployment.manifest.runtime
    return {"runtime": runtime.key, "options": dict(runtime.options)}


def _source(deployment: Deployment) -> str:
    return str(deployment.folder / deployment.manifest.runtime.file)


def _problem(node: str, operator: str, reason: str) -> str:
    where = " ".join(filter(None, (operator, f"(node {node})" if node else "")))
    return f"{where}: {reason}" if where else reason


def _explained(error: WorkerFailedError, worker: WorkerProcess) -> WorkerFailedError:
    """With what only the driver has printed: neither TensorRT nor the kernel's signal says it."""
    if isinstance(error, WorkerCrashedError):
        return WorkerCrashedError(f"while building, {error.message}", _LESS_MEMORY)
    return as_the_driver_says(error, worker, _LESS_MEMORY)
