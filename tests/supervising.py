"""Supervisors that are not started yet, with little patience."""

from pathlib import Path

import bundles
import running

from agent.loading import Limits
from agent.process import Launch
from agent.supervisor import Supervisor
from contract.api import ModelState

QUICK = Limits(queue_length=4, start_timeout_s=10.0, request_timeout_s=0.4)


def unstarted(folder: Path, bundle: bundles.Bundle, limits: Limits = QUICK, start: Launch | None = None) -> Supervisor:
    """Of `bundle`; `start`: how its workers are started."""
    return Supervisor(bundles.deployment(folder, bundle), bundles.finds(start or bundles.launch(folder)), limits)


async def ready_again(supervisor: Supervisor, restarts: int = 1) -> None:
    """Waits until it has come back so many times."""
    await running.until(lambda: supervisor.restarts == restarts and supervisor.state is ModelState.READY)
