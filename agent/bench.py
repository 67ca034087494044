"""One trial: `runs` runs of batch 1 in a fresh worker, the board held. What is measured: contract/results.py."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from agent import bench_inputs, decision
from agent.arena import Arena
from agent.dataplane import Dataplane
from agent.errors import InputError, RecentTrafficError
from agent.jobs import RunningJob
from agent.process import WorkerProcess
from agent.repository import Repository
from agent.supervisor import Limits, Loaded, Supervisor, start_worker
from agent.telemetry import BoardDescription, CpuShare, MemoryFall, Sensors, judge
from agent.worker import wire
from contract.api import BenchRequest, Measurement
from contract.manifest import Manifest
from contract.profile import Profile
from contract.results import Memory

QUIET_S = 60.0
MAX_INPUTS = 16
_SAMPLE_BYTES = 8


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
        """Before the job begins. NotFoundError, InputError; RecentTrafficError where the board is in use."""
        self.dataplane.pick(request.model)
        if len(request.inputs) > MAX_INPUTS:
            raise InputError(f"{len(request.inputs)} inputs were sent", f"a bench takes at most {MAX_INPUTS}, in turn")
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
                return await self._measure(supervisor, request, job, tuple(emptied))

    async def _measure(
        self, supervisor: Supervisor, request: BenchRequest, job: RunningJob, emptied: tuple[str, ...]
    ) -> Measurement:
        deployment, manifest = supervisor.deployment, supervisor.deployment.manifest
        contents = [self.repository.blobs.path(sha256).read_bytes() for sha256 in request.inputs]
        arena = Arena(manifest.signature, max(1, len(contents)), request.runs * _SAMPLE_BYTES)
        before = await asyncio.to_thread(self.sensors.observe)
        fall = MemoryFall()
        try:
            await asyncio.to_thread(bench_inputs.fill, arena, manifest, contents, request.seed)
            fall.start()
            job.stage("loading")
            worker, loaded = await start_worker(deployment, supervisor.launch, arena, self.limits)
            try:
                others = CpuShare(worker.pid)
                reply = await self._runs(worker, arena, request, job)
                load = others.others()
                fall.stop()
                samples = arena.extra(request.runs * _SAMPLE_BYTES)
                job.samples = bytes(samples)
                decision_ns, undecided = await _decisions(worker, arena, manifest, contents, self.limits)
            finally:
                await worker.kill()
        finally:
            fall.stop()
            arena.close()
        after = await asyncio.to_thread(self.sensors.observe)
        memory, memory_unmet = self._memory(loaded, reply, fall)
        validity = judge(before, after, load)
        return Measurement(
            model=deployment.name,
            bundle=deployment.bundle,
            runs=request.runs,
            first_run_ns=int.from_bytes(job.samples[:_SAMPLE_BYTES], "little"),
            convert_ns_mean=None,
            accelerator_ns_mean=reply["accelerator_ns"],
            decision_ns=decision_ns,
            memory=memory,
            environment=self.board.environment(
                python=loaded.python_version,
                runtime=manifest.runtime.key,
                runtime_version=loaded.runtime_version,
                runtime_options=manifest.runtime.options,
                before=before.conditions,
                after=after.conditions,
            ),
            flags=validity.flags,
            stopped_models=emptied,
            unmet={
                "convert_ms": "nothing to convert: the artifact takes and gives the types of the signature",
                **({} if reply["accelerator_ns"] is not None else {"accelerator_ms": "the runtime cannot tell"}),
                **undecided,
                **memory_unmet,
                **before.unmet,
                **after.unmet,
                **validity.unmet,
            },
        )

    async def _runs(self, worker: WorkerProcess, arena: Arena, request: BenchRequest, job: RunningJob) -> wire.Message:
        job.stage("running")
        job.progress(0, request.runs)
        message = {
            "op": "bench",
            "runs": request.runs,
            "slots": len(arena.slots),
            "samples": arena.extra_offset,
        }
        return await worker.request(message, self.limits.request_timeout_s, job.progress)

    def _memory(self, loaded: Loaded, reply: wire.Message, fall: MemoryFall) -> tuple[Memory, dict[str, str]]:
        process_peak = _highest(loaded.load_peak_bytes, reply["run_peak_bytes"])
        peak = process_peak if self.profile.headline_memory == "process" else fall.greatest_fall_bytes
        unmet = {"accelerator_peak_bytes": "the runtime holds no memory of an accelerator", **reply["unmet"]}
        unmet["build_peak_bytes"] = "nothing was built on the board"
        if fall.unmet:
            unmet["system_delta_peak_bytes"] = fall.unmet
        memory = Memory(
            peak_memory_bytes=peak,
            model_peak_bytes=None if peak is None or loaded.baseline_bytes is None else peak - loaded.baseline_bytes,
            baseline_bytes=loaded.baseline_bytes,
            load_peak_bytes=loaded.load_peak_bytes,
            run_peak_bytes=reply["run_peak_bytes"],
            accelerator_peak_bytes=None,
            system_delta_peak_bytes=fall.greatest_fall_bytes,
        )
        return memory, unmet


async def _decisions(
    worker: WorkerProcess, arena: Arena, manifest: Manifest, contents: Sequence[bytes], limits: Limits
) -> tuple[tuple[int, ...], dict[str, str]]:
    """Nanoseconds from encoded image to decision, one per image that was sent; or why there are none."""
    images = [content for content in contents if bench_inputs.is_image(content)]
    if manifest.score is None:
        return (), {"decision_ms": "the model has no score to decide by"}
    if not images:
        return (), {"decision_ms": "no image was given: bench with --inputs DIR"}
    slot = arena.slots[0]
    times_ns = []
    for image in images:
        began = time.perf_counter_ns()
        arena.inputs(slot)[0][:] = decision.prepare(manifest, image)
        await worker.request({"op": "infer", "slot": slot.index}, limits.request_timeout_s)
        decision.judge(manifest, arena.inputs(slot), arena.outputs(slot))
        times_ns.append(time.perf_counter_ns() - began)
    return tuple(times_ns), {}


def _highest(*figures: int | None) -> int | None:
    return max((figure for figure in figures if figure is not None), default=None)
