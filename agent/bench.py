"""One trial: `runs` runs of batch 1 in a fresh worker, the board held. What is measured: contract/results.py.

A profile of the layers' times is taken the same way, apart from it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from agent import bench_inputs, decision, preflight
from agent.arena import Arena
from agent.dataplane import Dataplane, Served
from agent.errors import RecentTrafficError
from agent.jobs import RunningJob
from agent.loading import Deployment, Limits, start_worker
from agent.power import Meter
from agent.process import Launch, WorkerProcess
from agent.repository import Repository
from agent.telemetry import BoardDescription, CpuShare, MemoryFall, Sensors
from agent.trial import Trial, environment, measurement
from agent.uncancelled import whole
from agent.worker import wire
from contract.api import BenchRequest, LayerProfile, LayerTime, Measurement, ProfileRequest
from contract.profile import Profile
from contract.results import Environment
from contract.tuning import Preflight

QUIET_S = 60.0
SAMPLE_BYTES = 8  # int64 nanoseconds


@dataclass(frozen=True)
class Bencher:
    """Measures the models of one agent. `root`: where its settings and its power are read."""

    repository: Repository
    dataplane: Dataplane
    profile: Profile
    limits: Limits
    sensors: Sensors
    board: BoardDescription
    root: Path = Path("/")

    def look(self) -> Preflight:
        """What a bench would be measured under now. Takes a second: off the loop."""
        return preflight.look(self.sensors, self.root)

    def check(self, request: BenchRequest | ProfileRequest) -> None:
        """Before the job begins. NotFoundError; RecentTrafficError where the board is in use."""
        subject = self.dataplane.pick(request.model)
        # Whoever measures a temporary model has deployed it: its requests are their own.
        asked_at = self.dataplane.last_request_at(apart_from=subject if subject.temporary else None)
        quiet_s = time.monotonic() - asked_at if asked_at is not None else QUIET_S
        if quiet_s < QUIET_S and not request.interrupt:
            raise RecentTrafficError(
                f"the board served a request {quiet_s:.0f} s ago, and a bench would refuse the next ones",
                "wait for a quiet minute, or say --interrupt",
            )

    async def run(self, request: BenchRequest, job: RunningJob) -> Measurement:
        """Holds the board, measures, and puts everything back: also when it is cancelled or fails."""
        async with self._emptied(f"a bench of {request.model!r}", request.model, job) as (served, stopped):
            supervisor = served.supervisor
            launch = await supervisor.launch()
            found = await asyncio.to_thread(preflight.settings, self.root)
            before = await asyncio.to_thread(self.sensors.observe)
            trial = await self._measure(supervisor.deployment, launch, request, job)
            job.stage("putting things back")
        return measurement(
            supervisor.deployment, trial, self.board, self.profile.headline_memory, before, stopped, found
        )

    async def profile_layers(self, request: ProfileRequest, job: RunningJob) -> LayerProfile:
        """The same with the times of the layers. WorkerRefusedError (unsupported) where the runtime cannot tell."""
        async with self._emptied(f"a profile of {request.model!r}", request.model, job) as (served, _):
            deployment = served.supervisor.deployment
            arena = Arena(deployment.manifest.signature, 1)
            try:
                job.stage("loading")
                launch = await served.supervisor.launch()
                worker, loaded = await start_worker(deployment, launch, arena, self.limits)
                try:
                    job.stage("profiling")
                    message = {"op": "profile", "slot": 0, "runs": request.runs}
                    deadline_s = self.limits.start_timeout_s + request.runs * self.limits.request_timeout_s
                    layers = (await worker.request(message, deadline_s))["layers"]
                finally:
                    await whole(worker.kill())
            finally:
                arena.close()
        return LayerProfile(
            model=request.model,
            bundle=deployment.bundle,
            runs=request.runs,
            layers=tuple(LayerTime(name=name, mean_ms=mean_ms) for name, mean_ms in layers),
            runtime=deployment.manifest.runtime.key,
            runtime_version=loaded.runtime_version,
        )

    @asynccontextmanager
    async def _emptied(self, holder: str, model: str, job: RunningJob) -> AsyncIterator[tuple[Served, list[str]]]:
        """Holds the board; where memory or an accelerator is shared, nothing else runs: which models were stopped."""
        async with self.dataplane.board.held(holder, job.stage):
            served = self.dataplane.pick(model)
            job.stage("waiting for the requests in flight")
            for each in self.dataplane.models.values():
                await each.supervisor.drained()
            emptied = sorted(self.dataplane.models) if self.profile.shares_memory else []
            async with self.dataplane.stopped(emptied, holder) as stopped:
                yield served, stopped

    async def _measure(self, deployment: Deployment, launch: Launch, request: BenchRequest, job: RunningJob) -> Trial:
        """In a fresh worker, which is gone afterwards, as is its arena."""
        job.stage("preparing the inputs")
        sent = await asyncio.to_thread(self._sent, request, deployment)
        contents = sent or await asyncio.to_thread(bench_inputs.golden, deployment)
        arena = Arena(deployment.manifest.signature, len(contents), request.runs * SAMPLE_BYTES)
        fall = MemoryFall()
        try:
            await whole(asyncio.to_thread(bench_inputs.fill, arena, deployment, contents))
            meter = await asyncio.to_thread(Meter, self.root)
            await meter.rest(job.stage)
            job.stage("loading")
            fall.start()
            worker, loaded = await start_worker(deployment, launch, arena, self.limits)
            try:
                others = CpuShare(worker.pid)
                with meter.running() as counted:
                    reply = await self._runs(worker, arena, request, job, counted)
                load = others.others()
                fall.stop()
                # Of the worker as it was measured: its end frees what was swapped out of it, and lets the board cool.
                after = await asyncio.to_thread(self.sensors.observe)
                job.samples = bytes(arena.extra(request.runs * SAMPLE_BYTES))
                job.stage("deciding")
                decisions_ns = await self._decisions(worker, arena, deployment, sent)
            finally:
                await whole(worker.kill())
        finally:
            fall.stop()
            arena.close()
        return Trial(loaded, reply, fall, load, after, decisions_ns, meter.drawn)

    def _sent(self, request: BenchRequest, deployment: Deployment) -> list[bytes]:
        return bench_inputs.sent([self.repository.blobs.path(sha256) for sha256 in request.inputs], deployment)

    async def _runs(
        self, worker: WorkerProcess, arena: Arena, request: BenchRequest, job: RunningJob, counted: Callable[[], None]
    ) -> wire.Message:
        """`counted` is called whenever the worker tells that a run is done: those after it count."""

        def told(done: int, total: int) -> None:
            job.progress(done, total)
            if done >= 1:
                counted()

        job.stage("running")
        job.progress(0, request.runs)
        message = {"op": "bench", "runs": request.runs, "slots": len(arena.slots), "samples": arena.extra_offset}
        return await worker.request(message, self.limits.request_timeout_s, told)

    async def _decisions(
        self, worker: WorkerProcess, arena: Arena, deployment: Deployment, sent: list[bytes]
    ) -> tuple[int, ...]:
        """Nanoseconds from encoded image to decision, one per image that was sent, for a model that decides.

        The same steps in the same threads as a request's (agent/api/infer.py); the first image is taken twice, as its
        first time imports what the others find.
        """
        if deployment.score is None:
            return ()
        images = [content for content in sent if bench_inputs.is_image(content)]
        times_ns = []
        for image in images[:1] + images:
            began = time.perf_counter_ns()
            await self._decide(worker, arena, deployment, image)
            times_ns.append(time.perf_counter_ns() - began)
        return tuple(times_ns[1:])

    async def _decide(self, worker: WorkerProcess, arena: Arena, deployment: Deployment, image: bytes) -> None:
        slot = arena.slots[0]
        arena.inputs(slot)[0][:] = await asyncio.to_thread(decision.prepare, deployment.manifest, image)
        await worker.request({"op": "infer", "slot": slot.index}, self.limits.request_timeout_s)
        await asyncio.to_thread(decision.judge, deployment, arena.inputs(slot), arena.outputs(slot))

    def environment(self, name: str) -> Environment:
        """Of a deployed model, now: for what is measured from outside. ModelNotReadyError where it is not loaded."""
        supervisor = self.dataplane.pick(name).supervisor
        if supervisor.loaded is None:
            raise supervisor.not_ready()
        return environment(supervisor.deployment, supervisor.loaded, self.board, self.sensors.observe(), None)
