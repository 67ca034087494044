"""What one source gives, and how several become one. A figure is known, or `unmet` has the reason; never both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from contract.api import NOT_FOR_THIS_BOARD

Asked = ParamSpec("Asked")
Figure = TypeVar("Figure")


@dataclass(frozen=True)
class Readings:
    """What a source read; a figure it does not know of stays None and out of `unmet`.

    cpu_percent        of all CPUs together, 0..100      gpu_percent   likewise
    nvmap_used_bytes   what a Jetson's GPU driver has allocated of the board's memory
    power_mode         what the board calls it; where it has no such thing, the CPUs' clock governor
    temperatures_c     by sensor                         power_mw      by rail; one may be part of another
    clocks_mhz         by clock ("cpu0", "gpu")          clock_limits_mhz   the highest each may have now
    clocks_held        whether the clocks are set to stand still, not to follow the load
    throttle_events    a counter that only grows while the board is being throttled
    heat_is_counted    whether it grows by heat too: elsewhere that is known by `throttled_by` alone
    throttled_by       what holds clocks down at this moment, by the kernel's names
    unmet              by figure, or "temperatures_c.NAME" for one sensor: why it could not be read
    """

    cpu_percent: float | None = None
    gpu_percent: float | None = None
    memory_total_bytes: int | None = None
    memory_available_bytes: int | None = None
    swap_used_bytes: int | None = None
    nvmap_used_bytes: int | None = None
    power_mode: str | None = None
    clocks_held: bool | None = None
    throttle_events: int | None = None
    heat_is_counted: bool = False
    throttled_by: tuple[str, ...] | None = None
    temperatures_c: dict[str, float] = field(default_factory=dict)
    clocks_mhz: dict[str, float] = field(default_factory=dict)
    clock_limits_mhz: dict[str, float] = field(default_factory=dict)
    power_mw: dict[str, float] = field(default_factory=dict)
    unmet: dict[str, str] = field(default_factory=dict)


class Source(Protocol):
    """One file of this folder: opened on a root folder (`board.SOURCES`), read as often as one likes, in any thread."""

    def read(self) -> Readings: ...


_TABLES = ("temperatures_c", "clocks_mhz", "clock_limits_mhz", "power_mw")
_FIGURES = tuple(each.name for each in fields(Readings) if each.name not in (*_TABLES, "unmet"))


def combine(parts: Sequence[Readings]) -> Readings:
    """All sources as one: the first that knows a figure gives it; what none knows has the first reason.

    `clocks_held` and `throttled_by` are of all clocks, and each source tells of its own (CPU, GPU, Edge TPU): see
    `_all_held` and `_all_throttling`. `heat_is_counted` is of the source that gives the counter.
    """
    known: dict[str, Any] = {
        figure: next((value for part in parts if (value := getattr(part, figure)) is not None), None)
        for figure in _FIGURES
    }
    known["clocks_held"] = _all_held(parts)
    known["throttled_by"] = _all_throttling(parts)
    known["heat_is_counted"] = next((part.heat_is_counted for part in parts if part.throttle_events is not None), False)
    for table in _TABLES:
        known[table] = {key: value for part in reversed(parts) for key, value in getattr(part, table).items()}
    unmet = {
        name: reason for part in reversed(parts) for name, reason in part.unmet.items() if not _is_known(name, known)
    }
    explained = {name.partition(".")[0] for name in unmet}
    unmet |= {
        name: NOT_FOR_THIS_BOARD for name, value in known.items() if value in (None, {}) and name not in explained
    }
    return Readings(**known, unmet=unmet)


def _all_held(parts: Sequence[Readings]) -> bool | None:
    """No where one source says no; yes where one says yes and none had to leave it open; else it is not known."""
    said = [part.clocks_held for part in parts]
    if False in said:
        return False
    return True if True in said and not any("clocks_held" in part.unmet for part in parts) else None


def _all_throttling(parts: Sequence[Readings]) -> tuple[str, ...] | None:
    """What any source names; nothing where none does and none had to leave it open; else it is not known."""
    said = [part.throttled_by for part in parts if part.throttled_by is not None]
    named = tuple(dict.fromkeys(name for names in said for name in names))
    if named:
        return named
    return () if said and not any("throttled_by" in part.unmet for part in parts) else None


def _is_known(name: str, known: dict[str, Any]) -> bool:
    figure, _, sensor = name.partition(".")
    return sensor in known[figure] if sensor else known[figure] not in (None, {})


def attempt(
    unmet: dict[str, str],
    figures: str | tuple[str, ...],
    read: Callable[Asked, Figure],
    *args: Asked.args,
    **options: Asked.kwargs,
) -> Figure | None:
    """What `read` returns; or None, with what it says (OSError, ValueError) as the reason of each of `figures`."""
    try:
        return read(*args, **options)
    except (OSError, ValueError) as error:
        unmet.update(dict.fromkeys((figures,) if isinstance(figures, str) else figures, str(error)))
        return None


def read_text(path: Path) -> str:
    """A file of /proc or /sys. Device names there are bytes of any kind."""
    return path.read_text(encoding="utf-8", errors="replace")
