"""Which of the board's Pythons offers which runtime, and so how a worker is started."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import IO

from agent import worker_folder
from agent.errors import NotFoundError
from agent.process import Launch
from contract.api import RuntimeInfo
from contract.profile import Profile

PROBE_DEADLINE_S = 60.0
"""At least: a board whose libraries are slow to read has more (its profile's start_timeout_s)."""
OWN = "agent"
_LONGEST_LINE = 1 << 16


class Pythons:
    """The interpreters a profile names, probed when first asked for, and again where a runtime was not offered."""

    def __init__(self, profile: Profile, data_dir: Path) -> None:
        self._profile = profile
        self._folder = worker_folder.install(data_dir)
        self._environment = worker_folder.environment(profile.worker_environment)
        self._deadline_s = max(PROBE_DEADLINE_S, profile.start_timeout_s)
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
        offers = [info for info in found if info.key == runtime]
        for info in offers:
            if info.unavailable is None:
                return self._launch(info.python)
        self._probing = None  # it may be installed by the time it is asked for again
        if not offers:
            raise NotFoundError.nearest("runtime", runtime, known)
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
            return _runtimes(python, self._profile.runtime, await self._ask(python))
        except TimeoutError:  # an OSError too
            reason = f"its probe took more than {self._deadline_s:g} s"
        except (OSError, ValueError) as error:
            reason = str(error)
        return [RuntimeInfo(key=self._profile.runtime, python=python, unavailable=reason)]

    async def _ask(self, python: str) -> bytes:
        """The last line of what the probe prints. OSError, TimeoutError; ValueError where it fails."""
        launch = self._launch(python)
        # Files, not pipes: whatever the probe starts may hold a pipe open, and asyncio would wait for its end.
        with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as complaints:
            process = await asyncio.create_subprocess_exec(
                *launch.command("probe", f"--parent={os.getpid()}"),
                cwd=launch.folder,
                env=launch.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=printed,
                stderr=complaints,
                start_new_session=True,
            )
            try:
                async with asyncio.timeout(self._deadline_s):
                    status = await process.wait()
            finally:
                if process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):  # it was quicker
                        os.killpg(process.pid, signal.SIGKILL)
                    await process.wait()
            if status != 0:
                raise ValueError(f"its probe {_in_words(status)}: {_last_line(complaints).decode(errors='replace')}")
            return _last_line(printed)


def _runtimes(python: str, wanted: str, answer: bytes) -> list[RuntimeInfo]:
    """What a probe's answer says (agent/worker/__main__.py). ValueError where it is none."""
    try:
        found = json.loads(answer)
        version = str(found["python"])
        if "unavailable" in found:
            reason = str(found["unavailable"])
            return [RuntimeInfo(key=wanted, python=python, python_version=version, unavailable=reason)]
        return [
            RuntimeInfo.model_validate({"python": python, "python_version": version, **runtime})
            for runtime in found["runtimes"]
        ]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"its probe answered {answer[:80]!r}") from error


def _in_words(status: int) -> str:
    return f"ended with status {status}" if status >= 0 else f"crashed ({signal.Signals(-status).name})"


def _last_line(file: IO[bytes]) -> bytes:
    size = os.fstat(file.fileno()).st_size
    end = os.pread(file.fileno(), _LONGEST_LINE, max(0, size - _LONGEST_LINE))
    return b"".join(end.splitlines()[-1:])
