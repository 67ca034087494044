"""All that one agent is made of, put together, started and ended."""

import asyncio
import logging
import time
from dataclasses import dataclass, field

from agent.activation import Activator
from agent.bench import Bencher
from agent.building import Builder
from agent.dataplane import Dataplane
from agent.engines import Engines
from agent.exclusive import Board
from agent.expiry import Expiry
from agent.jobs import Jobs
from agent.loading import Limits
from agent.ownership import Ownership
from agent.pythons import Pythons
from agent.repository import Repository
from agent.settings import Settings
from agent.supervisor import Supervisor
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
    expiry: Expiry
    sensors: Sensors
    started_at: float = field(default_factory=time.time)
    restored: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: tuple[asyncio.Task[None], ...] = ()

    @classmethod
    def open(cls, settings: Settings) -> "Service":
        """Takes the data directory. StartError; BrokenProfileError, UnknownProfileError."""
        profile = read_profile(settings.profile)
        return cls.over(settings, profile, Pythons(profile, settings.data_dir))

    @classmethod
    def over(cls, settings: Settings, profile: Profile, pythons: Pythons) -> "Service":
        """The same for a board whose profile and Pythons are known already."""
        sensors = open_sensors(profile.sensors)
        repository = Repository(settings.data_dir, settings.max_file_bytes)
        dataplane = Dataplane(Board())
        limits = Limits(profile.queue_length, profile.start_timeout_s, profile.request_timeout_s)
        board = describe(profile)
        builder = Builder(Engines(settings.data_dir), dataplane, pythons.launch, profile.build, board.os_image)
        ownership = Ownership(profile.one_owner, dataplane, settings.data_dir / "accelerator")
        activator = Activator(
            repository, dataplane, builder, ownership, pythons.launch, limits, profile.switching == "stop-first"
        )
        jobs = Jobs()
        return cls(
            settings=settings,
            profile=profile,
            repository=repository,
            dataplane=dataplane,
            pythons=pythons,
            activator=activator,
            bencher=Bencher(repository, dataplane, profile, limits, sensors, board),
            jobs=jobs,
            expiry=Expiry(dataplane, jobs, activator, settings.temporary_idle_s),
            sensors=sensors,
        )

    def start(self) -> None:
        """Brings the models of the last run back, and has temporary ones expire, in the background."""
        self._tasks = asyncio.create_task(self._restore()), asyncio.create_task(self.expiry.watch())

    def begin_to_close(self) -> None:
        """Tells the jobs to end, and starts no worker any more: as soon as the end is known, and close() follows."""
        self.dataplane.closing = True
        self.jobs.cancel_all()

    async def close(self) -> None:
        """Ends jobs and workers, and lets the data directory go."""
        self.begin_to_close()
        try:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self.jobs.end()
            await asyncio.gather(*(_end(served.supervisor) for served in self.dataplane.models.values()))
        finally:
            self.repository.close()

    async def _restore(self) -> None:
        try:
            await self.activator.restore()
            self.restored.set()
            await self.pythons.runtimes()  # the first to ask need not wait for the probe
        except Exception:  # the outer edge of a task: nobody else would hear of it
            _log.exception("the models of the last run could not be brought back")
        finally:
            self.restored.set()


async def _end(supervisor: Supervisor) -> None:
    await supervisor.stop()
    supervisor.close()
