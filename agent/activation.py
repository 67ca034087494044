"""Start the new version, prove it by its golden inputs, switch; on any error things are as they were."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agent import golden
from agent.dataplane import Dataplane, Served
from agent.errors import AgentError, NothingToRollBackError
from agent.exclusive import OnStage
from agent.golden import Proof
from agent.process import Launch
from agent.repository import Record, Repository
from agent.supervisor import Deployment, Limits, Supervisor
from contract.api import Activation, ModelState


@dataclass(frozen=True)
class Activator:
    """Switches the models of one agent. `stop_first`: the board has no room for two versions at once."""

    repository: Repository
    dataplane: Dataplane
    launch: Callable[[str], Awaitable[Launch]]  # how to start a worker for this runtime; NotFoundError
    limits: Limits
    stop_first: bool

    async def activate(self, name: str, bundle: str, on_stage: OnStage) -> Activation:
        """Serves `bundle` as `name`, from the first request after the return on."""
        deployment = self.repository.deployment(name, bundle)
        async with self.dataplane.board.turn(on_stage):
            served = self.dataplane.models.get(name)
            if served and served.supervisor.state is ModelState.READY and served.supervisor.deployment.bundle == bundle:
                on_stage("running the golden inputs")
                return self._outcome(served.supervisor, await golden.prove(served.supervisor), 0.0, unchanged=True)
            supervisor = await self._supervisor(deployment)
            try:
                proof, outage_s = await self._start(supervisor, served, on_stage)
                self._switch(supervisor)
            except BaseException:
                await supervisor.stop()
                supervisor.close()
                raise
            if served:
                await _retire(served, supervisor)
            self.repository.remove_unused()
            return self._outcome(supervisor, proof, outage_s)

    async def rollback(self, name: str, on_stage: OnStage) -> Activation:
        """Serves the version before this one again; rolling back twice ends here."""
        previous = self.repository.record(name).previous
        if previous is None:
            raise NothingToRollBackError(f"{name!r} has no version before this one", "deploy another version first")
        return await self.activate(name, previous, on_stage)

    async def load(self, name: str, on_stage: OnStage) -> Activation:
        """Starts a model that is STOPPED or FAILED, and proves it."""
        return await self.activate(name, self.repository.record(name).active, on_stage)

    async def remove(self, name: str) -> None:
        """Stops the model and forgets it, its previous version too."""
        self.repository.record(name)
        async with self.dataplane.board.turn(_unheard):
            self.repository.remove_record(name)
            served = self.dataplane.models.pop(name, None)
            if served:
                await _end(served.supervisor)

    async def restore(self) -> list[Supervisor]:
        """After a start of the agent: every model it served before, not yet started."""
        for name, record in self.repository.records().items():
            supervisor = await self._supervisor(self.repository.deployment(name, record.active))
            self.dataplane.models[name] = Served(supervisor)
        return [served.supervisor for served in self.dataplane.models.values()]

    async def _supervisor(self, deployment: Deployment) -> Supervisor:
        return Supervisor(deployment, await self.launch(deployment.manifest.runtime.key), self.limits)

    async def _start(self, new: Supervisor, served: Served | None, on_stage: OnStage) -> tuple[Proof, float]:
        """The proof, and the seconds without service."""
        if served is None or not self.stop_first:
            return await _started(new, on_stage), 0.0
        old = served.supervisor
        on_stage("stopping the old version")
        stopped_at = time.monotonic()
        await old.stop()
        try:
            proof = await _started(new, on_stage)
        except BaseException:
            on_stage("bringing the old version back")
            await new.stop()
            await asyncio.shield(_bring_back(old))
            raise
        return proof, time.monotonic() - stopped_at

    def _switch(self, supervisor: Supervisor) -> None:
        name, bundle = supervisor.deployment.name, supervisor.deployment.bundle
        record = self.repository.records().get(name)
        if record is None:
            self.repository.set_record(name, Record(active=bundle))
        elif record.active != bundle:
            self.repository.set_record(name, Record(active=bundle, previous=record.active))
        if name not in self.dataplane.models:
            self.dataplane.models[name] = Served(supervisor)

    def _outcome(self, supervisor: Supervisor, proof: Proof, outage_s: float, unchanged: bool = False) -> Activation:
        deployment, loaded = supervisor.deployment, supervisor.loaded
        assert loaded is not None
        return Activation(
            model=deployment.name,
            bundle=deployment.bundle,
            previous=self.repository.record(deployment.name).previous,
            sqnr_db=proof.sqnr_db,
            tolerance_db=deployment.manifest.golden.tolerance_db,
            golden_count=deployment.manifest.golden.count,
            golden_source=deployment.manifest.golden.source,
            load_s=loaded.load_s,
            outage_s=outage_s,
            unchanged=unchanged,
        )


async def _started(supervisor: Supervisor, on_stage: OnStage) -> Proof:
    on_stage("loading")
    await supervisor.start()
    on_stage("running the golden inputs")
    return await golden.prove(supervisor)


async def _bring_back(old: Supervisor) -> None:
    with contextlib.suppress(AgentError):  # it is FAILED then, and says why; the error that matters is the first
        await _started(old, _unheard)


async def _retire(served: Served, new: Supervisor) -> None:
    """The switch in memory: requests already with the old version are served by it, then it goes."""
    old, served.supervisor = served.supervisor, new
    await old.drained()
    await _end(old)


async def _end(supervisor: Supervisor) -> None:
    await supervisor.stop()
    supervisor.close()


def _unheard(_stage: str) -> None: ...
