"""Which rows are not to be compared: those of an invalid run, and those of a board that is not the same any more.

Invalid is a run during which the board was not what it is: `throttled`, `clocks_moved`, `swapped`; or that tells of the
host instead: `client_late`. The other flags tell of how a board is set up, or used: `other_load`, `clocks_not_fixed`,
`power_mode`, `on_battery`, `swap_in_use`. They are up for nearly every row of somebody's desktop and for all of them
alike, and what they do to latency shows in its spread between trials, which is what decides. `unstable` asks for
trials, which is what is compared. They are told, no more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from contract.results import BenchRow, Environment, Flag

INVALIDATING: frozenset[Flag] = frozenset({"throttled", "clocks_moved", "swapped", "client_late"})

_OF_THE_ENVIRONMENT: dict[str, Callable[[Environment], str | None]] = {
    "machine": lambda environment: environment.machine,
    "os_image": lambda environment: environment.os_image,
    "runtime": lambda environment: environment.runtime,
    "runtime_version": lambda environment: environment.runtime_version,
    "power_mode": lambda environment: environment.before.power_mode,
}
_OF_THE_BENCH: dict[str, Callable[[BenchRow], str | None]] = {
    "board": lambda row: row.board,
    "through": lambda row: row.through,
    "load.offered_per_s": lambda row: "none" if row.load is None else f"{row.load.offered_per_s:g}",
}
UNKNOWN = "not known"


@dataclass(frozen=True)
class Difference:
    """A field that is not the same in all rows, and the ids of those that have each of its values."""

    field: str
    rows: Mapping[str, tuple[str, ...]]


def invalid(row: BenchRow) -> tuple[Flag, ...]:
    """The flags for which it is not compared."""
    return tuple(flag for flag in row.flags if flag in INVALIDATING)


def differences(rows: Sequence[BenchRow]) -> tuple[Difference, ...]:
    """In what their boards, the environments there or the ways of measuring differ; empty where all are alike."""
    readers: dict[str, Callable[[BenchRow], str | None]] = dict(_OF_THE_BENCH)
    readers |= {field: partial(_read, read) for field, read in _OF_THE_ENVIRONMENT.items()}
    found = []
    for field, read in readers.items():
        values: dict[str, list[str]] = {}
        for row in rows:
            values.setdefault(read(row) or UNKNOWN, []).append(row.id)
        if len(values) > 1:
            found.append(Difference(field, {value: tuple(ids) for value, ids in values.items()}))
    return tuple(found)


def _read(read: Callable[[Environment], str | None], row: BenchRow) -> str | None:
    return None if row.environment is None else read(row.environment)


def in_words(difference: Difference, most: int = 3) -> str:
    """'power_mode is 15W of b01, b02 and 4 more, MAXN of c03'."""
    parts = []
    for value, ids in difference.rows.items():
        rest = f" and {len(ids) - most} more" if len(ids) > most else ""
        parts.append(f"{value} of {', '.join(ids[:most])}{rest}")
    return f"{difference.field} is {'; '.join(parts)}"
