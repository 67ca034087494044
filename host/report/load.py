"""What a bench under load says, in words, and the steps of a search as a table that grows."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from contract.results import BenchRow
from host.nanoseconds import NS_PER_MS
from host.report.values import figure, four_digits, percent

if TYPE_CHECKING:
    from host.load.step import Step

STEPS_HEAD = f"{'Parts/min':>11} {'Requests/s':>11} {'Deadline ms':>11} {'p99 ms':>9} {'Missed':>14}"


def step_line(step: "Step") -> str:
    """One line below STEPS_HEAD: what was tried, and whether p99 is within the deadline."""
    p99_ms = step.p99_ms()
    cells = (
        f"{60 * step.per_s:>11,.1f}",
        f"{step.per_s:>11,.4g}",
        f"{four_digits(step.deadline_ns / NS_PER_MS):>11}",
        f"{'n/a' if p99_ms is None else four_digits(p99_ms):>9}",
        f"{f'{step.missed:,} of {step.sent:,}':>14}",
    )
    return f"{' '.join(cells)}  {_verdict(step)}"


def _verdict(step: "Step") -> str:
    if step.within:
        return "kept, though this host was late" if step.host_was_late else "kept"
    return "not kept, by this host" if step.fails_by_the_host else "not kept"


def rate_in_words(per_s: float) -> str:
    """``20/s (1,200 parts per minute)``."""
    return f"{per_s:.4g}/s ({60 * per_s:,.0f} parts per minute)"


def in_words(seconds: float) -> str:
    """A duration, coarsely: 40 s, 5 min, 3 h."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.3g} h"


def load_in_words(rows: Sequence[BenchRow]) -> str:
    """What all the trials of one load come to."""
    loads = [row.load for row in rows if row.load is not None]
    found = [load for load in loads if load.highest_parts_per_minute is not None]
    told = found or loads
    deadlines = _range([load.deadline_ms for load in told], lambda ms: figure("load.deadline_ms", ms))
    if found:
        highest = _range([load.highest_parts_per_minute or 0.0 for load in found], lambda rate: f"{rate:,.0f}")
        share = "" if len(found) == len(loads) else f" in {len(found)} of {len(loads)} trials"
        return f"at most {highest} parts per minute with p99 within {deadlines}{share}"
    if any("load.highest_parts_per_minute" in row.unmet for row in rows):
        return f"at no rate tried is p99 within {deadlines}"
    missed = _range([load.missed_share for load in told], percent)
    offered = _range([load.offered_per_s for load in told], rate_in_words)
    return f"{missed} missed the deadline of {deadlines} at {offered}"


def _range(values: Sequence[float], in_words: Callable[[float], str]) -> str:
    """The least and the greatest, told once where they read the same."""
    least, greatest = in_words(min(values)), in_words(max(values))
    return least if least == greatest else f"{least} to {greatest}"
