"""The sensors of one board: the sources its profile names, read as one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from agent.telemetry.apex import Apex
from agent.telemetry.jetson import Jetson
from agent.telemetry.procfs import Procfs
from agent.telemetry.readings import Readings, Source, combine
from agent.telemetry.thermal import Thermal
from contract.api import Telemetry
from contract.profile import BrokenProfileError
from contract.results import Conditions

SOURCES: dict[str, Callable[[Path], Source]] = {"procfs": Procfs, "jetson": Jetson, "apex": Apex, "thermal": Thermal}
"""By the name of its file, which is what a profile's `sensors` say."""


@dataclass(frozen=True)
class Observation:
    """The board at one moment of a bench: what its row says, and what `validity.judge` goes by besides.

    `unmet` has, for each null of `conditions`, of `clocks_held`, `throttle_events` and `throttled_by`, the reason.
    """

    conditions: Conditions
    clocks_held: bool | None
    throttle_events: int | None
    unmet: dict[str, str]
    throttled_by: tuple[str, ...] | None = ()
    clock_limits_mhz: dict[str, float] = field(default_factory=dict)
    heat_is_counted: bool = False


class Sensors:
    """A board's sensors, to be read from any thread. A read takes some milliseconds on a board with many: off the loop.

    Missing sensors raise nothing: the figure is null (or not in its table) and `unmet` has the reason.
    """

    def __init__(self, sources: tuple[Source, ...]) -> None:
        self._sources = sources

    def read(self) -> Telemetry:
        """The board now, for ``GET /v1/telemetry`` and ``/stats``."""
        readings = self._readings()
        return Telemetry(
            cpu_percent=readings.cpu_percent,
            memory_total_bytes=readings.memory_total_bytes,
            memory_available_bytes=readings.memory_available_bytes,
            swap_used_bytes=readings.swap_used_bytes,
            temperatures_c=readings.temperatures_c,
            clocks_mhz=readings.clocks_mhz,
            power_mode=readings.power_mode,
            gpu_percent=readings.gpu_percent,
            nvmap_used_bytes=readings.nvmap_used_bytes,
            power_mw=readings.power_mw,
            throttle_events=readings.throttle_events,
            throttled_by=readings.throttled_by,
            unmet=_reasons(readings, set(Telemetry.model_fields)),
        )

    def observe(self) -> Observation:
        """The board right before a bench, or right after its runs."""
        readings = self._readings()
        return Observation(
            conditions=Conditions(
                power_mode=readings.power_mode,
                temperatures_c=readings.temperatures_c,
                clocks_mhz=readings.clocks_mhz,
                swap_used_bytes=readings.swap_used_bytes,
                power_mw=readings.power_mw,
                nvmap_used_bytes=readings.nvmap_used_bytes,
                throttle_events=readings.throttle_events,
            ),
            clocks_held=readings.clocks_held,
            throttle_events=readings.throttle_events,
            throttled_by=readings.throttled_by,
            clock_limits_mhz=readings.clock_limits_mhz,
            heat_is_counted=readings.heat_is_counted,
            unmet=_reasons(readings, {*Conditions.model_fields, "clocks_held", "throttled_by"}),
        )

    def _readings(self) -> Readings:
        return combine([source.read() for source in self._sources])


def open_sensors(sensors: tuple[str, ...], root: Path | str = "/") -> Sensors:
    """The sources a profile's `sensors` name, in its order: of two that know a figure the first gives it.

    BrokenProfileError where there is no such source.
    """
    for name in sensors:
        if name not in SOURCES:
            raise BrokenProfileError(f"sensors: there is no source {name!r}; there are {', '.join(sorted(SOURCES))}")
    return Sensors(tuple(SOURCES[name](Path(root)) for name in sensors))


def _reasons(readings: Readings, figures: set[str]) -> dict[str, str]:
    return {name: reason for name, reason in readings.unmet.items() if name.partition(".")[0] in figures}
