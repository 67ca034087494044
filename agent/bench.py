"""One trial: `runs` runs of batch 1 in a fresh worker, the board held. What is measured: contract/results.py."""

import asyncio
import time
from dataclasses import dataclass

from agent import bench_inputs, decision
from agent.arena import Arena
from agent.dataplane import Dataplane
from agent.errors import RecentTrafficError
from agent.jobs import RunningJob
from agent.process import Launch, WorkerProcess
from agent.repository import Repository
from agent.supervisor import Deployment, Limits, Loaded, start_worker
from agent.telemetry import (
    BoardDescription,
    CpuShare,
    MemoryFall,
    Observation,
    OtherLoad,
    Sensors,
    judge,
)
from agent.worker import wire
from contract.api import BenchRequest, Measurement
from contract.manifest import Manifest
from contract.profile import Profile
from contract.results import Environment, Memory

QUIET_S = 60.0
SAMPLE_BYTES = 8  # int64 nanoseconds


@dataclass(frozen=True)
class Trial:
    """What one fresh worker gave."""

    loaded: Loaded
    reply: wire.Message
    fall: MemoryFall
    other_load: OtherLoad
    decisions_ns: tuple[int, ...]


@dataclass(frozen=True)
class Bencher:
    """Measures the models of one agent."""

    repository: Repository
    dataplane: Dataplane
    profile: Profile
    limits: Limits
    sensors: Sensors
    board: BoardDescription

    def check(self, request: BenchRequest) -> None:
        """Before the job begins. NotFoundError; RecentTrafficError where the board is in use."""
        self.dataplane.pick(request.model)
        asked_at = self.dataplane.last_request_at()
        quiet_s = time.monotonic() - asked_at if asked_at is not None else QUIET_S
        if quiet_s < QUIET_S and not request.interrupt:
            raise RecentTrafficError(
                f"the board served a request {quiet_s:.0f} s ago, and a bench would refuse the next ones",
                "wait for a quiet minute, or say --interrupt",
            )

    async def run(self, request: BenchRequest, job: RunningJob) -> Measurement:
        """Holds the board, measures, and puts everything back: also when it is cancelled or fails."""
        async with self.dataplane.board.held(f"a bench of {request.model!r}", job.stage):
            supervisor = self.dataplane.pick(request.model).supervisor
            emptied = sorted(self.dataplane.models) if self.profile.shares_memory else []
            job.stage("waiting for the requests in flight")
            for served in list(self.dataplane.models.values()):
                await served.supervisor.drained()
            async with self.dataplane.stopped(emptied):
                before = await asyncio.to_thread(self.sensors.observe)
                trial = await self._measure(supervisor.deployment, supervisor.launch, request, job)
                after = await asyncio.to_thread(self.sensors.observe)
                return self._measurement(supervisor.deployment, trial, before, after, tuple(emptied))

    async def _measure(self, deployment: Deployment, launch: Launch, request: BenchRequest, job: RunningJob) -> Trial:
        """In a fresh worker, which is gone afterwards, as is its arena."""
        sent = [self.repository.blobs.path(sha256).read_bytes() for sha256 in request.inputs]
        contents = sent or await asyncio.to_thread(bench_inputs.golden, deployment)
        arena = Arena(deployment.manifest.signature, len(contents), request.runs * SAMPLE_BYTES)
        fall = MemoryFall()
        try:
            await asyncio.to_thread(bench_inputs.fill, arena, deployment, contents)
            job.stage("loading")
            fall.start()
            worker, loaded = await start_worker(deployment, launch, arena, self.limits)
            try:
                others = CpuShare(worker.pid)
                reply = await self._runs(worker, arena, request, job)
                load = others.others()
                fall.stop()
                job.samples = bytes(arena.extra(request.runs * SAMPLE_BYTES))
                job.stage("deciding")
                decisions_ns = await self._decisions(worker, arena, deployment.manifest, sent)
            finally:
                await worker.kill()
        finally:
            fall.stop()
            arena.close()
        return Trial(loaded, reply, fall, load, decisions_ns)

    async def _runs(self, worker: WorkerProcess, arena: Arena, request: BenchRequest, job: RunningJob) -> wire.Message:
        job.stage("running")
        job.progress(0, request.runs)
        message = {"op": "bench", "runs": request.runs, "slots": len(arena.slots), "samples": arena.extra_offset}
        return await worker.request(message, self.limits.request_timeout_s, job.progress)

    async def _decisions(
        self, worker: WorkerProcess, arena: Arena, manifest: Manifest, sent: list[bytes]
    ) -> tuple[int, ...]:
        """Nanoseconds from encoded image to decision, one per image that was sent, for a model that decides."""
        if manifest.score is None:
            return ()
        slot = arena.slots[0]
        times_ns = []
        for image in filter(bench_inputs.is_image, sent):
            began = time.perf_counter_ns()
            arena.inputs(slot)[0][:] = decision.prepare(manifest, image)
            await worker.request({"op": "infer", "slot": slot.index}, self.limits.request_timeout_s)
            decision.judge(manifest, arena.inputs(slot), arena.outputs(slot))
            times_ns.append(time.perf_counter_ns() - began)
        return tuple(times_ns)

    def _measurement(
        self, deployment: Deployment, trial: Trial, before: Observation, after: Observation, emptied: tuple[str, ...]
    ) -> Measurement:
        manifest, validity = deployment.manifest, judge(before, after, trial.other_load)
        memory = self._memory(trial)
        return Measurement(
            model=deployment.name,
            bundle=deployment.bundle,
            accelerator_ns_mean=trial.reply["accelerator_ns"],
            convert_ns_mean=None,
            decision_ns=trial.decisions_ns,
            memory=memory,
            environment=self._environment(deployment, trial.loaded, before, after),
            flags=validity.flags,
            stopped_models=emptied,
            unmet=_reasons(trial, memory, manifest) | before.unmet | after.unmet | validity.unmet,
        )

    def environment(self, name: str) -> Environment:
        """Of a deployed model, now: for what is measured from outside. ModelNotReadyError where it is not loaded."""
        supervisor = self.dataplane.pick(name).supervisor
        if supervisor.loaded is None:
            raise supervisor.not_ready()
        return self._environment(supervisor.deployment, supervisor.loaded, self.sensors.observe(), None)

    def _environment(
        self, deployment: Deployment, loaded: Loaded, before: Observation, after: Observation | None
    ) -> Environment:
        return self.board.environment(
            python=loaded.python_version,
            runtime=deployment.manifest.runtime.key,
            runtime_version=loaded.runtime_version,
            runtime_options=deployment.manifest.runtime.options,
            before=before.conditions,
            after=after.conditions if after else None,
        )

    def _memory(self, trial: Trial) -> Memory:
        loaded, run_peak = trial.loaded, trial.reply["run_peak_bytes"]
        system = self.profile.headline_memory == "system"
        peak = trial.fall.greatest_fall_bytes if system else _highest(loaded.load_peak_bytes, run_peak)
        return Memory(
            peak_memory_bytes=peak,
            model_peak_bytes=None if peak is None or loaded.baseline_bytes is None else peak - loaded.baseline_bytes,
            baseline_bytes=loaded.baseline_bytes,
            build_peak_bytes=None,
            load_peak_bytes=loaded.load_peak_bytes,
            run_peak_bytes=run_peak,
            accelerator_peak_bytes=None,
            system_delta_peak_bytes=trial.fall.greatest_fall_bytes,
        )


def _reasons(trial: Trial, memory: Memory, manifest: Manifest) -> dict[str, str]:
    """Why figures are null."""
    reasons = {
        "convert_ms.mean": "nothing to convert: the artifact takes and gives the types of the signature",
        "build_peak_bytes": "nothing was built on the board",
        "accelerator_peak_bytes": "the runtime holds no memory of an accelerator",
        **trial.reply["unmet"],
    }
    if trial.reply["accelerator_ns"] is None:
        reasons["accelerator_ms.mean"] = "the runtime cannot tell"
    if not trial.decisions_ns:
        scored = manifest.score is not None
        reasons["decision_ms.mean"] = "bench with --inputs DIR for it" if scored else "the model has no score"
    if memory.system_delta_peak_bytes is None and trial.fall.unmet:
        reasons["system_delta_peak_bytes"] = trial.fall.unmet
    return reasons


def _highest(*figures: int | None) -> int | None:
    return max((figure for figure in figures if figure is not None), default=None)
