"""What would make a stable bench on this board, and doing it: `look()`, `tune(board)`.

==========  ===========================================  =====================================  ============
key         what a stable bench has                      what makes it so                       done by
==========  ===========================================  =====================================  ============
power_mode  the mode that caps the clocks least          nvpmodel -m ID                         the agent
clocks      CPU and GPU clocks that stand still          jetson_clocks, the settings stored     the agent
desktop     none: it takes GPU time and memory           systemctl set-default multi-user...    the owner
swap        none in compressed memory: it takes CPU      systemctl disable nvzramconfig         the owner
governor    `performance`, where there is no nvpmodel    tee .../scaling_governor               the owner
profile     `performance`, where the firmware has any    tee .../platform_profile               the owner
==========  ===========================================  =====================================  ============

In this order: a change of the mode lets go of the clocks. (So does ``systemctl isolate``, which starts nvpmodel.service
again: hence set-default, and a reboot.) `read_facts` reads, `advice` judges, and what its findings say is all that is
ever run, through agent/as_root.py. A power mode outlasts a reboot, jetson_clocks does not.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from agent import as_root
from agent.as_root import Command
from agent.errors import BoardHeldError
from agent.exclusive import Board
from agent.telemetry import nvpmodel
from agent.telemetry.jetson import Jetson
from agent.telemetry.nvpmodel import PowerMode
from agent.telemetry.readings import attempt, read_text
from agent.telemetry.thermal import Thermal, read_held_lowest
from agent.uncancelled import whole
from contract.tuning import Tuning, TuningFinding, TuningStep

STORED = "/run/boardfit-clocks.conf"
"""Root's, and gone with a reboot, as are the clocks: ``sudo jetson_clocks --restore`` of it takes them back."""

# jetson_clocks asks whether it may overwrite the file: it may, the clocks are not held when it is asked to store them.
CLOCKS = (Command(("jetson_clocks", "--store", STORED), answer="y\n"), Command(("jetson_clocks",)))

_TARGETS = tuple(f"{folder}/systemd/system/default.target" for folder in ("etc", "usr/lib", "lib"))
_PROFILE = "sys/firmware/acpi/platform_profile"
_SET_PROFILE = f"echo performance | sudo tee /{_PROFILE}"
_GOVERNOR = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"


@dataclass(frozen=True)
class Facts:
    """How a board is set. `modes` are empty where it has no nvpmodel; of what is None, `unmet` may say why.

    cpu_held, gpu_held  whether these clocks are set to stand still
    governor            the CPUs'
    held_lowest         whether it is one that keeps them at their lowest clock
    profile, profiles   of a PC's firmware: the one that is set, and those there are; empty where it has none
    zram                compressed memory that is swapped to, by device
    desktop             whether it boots into one
    """

    modes: tuple[PowerMode, ...] = ()
    mode: str | None = None
    cpu_held: bool | None = None
    gpu_held: bool | None = None
    governor: str | None = None
    held_lowest: bool | None = None
    profile: str | None = None
    profiles: tuple[str, ...] = ()
    zram: tuple[str, ...] = ()
    desktop: bool = False
    unmet: dict[str, str] = field(default_factory=dict)

    @property
    def wanted(self) -> PowerMode | None:
        return nvpmodel.least_capped(self.modes)


@dataclass(frozen=True)
class Finding:
    """As `contract.api.TuningFinding`. `run`: what the agent does about it; `tell`: what the board's owner can do."""

    key: str
    now: str
    good: bool | None
    better: str | None = None
    run: tuple[Command, ...] = ()
    tell: tuple[str, ...] = ()

    def reply(self) -> TuningFinding:
        return TuningFinding(
            key=self.key,
            now=self.now,
            good=self.good,
            better=self.better,
            commands=tuple(map(str, self.run)) or self.tell,
            applied=bool(self.run),
        )


def read_facts(root: Path = Path("/")) -> Facts:
    """How this board is set. Raises nothing: what cannot be read is left open."""
    unmet: dict[str, str] = {}
    modes = attempt(unmet, "modes", nvpmodel.read_modes, root) or ()
    cpu = Thermal(root).read()
    gpu = Jetson(root).settings() if modes else None
    unmet |= {"cpu_held": cpu.unmet["clocks_held"]} if cpu.clocks_held is None else {}
    unmet |= {"gpu_held": gpu.unmet["clocks_held"]} if gpu and gpu.clocks_held is None else {}
    unmet |= {"mode": gpu.unmet["power_mode"]} if gpu and gpu.power_mode is None else {}
    profiles = () if modes else attempt({}, "profiles", _profiles, root) or ()
    return Facts(
        modes=modes,
        mode=gpu.power_mode if gpu else None,
        cpu_held=cpu.clocks_held,
        gpu_held=gpu.clocks_held if gpu else None,
        governor=cpu.power_mode,
        held_lowest=attempt(unmet, "held_lowest", read_held_lowest, root),
        profile=attempt(unmet, "profile", _profile, root) if profiles else None,
        profiles=profiles,
        zram=attempt(unmet, "zram", _zram, root) or (),
        desktop=_boots_into_desktop(root),
        unmet=unmet,
    )


def _zram(root: Path) -> tuple[str, ...]:
    rows = read_text(root / "proc/swaps").splitlines()
    return tuple(row.split()[0] for row in rows if row.startswith("/dev/zram"))


def _profiles(root: Path) -> tuple[str, ...]:
    """The kernel's ABI/testing/sysfs-platform_profile. OSError where the firmware has none, as most have."""
    return tuple(read_text(root / f"{_PROFILE}_choices").split())


def _profile(root: Path) -> str:
    return read_text(root / _PROFILE).strip()


