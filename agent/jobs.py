"""Work that outlasts a request: an id, a state, progress to wait for, and a way to end it."""

import asyncio
import contextlib
import itertools
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Literal

from agent.errors import AgentError, ModelBusyError, NotFoundError
from contract.api import Activation, ErrorReply, Job, JobState, LayerProfile, Measurement

KEPT_JOBS = 50
KEPT_SAMPLE_BYTES = 64 << 20  # of all benches together: 8 million runs
KEPT_LINES = 50
Kind = Literal["activate", "bench", "profile"]
_log = logging.getLogger(__name__)


class RunningJob:
    """What the work itself sees: where it says how far it is."""

    def __init__(self, kind: Kind, model: str) -> None:
        self.state = Job(
            id=secrets.token_hex(6), kind=kind, model=model, state=JobState.PENDING, revision=0, stage="waiting"
        )
        self.samples: bytes | None = None
        self.task: asyncio.Task[Outcome] | None = None
        self._changed = asyncio.Event()

    def stage(self, text: str) -> None:
        self.update(state=JobState.RUNNING, stage=text)

    def progress(self, done: int, total: int) -> None:
        self.update(done=done, total=total)

    def line(self, text: str) -> None:
        """What a builder says: the last of it can be read."""
        lines = (*self.state.lines, text)[-KEPT_LINES:]
        self.update(lines=lines, line_count=self.state.line_count + 1)

    def update(self, **changes: object) -> None:
        self.state = self.state.model_copy(update={**changes, "revision": self.state.revision + 1})
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed_since(self, revision: int, wait_s: float) -> Job:
        """The job once its revision is above `revision` or it is over, or as it is after `wait_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while self.state.revision <= revision and not self.state.is_over:
                    await self._changed.wait()
        return self.state


Outcome = Activation | Measurement | LayerProfile
Work = Callable[[RunningJob], Awaitable[Outcome]]
_KEYS = {Activation: "activation", Measurement: "measurement", LayerProfile: "layer_profile"}


class Jobs:
    """The jobs of one agent: those under way, and the last that are over."""

    def __init__(self) -> None:
        self._jobs: dict[str, RunningJob] = {}

    def start(self, kind: Kind, model: str, work: Work) -> Job:
        """Starts `work` in the background. ModelBusyError while another job has the same model."""
        self.check_free(model)
        job = RunningJob(kind, model)
        self._jobs[job.state.id] = job
        self._forget_old()
        job.task = asyncio.create_task(_run(job, work))
        job.task.add_done_callback(lambda task: _settle(job, task))
        return job.state

    def check_free(self, model: str) -> None:
        """ModelBusyError while a job has `model`."""
        if job := self.of(model):
            raise ModelBusyError(
                f"{model!r} is being changed or measured: job {job.id} ({job.kind})",
                f"wait for it, or end it: DELETE /v1/jobs/{job.id}",
            )

    def of(self, model: str) -> Job | None:
        """The one that has `model`, where one has."""
        states = (job.state for job in self._jobs.values())
        return next((state for state in states if state.model == model and not state.is_over), None)

    def get(self, job_id: str) -> RunningJob:
        """NotFoundError where there is none, or none any more."""
        if job_id not in self._jobs:
            raise NotFoundError(
                f"there is no job {job_id!r}",
                f"jobs are kept until the agent ends, the last {KEPT_JOBS} of them",
                "unknown_job",
            )
        return self._jobs[job_id]

    def cancel(self, job_id: str) -> Job:
        """Asks it to end, once: it puts things back first, and a second request must not break that off."""
        job = self.get(job_id)
        if job.task and not job.task.done() and not job.task.cancelling():
            job.task.cancel()
        return job.state

    def cancel_all(self) -> None:
        for job_id in self._jobs:
            self.cancel(job_id)

    async def end(self) -> None:
        """Ends all, and waits until things are put back."""
        self.cancel_all()
        tasks = [job.task for job in self._jobs.values() if job.task]
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget_old(self) -> None:
        over = [job_id for job_id, job in self._jobs.items() if job.state.is_over]
        for job_id in itertools.islice(over, max(0, len(self._jobs) - KEPT_JOBS)):
            del self._jobs[job_id]
        sample_bytes = 0
        for job in reversed(self._jobs.values()):
            sample_bytes += len(job.samples or b"")
            if sample_bytes > KEPT_SAMPLE_BYTES:
                job.samples = None


async def _run(job: RunningJob, work: Work) -> Outcome:
    return await work(job)


def _settle(job: RunningJob, task: asyncio.Task[Outcome]) -> None:
    """From how a task ended to how its job did: also where it was cancelled before its first step."""
    if task.cancelled():
        job.update(state=JobState.CANCELLED)
        return
    error = task.exception()
    if error is None:
        outcome = task.result()
        job.update(state=JobState.DONE, stage="done", **{_KEYS[type(outcome)]: outcome})
    elif isinstance(error, AgentError):
        job.update(state=JobState.FAILED, error=ErrorReply(error=error.message, code=error.code, hint=error.hint))
    else:  # the outer edge of a task: nobody else would hear of it
        _log.error("job %s failed", job.state.id, exc_info=error)
        bug = ErrorReply(
            error=f"{type(error).__name__}: {error}",
            code="agent_bug",
            hint="the agent's log has the traceback: report it",
        )
        job.update(state=JobState.FAILED, error=bug)
