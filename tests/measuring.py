"""A bench as a job of an agent, and what must be true after it."""

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

import running

from agent.jobs import RunningJob
from agent.service import Service
from contract.api import BenchRequest, Job, JobState, Measurement, ModelState

STAGES = ["waiting for the requests in flight", "preparing the inputs", "loading", "running", "deciding"]


def send(service: Service, content: bytes) -> str:
    """A file, as a host puts it."""
    sha256 = hashlib.sha256(content).hexdigest()
    if not service.repository.blobs.has(sha256):
        with service.repository.blobs.upload(sha256, len(content), 0) as upload:
            upload.write(content)
        service.repository.blobs.finish(sha256, len(content))
    return sha256


class Bench:
    """A job, and what it went through; `at` is called in each stage."""

    def __init__(self, service: Service, at: Callable[[str, RunningJob], object] = lambda *_: None, **request: Any):
        self.service = service
        self.stages: list[str] = []
        self._at = at
        request = {"model": "m", "runs": 5, **request}
        self.job_id = service.jobs.start("bench", request["model"], partial(self._work, BenchRequest(**request))).id

    async def _work(self, request: BenchRequest, job: RunningJob) -> Measurement:
        told = job.stage

        def stage(text: str) -> None:
            told(text)
            self.stages.append(text)
            self._at(text, job)

        job.stage = stage  # type: ignore[method-assign]  # to hear it too
        return await self.service.bencher.run(request, job)

    async def over(self) -> Job:
        job = self.service.jobs.get(self.job_id)
        while not job.state.is_over:
            await job.changed_since(job.state.revision, 10)
        return job.state

    async def measured(self) -> Measurement:
        job = await self.over()
        assert job.measurement, job.error
        return job.measurement

    async def failed(self) -> str:
        job = await self.over()
        assert job.state is JobState.FAILED
        assert job.error
        assert job.error.hint
        return job.error.code


async def ask(service: Service, name: str) -> None:
    with service.dataplane.admit(service.dataplane.pick(name)) as admission:
        await admission.run()


async def all_is_back(service: Service) -> None:
    """Every model serves, by one worker each, and nobody holds the board."""
    assert service.dataplane.board.held_by is None
    for name, served in service.dataplane.models.items():
        assert served.supervisor.state is ModelState.READY, name
        assert served.supervisor.in_flight == 0
    await running.until(lambda: len(running.children()) == len(service.dataplane.models))
