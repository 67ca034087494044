"""What a bench draws: the board at rest first, then while the model runs. What it means: contract/results.py.

At rest is after other models have been stopped and before this one is loaded: energy above idle is then what having the
model infer costs, a GPU that is kept awake for it included. Nothing is waited for where no rail can be read.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.telemetry.input_rail import find_input_rail
from agent.telemetry.power_samples import INTERVAL_S, PowerSamples
from agent.telemetry.readings import attempt
from contract.results import Power

REST_S = 3.0
"""Thirty samples: a daemon that wakes once a second is in their mean."""


@dataclass(frozen=True)
class Drawn:
    """Milliwatts, and for each that is null, by its key, the reason."""

    power: Power
    unmet: dict[str, str]


class Meter:
    """Of one bench: `rest()`, then `running()` around the runs, then `drawn`. Made off the loop: the rail is read."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._unmet = dict.fromkeys(("power_mw.idle", "power_mw.run"), "the bench did not come so far")
        self._rail = attempt(self._unmet, tuple(self._unmet), find_input_rail, root)
        self._mean_mw: dict[str, float | None] = {}

    async def rest(self, on_stage: Callable[[str], None]) -> None:
        """Watches the board that does nothing, for as long as it takes to tell."""
        if self._rail is None:
            return
        on_stage("measuring the power of the board at rest")
        with self._watched("power_mw.idle") as begin:
            begin()
            await asyncio.sleep(REST_S)

    def running(self) -> AbstractContextManager[Callable[[], None]]:
        """Around the runs. What it gives is to be called once the first of them is done: it is watched from there on.

        It may be called again and again.
        """
        return self._watched("power_mw.run")

    @contextmanager
    def _watched(self, key: str) -> Iterator[Callable[[], None]]:
        """Gives what begins it."""
        if self._rail is None:
            yield lambda: None
            return
        samples = PowerSamples(self._rail.read_mw, INTERVAL_S)
        try:
            yield samples.start
        finally:
            samples.stop()
        self._mean_mw[key] = samples.mean_mw
        if samples.unmet:
            self._unmet[key] = samples.unmet
        else:
            del self._unmet[key]

    @property
    def drawn(self) -> Drawn:
        return Drawn(
            Power(idle=self._mean_mw.get("power_mw.idle"), run=self._mean_mw.get("power_mw.run")), dict(self._unmet)
        )
