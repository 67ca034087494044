"""All that one agent is made of, put together, started and ended."""

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field

from agent.activation import Activator
from agent.bench import Bencher
from agent.dataplane import Dataplane
from agent.errors import AgentError
from agent.exclusive import Board
from agent.jobs import Jobs
from agent.pythons import Pythons
from agent.repository import Repository
from agent.settings import Settings
from agent.supervisor import Limits
from agent.telemetry import Sensors, describe, open_sensors
from contract.profile import Profile, read_profile

_log = logging.getLogger(__name__)


@dataclass
class Service:
    """One agent. `restored` is set once the models of the last run are back, or have failed."""

    settings: Settings
    profile: Profile
    repository: Repository
    dataplane: Dataplane
    pythons: Pythons
    activator: Activator
    bencher: Bencher
    jobs: Jobs
    sensors: Sensors
    started_at: float = field(default_factory=time.time)
    restored: asyncio.Event = field(default_factory=asyncio.Event)
    _restoring: asyncio.Task[None] | None = None

    @classmethod
    def open(cls, settings: Settings) -> "Service":
        """Takes the data directory. StartError; BrokenProfileError, UnknownProfileError."""
        profile = read_profile(settings.profile)
        sensors = open_sensors(profile.sensors)
        repository = Repository(settings.data_dir, settings.max_file_bytes)
        dataplane = Dataplane(Board())
        limits = Limits(profile.queue_length, profile.start_timeout_s, profile.request_timeout_s)
        pythons = Pythons(profile, settings.data_dir)
        return cls(
            settings=settings,
            profile=profile,
            repository=repository,
            dataplane=dataplane,
            pythons=pythons,
            activator=Activator(repository, dataplane, pythons.launch, limits, profile.switching == "stop-first"),
            bencher=Bencher(repository, dataplane, profile, limits, sensors, describe(profile)),
            jobs=Jobs(),
            sensors=sensors,
        )

    def start(self) -> None:
        """Brings the models of the last run back, in the background."""
        self._restoring = asyncio.create_task(self._restore())

    async def close(self) -> None:
        """Ends jobs and workers, and lets the data directory go."""
        if self._restoring:
            self._restoring.cancel()
            await asyncio.gather(self._restoring, return_exceptions=True)
        await self.jobs.end()
        for served in self.dataplane.models.values():
            await served.supervisor.stop()
            served.supervisor.close()
        self.repository.close()

    async def _restore(self) -> None:
        try:
            for supervisor in await self.activator.restore():
                with contextlib.suppress(AgentError):  # it is FAILED and says why; the others come back all the same
                    await supervisor.start()
                _log.info("%s: %s", supervisor.deployment.name, supervisor.state)
        finally:
            self.restored.set()
        await self.pythons.runtimes()  # the first to ask need not wait for the probe
