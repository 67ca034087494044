"""The management API, ``/v1``: contract/api.py has it as a table. Beside it ``/stats`` and ``/health``."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.types import Receive

from agent import tuning
from agent.api import body, overview
from agent.blobs import Upload
from agent.errors import ModelNotReadyError, NotFoundError
from agent.jobs import RunningJob
from agent.service import Service
from contract.api import (
    ActivateRequest,
    Activation,
    AgentInfo,
    BenchRequest,
    BundleStatus,
    Job,
    ModelInfo,
    ModelState,
    ProfileRequest,
    Stats,
    SwitchRequest,
    Telemetry,
    UploadStatus,
)
from contract.manifest import Manifest, ModelName, Sha256
from contract.results import Environment
from contract.tuning import Preflight, Tuning

Name = Annotated[ModelName, Path()]
Digest = Annotated[Sha256, Path()]


def routes(service: Service) -> APIRouter:
    """Every route but /infer."""
    router = APIRouter()
    for part in (_health, _tuning, _files, _models, _jobs):
        part(router, service)
    return router


def _health(router: APIRouter, service: Service) -> None:
    @router.get("/health/live")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @router.get("/health/ready")
    async def ready() -> dict[str, bool]:
        if not service.restored.is_set():
            raise ModelNotReadyError("the models of the last run are being loaded", "try again in a moment")
        for served in service.dataplane.models.values():
            supervisor = served.supervisor
            if supervisor.state is not ModelState.READY and not (served.temporary or supervisor.stands_down):
                raise ModelNotReadyError(f"{served.name!r} is {supervisor.state}", "GET /v1/models says why")
        return {"ready": True}

    @router.get("/stats")
    async def stats() -> Stats:
        return await overview.stats(service)

    @router.get("/v1/agent")
    async def agent() -> AgentInfo:
        return await overview.agent_info(service)

    @router.get("/v1/telemetry")
    async def telemetry() -> Telemetry:
        return await asyncio.to_thread(service.sensors.read)

    @router.get("/v1/preflight")
    async def preflight() -> Preflight:
        return await asyncio.to_thread(service.bencher.look)


def _tuning(router: APIRouter, service: Service) -> None:
    @router.get("/v1/tuning")
    async def look() -> Tuning:
        return await asyncio.to_thread(tuning.look)

    @router.post("/v1/tuning")
    async def tune() -> Tuning:
        """Takes nothing from the request: what is run is the agent's own list."""
        return await tuning.tune(service.dataplane.board)


def _files(router: APIRouter, service: Service) -> None:
    blobs = service.repository.blobs

    @router.post("/v1/bundles")
    async def offer(manifest: Manifest) -> BundleStatus:
        return await asyncio.to_thread(service.repository.offer, manifest)

    @router.get("/v1/blobs/{sha256}")
    async def status(sha256: Digest) -> UploadStatus:
        return blobs.status(sha256)

    @router.put("/v1/blobs/{sha256}")
    async def put(
        sha256: Digest, size: Annotated[int, Query(ge=0)], offset: Annotated[int, Query(ge=0)], request: Request
    ) -> UploadStatus:
        with blobs.upload(sha256, size, offset) as upload:
            await _take(upload, request.receive, service.settings.body_deadline_s)
        return await asyncio.to_thread(blobs.finish, sha256, size)


async def _take(upload: Upload, receive: Receive, idle_deadline_s: float) -> None:
    """What has come stays, however far it came: the upload can go on there. BodyTimeoutError, Disconnected."""
    stream = body.chunks(receive)
    while True:
        async with body.deadline(idle_deadline_s):
            chunk = await anext(stream, None)
        if chunk is None:
            return
        await asyncio.to_thread(upload.write, chunk)  # a card that is slow to write holds no request up


def _models(router: APIRouter, service: Service) -> None:
    activator = service.activator

    @router.get("/v1/models")
    async def models() -> list[ModelInfo]:
        return overview.model_infos(service)

    @router.put("/v1/models/{name}", status_code=202)
    async def activate(name: Name, request: ActivateRequest) -> Job:
        def work(job: RunningJob) -> Awaitable[Activation]:
            return activator.activate(
                name,
                request.bundle,
                job.stage,
                job.line,
                temporary=request.temporary,
                stop_others=request.stop_others,
                replace=request.replace,
            )

        return service.jobs.start("activate", name, work)

    @router.post("/v1/models/{name}/rollback", status_code=202)
    async def rollback(name: Name, request: SwitchRequest | None = None) -> Job:
        return again(name, activator.rollback, request or SwitchRequest())

    @router.post("/v1/models/{name}/load", status_code=202)
    async def load(name: Name, request: SwitchRequest | None = None) -> Job:
        return again(name, activator.load, request or SwitchRequest())

    def again(name: str, switch: Callable[..., Awaitable[Activation]], request: SwitchRequest) -> Job:
        service.repository.record(name)
        return service.jobs.start(
            "activate", name, lambda job: switch(name, job.stage, job.line, **request.model_dump())
        )

    @router.get("/v1/models/{name}/environment")
    async def environment(name: Name) -> Environment:
        return await asyncio.to_thread(service.bencher.environment, name)

    @router.delete("/v1/models/{name}", status_code=204)
    async def remove(name: Name) -> None:
        service.jobs.check_free(name)
        await activator.remove(name)


def _jobs(router: APIRouter, service: Service) -> None:
    jobs = service.jobs

    @router.post("/v1/benches", status_code=202)
    async def bench(request: BenchRequest) -> Job:
        service.bencher.check(request)
        return jobs.start("bench", request.model, partial(service.bencher.run, request))

    @router.post("/v1/profiles", status_code=202)
    async def profile(request: ProfileRequest) -> Job:
        service.bencher.check(request)
        return jobs.start("profile", request.model, partial(service.bencher.profile_layers, request))

    @router.get("/v1/jobs/{job_id}")
    async def job(
        job_id: str, wait_s: Annotated[float, Query(ge=0, le=30)] = 0, seen: Annotated[int, Query(ge=-1)] = -1
    ) -> Job:
        return await jobs.get(job_id).changed_since(seen, wait_s)

    @router.delete("/v1/jobs/{job_id}")
    async def cancel(job_id: str) -> Job:
        return jobs.cancel(job_id)

    @router.get("/v1/jobs/{job_id}/samples")
    async def samples(job_id: str) -> Response:
        measured = jobs.get(job_id).samples
        if measured is None:
            raise NotFoundError(f"job {job_id!r} has no samples", "only a bench that is done has", "no_samples")
        return Response(measured, media_type="application/octet-stream")
