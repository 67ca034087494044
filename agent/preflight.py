"""What a bench on this board is measured under, before it begins: `look()`; of it `settings()` goes into every row.

==================  ===========================================================================  ====================
flag                it is up where                                                               what is better, from
==================  ===========================================================================  ====================
`clocks_not_fixed`  a clock of the CPUs or the GPU follows the load                              agent/tuning.py
`power_mode`        a mode is set that is not the one of most performance: nvpmodel's on a       agent/tuning.py
                    Jetson; elsewhere the firmware's profile, or a governor that keeps the
                    CPUs at their lowest clock
`on_battery`        a battery feeds the board (agent/telemetry/supply.py)                        here
`swap_in_use`       more than a twentieth of the memory's size is swapped out                    here, agent/tuning.py
`throttled`         clocks are held down right now, as agent/telemetry/validity.py has it        here
`other_load`        all processes but the agent and its workers used more than a tenth of a      here
                    core in one second; the busiest are named
==================  ===========================================================================  ====================

`clocks_not_fixed` is a setting, and says nothing of the run: most desktops have it until somebody sets `performance`,
and few rows there are worse for it. It is a finding because there is a remedy, and because two boards are compared
fairly only where both had theirs. What a clock did is `clocks_moved`, which is judged by the bench itself.

Why a twentieth: kernels swap out what idle daemons have not touched for days, and never bring it back: that disturbs
nothing. More than that says that the board was short of memory; what it needs of it is read back while something is
measured, and MemAvailable tells too little of what a model took. Growth during a bench is `swapped`.
"""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from agent import tuning
from agent.telemetry import CpuShare, OtherLoad, Sensors
from agent.telemetry.processes import Busy, busiest, family, read_processes
from agent.telemetry.procfs import MemoryInfo, read_memory
from agent.telemetry.readings import attempt
from agent.telemetry.supply import read_on_battery
from agent.telemetry.validity import OTHER_LOAD_CORES
from agent.tuning import Facts
from contract.results import Flag
from contract.tuning import Preflight, PreflightFinding, TuningFinding

LOAD_WINDOW_S = 1.1
"""How long others' load is watched: not much more than the least that tells it (agent/telemetry/cpu_share.py)."""

SWAP_TOLERANCE = 0.05  # of the board's memory
NAMED = 3  # of the busiest processes
LEAST_NAMED_CORES = 0.02
_MIB = 1 << 20

Verdict = PreflightFinding | str | None
"""A finding; or why it could not be judged; or nothing, where all is well."""


@dataclass(frozen=True)
class Settings:
    """How a board is set and supplied. Of what is None, `unmet` has the reason."""

    facts: Facts
    on_battery: bool | None = False
    memory: MemoryInfo | None = None
    unmet: dict[str, str] = field(default_factory=dict)


def read_settings(root: Path = Path("/")) -> Settings:
    """Raises nothing."""
    unmet: dict[str, str] = {}
    return Settings(
        facts=tuning.read_facts(root),
        on_battery=attempt(unmet, "on_battery", read_on_battery, root),
        memory=attempt(unmet, "memory", read_memory, root),
        unmet=unmet,
    )


def settings(root: Path = Path("/")) -> Preflight:
    """What can be read at once, and holds until somebody changes it."""
    return judge(read_settings(root))


def look(sensors: Sensors, root: Path = Path("/"), window_s: float | None = None) -> Preflight:
    """All of it. Takes a second: off the loop."""
    others, busy = _watch(root, LOAD_WINDOW_S if window_s is None else window_s)
    seen = sensors.observe()
    return _together(
        judge(read_settings(root)),
        _preflight(
            {
                "throttled": throttled(seen.throttled_by, seen.unmet.get("throttled_by", "not known")),
                "other_load": other_load(others, busy),
            }
        ),
    )


def judge(settings: Settings) -> Preflight:
    """The flags of what is set. Pure."""
    return _preflight(
        {
            "clocks_not_fixed": _clocks(settings.facts),
            "power_mode": _power_mode(settings.facts),
            "on_battery": _battery(settings),
            "swap_in_use": _swap(settings),
        }
    )


def _preflight(verdicts: dict[Flag, Verdict]) -> Preflight:
    return Preflight(
        findings=tuple(verdict for verdict in verdicts.values() if isinstance(verdict, PreflightFinding)),
        unmet={f"flags.{flag}": verdict for flag, verdict in verdicts.items() if isinstance(verdict, str)},
    )


