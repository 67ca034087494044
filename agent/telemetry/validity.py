"""The flags that come of the bench itself: why it may not be what the board can do. A reader decides; none is dropped.

============  =============================================================================================
throttled     the board's counter of throttling grew, or clocks were held down right before the bench or right after
              its runs: by a cooling device, or by a trip point an Edge TPU was at, where its driver halves its clock.
              A high temperature or a low clock alone is no evidence. Intel's counter is of heat; a Jetson's of current
              alone, so that nothing is known there where the cooling devices cannot be read
clocks_moved  their setting changed between before and after (the power mode, the highest clock that is allowed,
              or whether they are set to stand still); or clocks that were set to stand still did not: the
              highest of the CPUs, or another clock, was more than 5 % away after the runs from before
swapped       more than 1 MiB more swap was in use after the runs, the worker still there, than before the bench
other_load    all processes but the measured ones used more than a tenth of a core. A run that waits for the
              slowest of its threads is then up to a tenth longer
============  =============================================================================================

Why clocks that follow the load are not judged here: before a bench and after its runs the board is idle, so two
readings of a scaling governor's clocks say nothing of the time between. That they follow the load is a setting, with a
remedy: of settings agent/preflight.py has the flags. What clocks may do at most is no reading but a setting, and
whether that is still the same is judged always. The row has the governor as its power mode.
The highest clock of a group is compared, as idle CPUs may be clocked lower.

Why a single event of throttling is told, though a Jetson Orin without caps has some at rest, each of a millisecond: how
many are too many depends on the run. The row has the counts of before and after.
"""

from dataclasses import dataclass

from agent.telemetry.board import Observation
from agent.telemetry.cpu_share import OtherLoad
from contract.results import Flag

CLOCK_TOLERANCE = 0.05
SWAP_TOLERANCE_BYTES = 1 << 20
OTHER_LOAD_CORES = 0.1


@dataclass(frozen=True)
class Validity:
    """Flags that are up, and for each that could not be judged, by "flags.NAME", the reason."""

    flags: tuple[Flag, ...]
    unmet: dict[str, str]


def judge(before: Observation, after: Observation, others: OtherLoad) -> Validity:
    """The flags of a bench between two observations of the board."""
    verdicts: dict[Flag, bool | str] = {
        "throttled": _throttled(before, after),
        "clocks_moved": _clocks_moved(before, after),
        "swapped": _swapped(before, after),
        "other_load": _other_load(others),
    }
    return Validity(
        flags=tuple(flag for flag, verdict in verdicts.items() if verdict is True),
        unmet={f"flags.{flag}": verdict for flag, verdict in verdicts.items() if isinstance(verdict, str)},
    )


def _throttled(before: Observation, after: Observation) -> bool | str:
    if before.throttled_by or after.throttled_by:
        return True
    if before.throttle_events is None or after.throttle_events is None:
        return _why("throttle_events", before, after)
    if after.throttle_events > before.throttle_events:
        return True
    if None in (before.throttled_by, after.throttled_by) and not after.heat_is_counted:
        return f"current alone is counted here, and of heat: {_why('throttled_by', before, after)}"
    return False


def _clocks_moved(before: Observation, after: Observation) -> bool | str:
    if _set_anew(before, after):
        return True
    if before.clocks_held is None or after.clocks_held is None:
        return _why("clocks_held", before, after)
    if not (before.clocks_held and after.clocks_held):
        mode = before.conditions.power_mode
        return f"clocks follow the load ({mode}): what they were during the bench is not known"
    then, now = _highest(before.conditions.clocks_mhz), _highest(after.conditions.clocks_mhz)
    if then.keys() != now.keys() or not then:
        return "not the same clocks could be read before and after"
    return any(abs(now[group] - mhz) > CLOCK_TOLERANCE * mhz for group, mhz in then.items())


def _set_anew(before: Observation, after: Observation) -> bool:
    """Whether a setting of the clocks that is known both times is another one now."""
    settings = (
        (before.conditions.power_mode, after.conditions.power_mode),
        (before.clocks_held, after.clocks_held),
        *((mhz, after.clock_limits_mhz.get(clock)) for clock, mhz in before.clock_limits_mhz.items()),
    )
    return any(None not in pair and pair[0] != pair[1] for pair in settings)


def _highest(clocks_mhz: dict[str, float]) -> dict[str, float]:
    """The highest clock of each group: "cpu" for cpu0, cpu1 ..."""
    highest: dict[str, float] = {}
    for name, mhz in clocks_mhz.items():
        group = name.rstrip("0123456789")
        highest[group] = max(mhz, highest.get(group, mhz))
    return highest


def _swapped(before: Observation, after: Observation) -> bool | str:
    then, now = before.conditions.swap_used_bytes, after.conditions.swap_used_bytes
    if then is None or now is None:
        return _why("swap_used_bytes", before, after)
    return now - then > SWAP_TOLERANCE_BYTES


def _other_load(others: OtherLoad) -> bool | str:
    if others.cores is None:
        return others.unmet or "not measured"
    return others.cores > OTHER_LOAD_CORES


def _why(figure: str, *observations: Observation) -> str:
    return next(seen.unmet[figure] for seen in observations if figure in seen.unmet)
