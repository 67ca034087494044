"""What an agent says of itself, its models and its board: contract models from the service's state."""

import asyncio
import os
import time
from collections.abc import Mapping

from agent.dataplane import Served
from agent.repository import Record
from agent.service import Service
from agent.telemetry.procfs import read_process_memory
from contract.api import AgentInfo, ModelInfo, ModelStats, Stats, Telemetry
from contract.version import API_VERSION, __version__


async def agent_info(service: Service) -> AgentInfo:
    """Who answers, and what its Pythons offer."""
    return AgentInfo(
        api_version=API_VERSION,
        version=__version__,
        profile=service.profile.name,
        started_at=service.started_at,
        runtimes=await service.pythons.runtimes(),
    )


def model_infos(service: Service) -> list[ModelInfo]:
    """Every deployed model, by name."""
    records = service.repository.records()
    return [_model_info(served, records.get(name)) for name, served in sorted(service.dataplane.models.items())]


def _model_info(served: Served, record: Record | None) -> ModelInfo:
    supervisor = served.supervisor
    deployment, manifest = supervisor.deployment, supervisor.deployment.manifest
    return ModelInfo(
        name=deployment.name,
        bundle=deployment.bundle,
        previous=record.previous if record else None,  # None: it is just being removed
        state=supervisor.state,
        reason=supervisor.reason,
        runtime=manifest.runtime.key,
        runtime_version=supervisor.loaded.runtime_version if supervisor.loaded else None,
        source_name=manifest.provenance.source_name,
        precision=manifest.provenance.precision,
        weights=manifest.weights,
        macs=manifest.macs,
        rate=manifest.rate,
        edge_tpu=manifest.edge_tpu,
        signature=manifest.signature,
        preprocessing=manifest.preprocessing,
        score=deployment.score,
        temporary=deployment.temporary,
    )


async def stats(service: Service) -> Stats:
    """``GET /stats``. Counters are read on the event loop, which writes them; /proc and /sys off it."""
    models = list(service.dataplane.models.values())
    pids = [pid for served in models if (pid := served.supervisor.pid)]
    board, rss_bytes = await asyncio.to_thread(_measured, service, [os.getpid(), *pids])
    return Stats(
        version=__version__,
        profile=service.profile.name,
        uptime_s=time.time() - service.started_at,
        held_by=service.dataplane.board.held_by,
        models=tuple(_model_stats(served, rss_bytes) for served in models),
        board=board,
        agent_rss_bytes=rss_bytes[os.getpid()],
    )


def _model_stats(served: Served, rss_bytes: Mapping[int, int | None]) -> ModelStats:
    supervisor = served.supervisor
    return ModelStats(
        name=served.name,
        state=supervisor.state,
        reason=supervisor.reason,
        requests=served.requests,
        failures=served.failures,
        rejected=served.rejected,
        in_flight=supervisor.in_flight,
        queue_length=len(supervisor.arena.slots),
        restarts=supervisor.restarts,
        latency=served.latency(),
        worker_pid=supervisor.pid,
        worker_rss_bytes=rss_bytes.get(supervisor.pid) if supervisor.pid else None,
    )


def _measured(service: Service, pids: list[int]) -> tuple[Telemetry, dict[int, int | None]]:
    return service.sensors.read(), {pid: _rss_bytes(pid) for pid in pids}


def _rss_bytes(pid: int) -> int | None:
    try:
        return read_process_memory(pid).rss_bytes
    except OSError:
        return None  # it has ended since
