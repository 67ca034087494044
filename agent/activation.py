"""Start the new version, prove it by its golden inputs, find its threshold, switch.

On any error things are as they were.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from agent import calibration, golden, room
from agent.building import Builder, OnLine
from agent.dataplane import Dataplane, Served
from agent.errors import AgentError, NameTakenError, NothingToRollBackError, WorkerRefusedError
from agent.exclusive import OnStage
from agent.golden import Proof
from agent.loading import Deployment, Limits
from agent.ownership import Ownership
from agent.repository import Record, Repository
from agent.room import Room
from agent.supervisor import FindLaunch, Supervisor
from agent.uncancelled import committed, whole
from contract.api import Activation, ModelState

_NOT_LOADED = frozenset({"load_failed", "engine_mismatch"})  # agent/worker/errors.py: the file itself is at fault
_log = logging.getLogger(__name__)


def _unheard(_text: str) -> None: ...


@dataclass(frozen=True)
class Activator:
    """Switches the models of one agent. `stop_first`: the board has no room for two versions at once."""

    repository: Repository
    dataplane: Dataplane
    builder: Builder
    ownership: Ownership
    find_launch: FindLaunch
    limits: Limits
    stop_first: bool

    async def activate(
        self,
        name: str,
        bundle: str,
        on_stage: OnStage,
        on_line: OnLine = _unheard,
        *,
        temporary: bool = False,
        stop_others: bool = False,
        replace: bool = False,
    ) -> Activation:
        """Serves `bundle` as `name`, from the first request after the return on.

        NameTakenError, BuildNeedsBoardError, AcceleratorTakenError: the flags are in `contract.api.ActivateRequest`.
        Cancelled or failed before the switch, it leaves what was served; after the switch it is too late to cancel.
        """
        with self.repository.keeping(bundle):
            deployment = await asyncio.to_thread(self.repository.deployment, name, bundle)
            deployment = dataclasses.replace(deployment, temporary=temporary)
            async with self.dataplane.board.turn(f"the deploy of {name!r}", on_stage):
                self._check_name(deployment)
                served = self.dataplane.models.get(name)
                if served and _serves(served.supervisor, bundle):
                    return await self._confirmed(served.supervisor, temporary, on_stage)
                rivals = self.ownership.check_rivals(deployment, replace)
                deployment = await self.builder.built(deployment, on_stage, on_line, stop_others=stop_others)
                old = served.supervisor if self.stop_first and served and served.supervisor.is_on else None
                async with room.made(name, old, rivals, self._prove_again, self.dataplane, on_stage) as made:
                    new, proof = await self._take_over(deployment, on_stage)
                return await committed(self._switch(new, served, proof, made, on_stage))

    async def rollback(
        self,
        name: str,
        on_stage: OnStage,
        on_line: OnLine = _unheard,
        *,
        stop_others: bool = False,
        replace: bool = False,
    ) -> Activation:
        """Serves the version before this one again; rolling back twice ends here."""
        record = self.repository.record(name)
        if record.previous is None:
            raise NothingToRollBackError(f"{name!r} has no version before this one", "deploy another version first")
        return await self.activate(
            name,
            record.previous,
            on_stage,
            on_line,
            temporary=record.temporary,
            stop_others=stop_others,
            replace=replace,
        )

    async def load(
        self,
        name: str,
        on_stage: OnStage,
        on_line: OnLine = _unheard,
        *,
        stop_others: bool = False,
        replace: bool = False,
    ) -> Activation:
        """Starts a model that is STOPPED or FAILED, and proves it."""
        record = self.repository.record(name)
        return await self.activate(
            name,
            record.active,
            on_stage,
            on_line,
            temporary=record.temporary,
            stop_others=stop_others,
            replace=replace,
        )

    async def remove(self, name: str) -> None:
        """Forgets the model, its previous version too; requests in flight are served. BoardHeldError in a bench."""
        self.repository.record(name)
        self.dataplane.board.check()  # a bench may take hours
        async with self.dataplane.board.turn(f"the removal of {name!r}", _unheard):
            self.repository.record(name)  # somebody else may have been quicker
            await whole(self._remove(name))

    async def expire(self, name: str, is_due: Callable[[str], bool]) -> None:
        """Removes the model, if that is still due when its turn has come: somebody may have named it meanwhile."""
        async with self.dataplane.board.turn(f"the removal of {name!r}", _unheard):
            if is_due(name):
                _log.info("%s has expired: nobody has named this temporary model for a while", name)
                await whole(self._remove(name))

    async def restore(self) -> None:
        """After a start of the agent: every model it served before. One that cannot be does not keep the others."""
        async with self.dataplane.board.turn("the start of the models of the last run", _unheard):
            for name, record in self.repository.records().items():
                with _logged(name):
                    deployment = await asyncio.to_thread(self.repository.deployment, name, record.active)
                    deployment = dataclasses.replace(deployment, threshold=record.threshold)
                    self.dataplane.models[name] = Served(self._supervisor(deployment))
            supervisors = [served.supervisor for served in self.dataplane.models.values()]
            owner = self.ownership.choose([each.deployment for each in supervisors])
            for each in supervisors:
                with _logged(each.deployment.name):
                    if owner and self.ownership.takes(each.deployment) and each.deployment is not owner:
                        await each.stand_down(room.gave_way(owner.name))
                    else:
                        await self._start_again(each)

    def _supervisor(self, deployment: Deployment) -> Supervisor:
        return Supervisor(deployment, self.find_launch, self.limits, self.ownership.check_start)

    async def _start_again(self, supervisor: Supervisor) -> None:
        """What it was built to may have to be built anew: the board's system can be another one by now."""
        try:
            built = await self.builder.built(supervisor.deployment, _unheard, _unheard, stop_others=True)
        except AgentError as error:
            await supervisor.fail(error.message)
            raise
        supervisor.deployment = built
        await self._start(supervisor)

    async def _start(self, supervisor: Supervisor) -> None:
        """An engine that its own runtime does not take is built anew by the next deploy."""
        try:
            await supervisor.start()
        except WorkerRefusedError as error:
            engine = supervisor.deployment.engine
            if engine and error.code in _NOT_LOADED:
                await asyncio.to_thread(self.builder.engines.reject, engine)
            raise

    async def _prove(self, supervisor: Supervisor, on_stage: OnStage) -> Proof:
        on_stage("loading")
        await self._start(supervisor)
        on_stage("running the golden inputs")
        return await golden.prove(supervisor)

    def _check_name(self, deployment: Deployment) -> None:
        record = self.repository.records().get(deployment.name)
        if deployment.temporary and record and not record.temporary:
            raise NameTakenError(
                f"{deployment.name!r} is a model that is to stay: a temporary one cannot take its place",
                "give the temporary one another name",
            )

    async def _confirmed(self, supervisor: Supervisor, temporary: bool, on_stage: OnStage) -> Activation:
        """What is served already: proven again, and its threshold found again, as the runtime may be another."""
        on_stage("running the golden inputs")
        proof = await golden.prove(supervisor)
        engine, threshold = supervisor.deployment.engine, await _found(supervisor, on_stage)
        confirmed = dataclasses.replace(
            supervisor.deployment, temporary=temporary, threshold=threshold, engine=engine and engine.found()
        )
        await committed(asyncio.to_thread(self._record, confirmed))
        supervisor.deployment = confirmed
        return self._outcome(supervisor, proof, 0.0, unchanged=True)

    async def _take_over(self, deployment: Deployment, on_stage: OnStage) -> tuple[Supervisor, Proof]:
        """Up to the point of no return, which is the record on disk. Nothing runs where anything fails."""
        new = self._supervisor(deployment)
        try:
            proof = await self._prove(new, on_stage)
            new.deployment = dataclasses.replace(new.deployment, threshold=await _found(new, on_stage))
            await committed(asyncio.to_thread(self._record, new.deployment))
        except BaseException:
            await whole(_end(new))
            raise
        return new, proof

    def _record(self, deployment: Deployment) -> None:
        before = self.repository.records().get(deployment.name)
        previous = before and (before.previous if before.active == deployment.bundle else before.active)
        record = Record(
            active=deployment.bundle,
            previous=previous,
            threshold=deployment.threshold,
            temporary=deployment.temporary,
        )
        if record != before:
            self.repository.set_record(deployment.name, record)
        self.ownership.remember(deployment)

    async def _switch(
        self, new: Supervisor, served: Served | None, proof: Proof, made: Room, on_stage: OnStage
    ) -> Activation:
        """In memory: requests that the old version has begun are served by it, then it goes."""
        outage_s = made.outage_s
        if served is None:
            self.dataplane.models[new.deployment.name] = Served(new)
        else:
            old, served.supervisor = served.supervisor, new
            on_stage("ending the old version")
            await old.drained()
            await _end(old)
        for each in made.rivals:
            await each.stand_down(room.gave_way(new.deployment.name))
        await self._remove_unused()
        return self._outcome(new, proof, outage_s, replaced=[each.deployment.name for each in made.rivals])

    async def _prove_again(self, old: Supervisor) -> None:
        await self._prove(old, _unheard)

    async def _remove(self, name: str) -> None:
        served = self.dataplane.models.pop(name, None)
        try:
            await asyncio.to_thread(self.repository.remove_record, name)
        except BaseException:
            if served:
                self.dataplane.models[name] = served
            raise
        if served:
            await served.supervisor.stop("it is being removed", drain=True)
            served.supervisor.close()
            if served.temporary and self.ownership.takes(served.supervisor.deployment):
                await self._hand_back()
        await self._remove_unused()

    async def _hand_back(self) -> None:
        """A temporary model has gone: the one that last had the accelerator for good has it again."""
        waiting = [each.supervisor for each in self.dataplane.models.values() if each.supervisor.stands_down]
        owner = self.ownership.choose([each.deployment for each in waiting])
        for each in waiting:
            if each.deployment is owner and not self.ownership.rivals(owner) and not self.dataplane.closing:
                with _logged(each.deployment.name):
                    await self._start_again(each)

    async def _remove_unused(self) -> None:
        try:
            await asyncio.to_thread(self._remove_unused_now)
        except OSError:
            _log.exception("bundles that nobody needs could not be removed")

    def _remove_unused_now(self) -> None:
        self.repository.remove_unused()
        self.builder.engines.remove_unused(self.repository.models())

    def _outcome(
        self,
        supervisor: Supervisor,
        proof: Proof,
        outage_s: float,
        *,
        unchanged: bool = False,
        replaced: Sequence[str] = (),
    ) -> Activation:
        deployment, loaded = supervisor.deployment, supervisor.loaded
        assert loaded is not None
        manifest, score = deployment.manifest, deployment.manifest.score
        return Activation(
            model=deployment.name,
            bundle=deployment.bundle,
            previous=self.repository.record(deployment.name).previous,
            sqnr_db=proof.sqnr_db,
            tolerance_db=manifest.golden.tolerance_db,
            golden_count=manifest.golden.count,
            golden_source=manifest.golden.source,
            load_s=loaded.load_s,
            outage_s=outage_s,
            replaced=tuple(replaced),
            unchanged=unchanged,
            score_method=score and score.method,
            threshold_model=score and score.threshold,
            threshold_board=deployment.threshold,
            good_count=len(manifest.good_images),
            build=deployment.engine.build if deployment.engine else None,
        )


def _serves(supervisor: Supervisor, bundle: str) -> bool:
    return supervisor.state is ModelState.READY and supervisor.deployment.bundle == bundle


async def _found(supervisor: Supervisor, on_stage: OnStage) -> float | None:
    """The threshold by its good images here; None without any: the model's own counts then."""
    if count := len(supervisor.deployment.manifest.good_images):
        on_stage(f"finding the threshold from {count} good images")
    return await calibration.threshold_of(supervisor)


async def _end(supervisor: Supervisor) -> None:
    await supervisor.stop()
    supervisor.close()


@contextmanager
def _logged(name: str) -> Iterator[None]:
    """Goes on with the next model; why this one is missing is in the log, and in its state where it has one."""
    try:
        yield
    except (AgentError, OSError) as error:
        _log.error("%s is not served: %s", name, error)
