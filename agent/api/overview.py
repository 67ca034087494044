"""What an agent says of itself, its models and its board: contract models from the service's state."""

import os
import time

from agent.dataplane import Served
from agent.service import Service
from agent.telemetry.procfs import read_process_memory
from contract.api import AgentInfo, ModelInfo, ModelStats, Stats
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


def model_info(service: Service, served: Served) -> ModelInfo:
    """One deployed model."""
    supervisor = served.supervisor
    deployment, manifest = supervisor.deployment, supervisor.deployment.manifest
    return ModelInfo(
        name=deployment.name,
        bundle=deployment.bundle,
        previous=service.repository.record(deployment.name).previous,
        state=supervisor.state,
        reason=supervisor.reason,
        runtime=manifest.runtime.key,
        runtime_version=supervisor.loaded.runtime_version if supervisor.loaded else None,
        source_name=manifest.provenance.source_name,
        precision=manifest.provenance.precision,
        weights=manifest.weights,
        signature=manifest.signature,
        preprocessing=manifest.preprocessing,
        score=manifest.score,
    )


def stats(service: Service) -> Stats:
    """``GET /stats``. Reads /proc and /sys: off the event loop."""
    return Stats(
        version=__version__,
        profile=service.profile.name,
        uptime_s=time.time() - service.started_at,
        held_by=service.dataplane.board.held_by,
        models=tuple(_model_stats(served) for served in list(service.dataplane.models.values())),
        board=service.sensors.read(),
        agent_rss_bytes=_rss_bytes(os.getpid()),
    )


def _model_stats(served: Served) -> ModelStats:
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
        worker_rss_bytes=_rss_bytes(supervisor.pid) if supervisor.pid else None,
    )


def _rss_bytes(pid: int) -> int | None:
    try:
        return read_process_memory(pid).rss_bytes
    except OSError:
        return None  # it ended between the look at its state and this one
