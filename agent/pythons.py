"""Which of the board's Pythons offers which runtime, and so how a worker is started."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from agent import worker_folder
from agent.errors import NotFoundError
from agent.process import Launch
from contract.api import RuntimeInfo
from contract.profile import Profile

PROBE_DEADLINE_S = 60.0
OWN = "agent"


class Pythons:
    """The interpreters a profile names, probed once, when first asked for."""

    def __init__(self, profile: Profile, data_dir: Path) -> None:
        self._profile = profile
        self._folder = worker_folder.install(data_dir)
        self._environment = worker_folder.environment(profile.worker_environment)
        self._probing: asyncio.Task[tuple[RuntimeInfo, ...]] | None = None

    async def runtimes(self) -> tuple[RuntimeInfo, ...]:
        """Every runtime of every Python, in the profile's order, or why it is not offered."""
        if self._probing is None:
            self._probing = asyncio.create_task(self._probe_all())
        return await asyncio.shield(self._probing)

    async def launch(self, runtime: str) -> Launch:
        """Starts workers under the first Python that offers `runtime`. NotFoundError says what each lacks."""
        found = await self.runtimes()
        known = sorted({info.key for info in found})
        if runtime not in known:
            raise NotFoundError.nearest("runtime", runtime, known)
        offers = [info for info in found if info.key == runtime]
        for info in offers:
            if info.unavailable is None:
                return self._launch(info.python)
        raise NotFoundError(
            f"no Python of this board offers the runtime {runtime!r}: "
            + "; ".join(f"{info.python}: {info.unavailable}" for info in offers),
            "install it for one of them; `agent worker-probe` shows what each offers",
            "runtime_missing",
        )

    def _launch(self, python: str) -> Launch:
        return Launch(python, self._folder, self._environment)

    async def _probe_all(self) -> tuple[RuntimeInfo, ...]:
        pythons = [sys.executable if name == OWN else name for name in self._profile.pythons]
        probed = await asyncio.gather(*(self._probe(python) for python in pythons))
        return tuple(info for infos in probed for info in infos)

    async def _probe(self, python: str) -> list[RuntimeInfo]:
        try:
            answer = await self._ask(python)
        except (OSError, TimeoutError, ValueError) as error:
            return [
                RuntimeInfo(key=self._profile.runtime, python=python, unavailable=str(error) or "no answer in time")
            ]
        version = str(answer.get("python"))
        if "unavailable" in answer:
            reason = str(answer["unavailable"])
            return [RuntimeInfo(key=self._profile.runtime, python=python, python_version=version, unavailable=reason)]
        return [RuntimeInfo(python=python, python_version=version, **runtime) for runtime in answer["runtimes"]]

    async def _ask(self, python: str) -> dict[str, Any]:
        launch = self._launch(python)
        process = await asyncio.create_subprocess_exec(
            *launch.command("probe"),
            cwd=launch.folder,
            env=launch.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            output, complaints = await asyncio.wait_for(process.communicate(), PROBE_DEADLINE_S)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        if process.returncode != 0:
            last = complaints.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise ValueError(f"its probe ended with {process.returncode}: {''.join(last)}")
        # Libraries print to stdout as they like: the answer is the last line.
        answer: dict[str, Any] = json.loads(output.splitlines()[-1])
        return answer
