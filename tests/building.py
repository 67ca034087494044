"""An agent whose board builds what it loads, and what it has built."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import bundles
import rogue
from bundles import BUILDS, Bundle
from versions import Stages

from agent.jobs import RunningJob
from agent.service import Service
from contract.api import Activation, Build, Job

NONE_YET = "the board has none of this model yet"


def serving(data_dir: Path, models: dict[str, Bundle] | None = None, **options: Any) -> Any:
    """`start=None`: by the null runtime itself, and not by what stands in for it (rogue.py)."""
    return bundles.serving(data_dir, models, **{"build": BUILDS, "start": rogue.obedient(data_dir), **options})


async def deployed(
    service: Service, bundle: Bundle, name: str = "m", stages: Stages | None = None, **options: bool
) -> Build:
    """How it came to what it serves now."""
    wanted = bundles.put(service.repository, bundle)
    activation = await service.activator.activate(name, wanted, stages or Stages(), **options)
    assert activation.build
    return activation.build


def work(service: Service, bundle: Bundle) -> Callable[[RunningJob], Coroutine[Any, Any, Activation]]:
    """A deploy, as the API begins it."""
    wanted = bundles.put(service.repository, bundle)

    async def activate(job: RunningJob) -> Activation:
        return await service.activator.activate("m", wanted, job.stage, job.line)

    return activate


async def states(service: Service, job_id: str) -> list[Job]:
    """Each that the job was seen in, until it is over."""
    seen = [service.jobs.get(job_id).state]
    while not seen[-1].is_over:
        seen.append(await service.jobs.get(job_id).changed_since(seen[-1].revision, 10))
    return seen


def engines(data_dir: Path) -> list[Path]:
    """The folders of those that are whole."""
    return sorted(path.parent for path in data_dir.glob("engines/*/made.json"))