def _together(*parts: Preflight) -> Preflight:
    return Preflight(
        findings=tuple(finding for part in parts for finding in part.findings),
        unmet={key: reason for part in parts for key, reason in part.unmet.items()},
    )


def _clocks(facts: Facts) -> Verdict:
    held = {"cpu_held": facts.cpu_held} | ({"gpu_held": facts.gpu_held} if facts.modes else {})
    if False in held.values():
        return _advised("clocks_not_fixed", facts, "clocks" if facts.modes else "governor")
    return next((facts.unmet.get(key, "not known") for key, value in held.items() if value is None), None)


def _power_mode(facts: Facts) -> Verdict:
    if not facts.modes:
        return _power_mode_of_a_pc(facts)
    if facts.wanted is None:
        return "no power mode stands out as the one that caps the clocks least"
    if facts.mode is None:
        return facts.unmet.get("mode", "not known")
    return None if facts.mode == facts.wanted.name else _advised("power_mode", facts, "power_mode")


def _power_mode_of_a_pc(facts: Facts) -> Verdict:
    if facts.held_lowest:
        return _advised("power_mode", facts, "governor")
    profile = next((finding for finding in tuning.advice(facts) if finding.key == "profile"), None)
    if profile and profile.good is False:
        return _advised("power_mode", facts, "profile")
    if profile and profile.good is None:
        return f"the firmware's power profile is {profile.now}"
    return facts.unmet.get("held_lowest", "not known") if facts.held_lowest is None and not profile else None


def _advised(flag: Flag, facts: Facts, key: str) -> PreflightFinding:
    """In the words of what `host tune` says of it."""
    told = _finding(facts, key)
    return PreflightFinding(
        flag=flag, now=told.now, better=told.better or "", commands=told.commands, applied=told.applied
    )


def _finding(facts: Facts, key: str) -> TuningFinding:
    return next(finding.reply() for finding in tuning.advice(facts) if finding.key == key)


def _battery(settings: Settings) -> Verdict:
    if settings.on_battery is None:
        return settings.unmet.get("on_battery", "not known")
    if not settings.on_battery:
        return None
    better = "its charger plugged in: on battery, firmware and kernel hold clocks down as they see fit"
    return PreflightFinding(flag="on_battery", now="a battery feeds the board", better=better)


def _swap(settings: Settings) -> Verdict:
    memory = settings.memory
    if memory is None:
        return settings.unmet.get("memory", "not known")
    if memory.swap_used_bytes <= SWAP_TOLERANCE * memory.total_bytes:
        return None
    used, total = (f"{size / _MIB:,.0f} MiB" for size in (memory.swap_used_bytes, memory.total_bytes))
    commands: tuple[str, ...] = ("sudo swapoff -a", "sudo swapon -a")
    if settings.facts.modes and settings.facts.zram:
        commands = _finding(settings.facts, "swap").commands
    return PreflightFinding(
        flag="swap_in_use",
        now=f"{used} are swapped out, of a board with {total} of memory",
        better="memory that suffices: end what takes it, then take back what is swapped out",
        commands=commands,
    )


def throttled(throttled_by: tuple[str, ...] | None, reason: str) -> Verdict:
    """What holds clocks down at this moment."""
    if throttled_by is None:
        return reason
    if not throttled_by:
        return None
    return PreflightFinding(
        flag="throttled",
        now=f"clocks are held down by {', '.join(throttled_by)}",
        better="a board that is cool and well fed: wait, give it a fan or a larger heat sink, check its power supply",
    )


def other_load(others: OtherLoad, busy: list[Busy]) -> Verdict:
    """Of all others, the busiest first."""
    if others.cores is None:
        return others.unmet or "not measured"
    if others.cores <= OTHER_LOAD_CORES:
        return None
    named = [f"{each.name} {each.cores:.2f}" for each in busy[:NAMED] if each.cores >= LEAST_NAMED_CORES]
    return PreflightFinding(
        flag="other_load",
        now=f"others use {others.cores:.2f} cores: {', '.join(named) or 'no process that could be seen'}",
        better="a board that does nothing else: end them, or wait until they are done",
    )


def _watch(root: Path, window_s: float) -> tuple[OtherLoad, list[Busy]]:
    """The load of all but this agent and what it has started, and whose it is."""
    began_s = time.monotonic()  # processes are read one after the other, in the same order both times
    before = read_processes(root)
    own = family(before, os.getpid())
    share = CpuShare(*own, root=root)
    time.sleep(window_s)
    others, elapsed_s = share.others(), time.monotonic() - began_s
    return others, busiest(before, read_processes(root), elapsed_s, own)
