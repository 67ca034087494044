"""The figures that an objective or a condition may name: the keys of a row, their units, and which way is better."""

import difflib
import math
import re
from collections.abc import Mapping
from typing import Literal

from contract.results import DESCRIPTION_KEYS, FIGURE_KEYS
from host.errors import InputError

Better = Literal["lower", "higher"]

HIGHER_IS_BETTER = frozenset({"auc", "float_auc", "rate", "load.offered_per_s", "load.highest_parts_per_minute"})
"""Of all others (times, bytes, energy, what is lost or counted) less is better."""

ACCURACY_KEYS = frozenset({"auc", "auc_drop", "float_auc", "float_auc_drop"})

OF_THE_ARTIFACT = frozenset(
    {"weights", "macs", "rate", "on_chip_bytes", "streamed_bytes", "operators_on_cpu", "counted_runs"}
    | {"load.offered_per_s", "load.deadline_ms"}
)
"""Counted or set, not measured: no interval is needed, of each trial it is as it is."""

_TIMES_MS = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ms": 1.0, "s": 1e3, "min": 6e4}
_BYTES = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
_ENERGIES_MJ = {"uJ": 1e-3, "µJ": 1e-3, "μJ": 1e-3, "mJ": 1.0, "J": 1e3}
_POWERS_MW = {"mW": 1.0, "W": 1e3}
_SHARES = {"%": 0.01}
_PER_S = {"/s": 1.0, "/min": 1 / 60, "/h": 1 / 3600}
_PER_MINUTE = {"/min": 1.0, "/s": 60.0, "/h": 1 / 60}
_COUNTS = {"k": 1e3, "M": 1e6, "G": 1e9}
_ANY_CASE = (_TIMES_MS, _BYTES)
"""No two of these units differ in their case alone; of the others do: an mJ is no MJ."""

_QUANTITY = re.compile(r"([+-]?(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*(\S*)", re.ASCII)


def find_key(name: str) -> str:
    """The key itself. InputError names the nearest where there is none."""
    if name in FIGURE_KEYS:
        return name
    if name in DESCRIPTION_KEYS:
        raise InputError(
            f"{name!r} says which row it is, and is no figure", f"take one of {', '.join(FIGURE_KEYS)}", "unknown_key"
        )
    near = (
        [key for key in FIGURE_KEYS if name and key.startswith(name) and key.endswith(".mean")][:1]
        or difflib.get_close_matches(name, FIGURE_KEYS, n=1)
        or [key for key in FIGURE_KEYS if name and name in key][:1]
    )
    raise InputError(
        f"no row has a figure {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
        f"there is {', '.join(FIGURE_KEYS)}",
        "unknown_key",
    )


def better(key: str) -> Better:
    """Which way a figure is better, where nothing else is said."""
    return "higher" if key in HIGHER_IS_BETTER else "lower"


def units(key: str) -> Mapping[str, float]:
    """The units that a figure may be given in, and what one of each is in the key's own."""
    if "_ms" in key:
        return _TIMES_MS
    if key.endswith("_bytes"):
        return _BYTES
    if "_mj" in key:
        return _ENERGIES_MJ
    if "_mw" in key:
        return _POWERS_MW
    if key in ACCURACY_KEYS or key in ("rate", "load.missed_share"):
        return _SHARES
    return {"load.offered_per_s": _PER_S, "load.highest_parts_per_minute": _PER_MINUTE}.get(key, _COUNTS)


def parse_quantity(key: str, text: str) -> float:
    """'300MiB' of 'model_peak_bytes' -> 314572800.0; without a unit it is in the key's own. InputError, for a share of
    more than 1 as well: a 90 that was meant as 90 % would be met by none, or by all.
    """
    known = units(key)
    match = _QUANTITY.fullmatch(text)
    if not match:
        raise InputError(
            f"{text!r} is no number for {key!r}",
            f"a number, and if you like a unit: {', '.join(known)}",
            "bad_quantity",
        )
    number, unit = float(match[1].replace("_", "")), match[2]
    factor = 1.0 if not unit else _factor(known, unit)
    if factor is None:
        raise InputError(
            f"{unit!r} is no unit of {key!r}", f"take {', '.join(known)}, or none: {_own_unit(key)}", "bad_unit"
        )
    if not math.isfinite(number * factor):
        raise InputError(f"{text!r} is more than any {key!r} can be", "take a smaller number", "bad_quantity")
    if known is _SHARES and abs(number * factor) > 1:
        in_percent = f", or give {number:g}%" if not unit and abs(number) <= 100 else ""
        raise InputError(
            f"{text!r} is more than any {key!r} can be",
            f"{'rates are' if key == 'rate' else 'it is'} {-1 if key.endswith('_drop') else 0} to 1{in_percent}",
            "bad_quantity",
        )
    return number * factor


def _factor(known: Mapping[str, float], unit: str) -> float | None:
    if unit in known or not any(known is kind for kind in _ANY_CASE):
        return known.get(unit)
    return {name.lower(): factor for name, factor in known.items()}.get(unit.lower())


def _own_unit(key: str) -> str:
    own = [unit for unit, factor in units(key).items() if factor == 1]
    return f"it is then in {own[0]}" if own else "it is then as the results have it"