def _boots_into_desktop(root: Path) -> bool:
    """By systemd's default.target: the administrator's link, or that of the distribution."""
    links = [path for path in (root / target for target in _TARGETS) if path.is_symlink()]
    return bool(links) and links[0].readlink().name == "graphical.target"


def advice(facts: Facts) -> tuple[Finding, ...]:
    """What is, and what would be better. Without nvpmodel the CPUs' governor and the firmware are judged. Pure."""
    if not facts.modes:
        return (_governor(facts), *((_platform_profile(facts),) if "performance" in facts.profiles else ()))
    mode = _power_mode(facts)
    return mode, _clocks(facts, let_go=bool(mode.run)), _desktop(facts), _swap(facts)


def _power_mode(facts: Facts) -> Finding:
    now = facts.mode or "not known"
    if facts.wanted is None:
        return Finding("power_mode", now, good=None)
    if facts.wanted.name == facts.mode:
        return Finding("power_mode", now, good=True)
    better = f"{facts.wanted.name}, which caps the clocks least; it needs a supply that can feed it"
    return Finding("power_mode", now, False, better, run=(_set_mode(facts.wanted),))


def _set_mode(mode: PowerMode) -> Command:
    """Where it would have to boot the board anew it asks for a YES, which it does not get."""
    return Command(("nvpmodel", "-m", str(mode.id)), answer="NO\n")


def _clocks(facts: Facts, *, let_go: bool) -> Finding:
    parts = (("CPU", facts.cpu_held, "cpu_held"), ("GPU", facts.gpu_held, "gpu_held"))
    now = ", ".join(f"{name}: {_held(held, facts.unmet.get(key))}" for name, held, key in parts)
    if facts.cpu_held and facts.gpu_held and not let_go:
        return Finding("clocks", now, good=True)
    partly_held = not let_go and bool(facts.cpu_held or facts.gpu_held)  # to store those would lose the way back
    better = "CPU and GPU stand still, at the highest clock of the mode"
    return Finding("clocks", now, False, better, run=CLOCKS[1:] if partly_held else CLOCKS)


def _held(held: bool | None, reason: str | None) -> str:
    if held is None:
        return f"not known ({reason})"
    return "stands still" if held else "follows the load"


def _desktop(facts: Facts) -> Finding:
    if not facts.desktop:
        return Finding("desktop", "none", good=True)
    better = "none, from the next start on: it takes GPU time, and memory from the model"
    tell = ("sudo systemctl set-default multi-user.target",)
    return Finding("desktop", "starts with the board", False, better, tell=tell)


def _swap(facts: Facts) -> Finding:
    if not facts.zram:
        return Finding("swap", "none in compressed memory", good=True)
    now = f"in compressed memory: {', '.join(facts.zram)}"
    better = "a swap file instead (builds need one), from the next start on: compressing takes CPU time from the model"
    return Finding("swap", now, False, better, tell=("sudo systemctl disable nvzramconfig",))


def _governor(facts: Facts) -> Finding:
    now = facts.governor or f"not known ({facts.unmet.get('cpu_held', 'no reason')})"
    if facts.cpu_held is not False:
        return Finding("governor", now, good=facts.cpu_held)
    return Finding("governor", now, False, "performance: the clock does not follow the load", tell=(_GOVERNOR,))


def _platform_profile(facts: Facts) -> Finding:
    """`custom` is what the kernel says where several drivers have one each, and they differ."""
    now = facts.profile or f"not known ({facts.unmet.get('profile', 'no reason')})"
    if facts.profile in (None, "custom", "performance"):
        return Finding("profile", now, good=True if facts.profile == "performance" else None)
    return Finding("profile", now, False, "performance: the firmware holds clocks down least", tell=(_SET_PROFILE,))


def look(root: Path = Path("/")) -> Tuning:
    """How this board is set."""
    return Tuning(findings=tuple(finding.reply() for finding in advice(read_facts(root))))


async def tune(board: Board, root: Path = Path("/")) -> Tuning:
    """Does what the agent can do about it, then looks again. BoardHeldError where a bench or a deploy has the board."""

    def refuse(stage: str) -> NoReturn:
        holder = stage.removeprefix("waiting for ")
        raise BoardHeldError(f"the board is in use by {holder}: its clocks stay as they are", "try again afterwards")

    async with board.turn("a change of the board's clocks", refuse):
        return await whole(asyncio.to_thread(_apply, root))


def _apply(root: Path) -> Tuning:
    facts = read_facts(root)
    allowed = (*((_set_mode(facts.wanted),) if facts.wanted else ()), *CLOCKS)
    steps = tuple(step for finding in advice(facts) for step in _steps(finding, allowed, facts.wanted, root))
    return look(root).model_copy(update={"steps": steps})


def _steps(finding: Finding, allowed: Sequence[Command], wanted: PowerMode | None, root: Path) -> Iterator[TuningStep]:
    """The commands of one finding, up to the first that is not done: clocks that were not stored are not set."""
    failed = False
    for command in finding.run:
        if failed:
            yield TuningStep(command=str(command), state="skipped", detail="the command before it was not done")
            continue
        step = as_root.run(command, allowed)
        if finding.key == "power_mode" and wanted:
            step = _proven(step, wanted, root)
        failed = step.state != "done"
        yield step


def _proven(step: TuningStep, wanted: PowerMode, root: Path) -> TuningStep:
    """By the mode that is set now: nvpmodel has been seen to fail without saying so, and to complain of nothing."""
    mode = Jetson(root).settings().power_mode
    if mode == wanted.name:
        return step.model_copy(update={"state": "done", "detail": ""})
    if step.state != "done":
        return step
    detail = f"nvpmodel ended well, but the mode is {mode or 'not known'}; try again after a reboot"
    return step.model_copy(update={"state": "failed", "detail": detail})
