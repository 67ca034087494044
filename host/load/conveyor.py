"""A conveyor as the user gives it: ``20/s``, ``1200/min``, a period like ``50ms``, or ``max``; and a deadline."""

import math
import re
from dataclasses import dataclass

from host.nanoseconds import NS_PER_S

MOST_PER_S = 10_000.0  # far above what one host can send, and any line
LEAST_PER_S = 1 / 3600
MOST_DEADLINE_S = 60.0
HIGHEST = "max"

_SECONDS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
_SPOKEN = re.compile(r"(?P<number>[^/]*?)\s*(?P<per>/?)\s*(?P<unit>ms|s|min|h)", re.ASCII)
_RATES_ARE = f"a rate is like 20/s or 1200/min, or a period like 50ms, or {HIGHEST}"
_DEADLINES_ARE = "a deadline is like 40ms or 0.5s"


@dataclass(frozen=True)
class Conveyor:
    """Parts per second, None: as many as the board can take; and seconds that each has, None: until the next comes."""

    per_s: float | None = None
    deadline_s: float | None = None

    def deadline_ns(self, per_s: float) -> int:
        """At this rate."""
        return round(NS_PER_S * (1 / per_s if self.deadline_s is None else self.deadline_s))


def read_conveyor(text: str) -> Conveyor:
    """Without a deadline. ValueError says what is wrong."""
    if text.strip() == HIGHEST:
        return Conveyor()
    number, per, unit = _spoken(text, _RATES_ARE)
    per_s = number / _SECONDS[unit] if per else 1 / (number * _SECONDS[unit])
    if not LEAST_PER_S <= per_s <= MOST_PER_S:
        raise ValueError(f"{text!r} is outside 1/h to {MOST_PER_S:,.0f}/s, what one host can send")
    return Conveyor(per_s)


def read_deadline(text: str) -> float:
    """Seconds. ValueError says what is wrong."""
    number, per, unit = _spoken(text, _DEADLINES_ARE)
    if per:
        raise ValueError(f"{text!r} is a rate: {_DEADLINES_ARE}")
    if number * _SECONDS[unit] > MOST_DEADLINE_S:
        raise ValueError(f"{text!r} is more than {MOST_DEADLINE_S:g} s, after which no reply is waited for")
    return number * _SECONDS[unit]


def _spoken(text: str, expected: str) -> tuple[float, str, str]:
    """The number, which is finite and above 0, whether it is per unit, and the unit."""
    found = _SPOKEN.fullmatch(text.strip())
    try:
        number = float(found["number"]) if found else math.nan
    except ValueError:
        number = math.nan
    if not found or math.isnan(number):
        raise ValueError(f"{text!r} is not understood: {expected}")
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{text!r} is not above 0 and finite: {expected}")
    if not math.isfinite(1 / number):  # a subnormal
        raise ValueError(f"{text!r} is too near to 0")
    return number, found["per"], found["unit"]
