"""Temporary models that nobody uses any more are removed: who deployed one may have been killed before removing it."""

import asyncio
import logging
import time
from dataclasses import dataclass

from agent.activation import Activator
from agent.dataplane import Dataplane, Served
from agent.jobs import Jobs

_CHECKS = 20  # in the time after which a model expires: it stays a twentieth longer at most
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Expiry:
    """`after_s`: how long a temporary model stays that no request, job or management call names."""

    dataplane: Dataplane
    jobs: Jobs
    activator: Activator
    after_s: float

    async def watch(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(self.after_s / _CHECKS)
            for name in [name for name in self.dataplane.models if self.is_due(name)]:
                try:
                    await self.activator.expire(name, self.is_due)
                except Exception:  # the outer edge of a task: nobody else would hear of it
                    _log.exception("%s has expired and could not be removed", name)

    def is_due(self, name: str) -> bool:
        """Whether a model of that name is there, and has expired."""
        served = self.dataplane.models.get(name)
        return served is not None and served.temporary and self._idle_s(served) >= self.after_s

    def _idle_s(self, served: Served) -> float:
        """A bench may take hours: the time counts from the end of what uses it."""
        now = time.monotonic()
        if served.supervisor.in_flight or self.jobs.of(served.name):
            served.named_at = now
        return now - served.named_at
