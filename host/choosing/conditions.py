"""What is asked of a candidate: the figure to be best in, and the conditions it has to meet."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from host.choosing.keys import Better, better, find_key, parse_quantity
from host.errors import InputError

Basis = Literal["exact", "images and trials", "images", "trials", "one trial"]
"""What the interval of a figure is over.

exact              counted, not measured: the least and the most of all trials
images and trials  the paired bootstrap of an AUC (inspection/accuracy_difference.py)
images             the same of one trial: of another training it says nothing
trials             Student's t of the trials
one trial          no interval
"""

Verdict = Literal["passes", "fails", "undecided"]

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
}
_SPELLINGS = {"≤": "<=", "≥": ">="}
_CONDITION = re.compile(r"\s*([\w.]+)\s*(<=|>=|<|>|≤|≥)\s*([^<>=≤≥\s].*?)\s*")
_LIKE = "a condition is like 'auc_drop<=0.01' or 'model_peak_bytes<=300MiB', in quotes, with <=, <, >= or >"


@dataclass(frozen=True)
class Figure:
    """A candidate's figure in the unit of its key: the mean of its trials, and a 95 % interval where there is one."""

    value: float
    low: float | None
    high: float | None
    trials: int
    basis: Basis

    @property
    def interval(self) -> tuple[float, float] | None:
        return None if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True)
class Objective:
    """The figure to be best in."""

    key: str
    better: Better

    def cost(self, value: float) -> float:
        """Less is better."""
        return value if self.better == "lower" else -value


@dataclass(frozen=True)
class Constraint:
    """A condition; `bound` in the unit of its key, `text` as it was given."""

    key: str
    operator: str
    bound: float
    text: str

    def holds(self, value: float) -> bool:
        return _OPERATORS[self.operator](value, self.bound)

    @property
    def is_upper(self) -> bool:
        return self.operator in ("<=", "<")

    def shortfall(self, value: float) -> float:
        """By how much of its bound a value misses it; 0 where it does not."""
        over = value - self.bound if self.is_upper else self.bound - value
        return max(over, 0.0) / (abs(self.bound) or 1.0)


def parse_objective(text: str) -> Objective:
    """'latency_ms.mean', or 'max:KEY' and 'min:KEY' where the usual way round is not meant. InputError."""
    way, colon, name = text.strip().rpartition(":")
    if colon and way not in ("min", "max"):
        raise InputError(f"{text!r} is no objective", "it is a key, min:KEY or max:KEY", "bad_objective")
    key = find_key(name)
    ways: dict[str, Better] = {"min": "lower", "max": "higher"}
    return Objective(key, ways.get(way, better(key)))


def parse_constraint(text: str) -> Constraint:
    """'KEY<=NUMBER UNIT'. InputError names the nearest key, and the units that fit."""
    match = _CONDITION.fullmatch(text)
    if not match:
        raise InputError(f"{text!r} is no condition", _LIKE, "bad_constraint")
    key = find_key(match[1])
    return Constraint(key, _SPELLINGS.get(match[2], match[2]), parse_quantity(key, match[3]), text.strip())


def judge(constraint: Constraint, figure: Figure, point: bool = False) -> Verdict:
    """It passes when the worse end of the interval does, and fails when the better end does; between, nobody knows.

    `point`: by the estimate alone. Without an interval nothing else can tell.
    """
    if point:
        return "passes" if constraint.holds(figure.value) else "fails"
    if figure.interval is None:
        return "undecided"
    better_end, worse_end = figure.interval if constraint.is_upper else figure.interval[::-1]
    if constraint.holds(worse_end):
        return "passes"
    return "undecided" if constraint.holds(better_end) else "fails"
