"""A Jetson's power modes: which there are, which is set, and which of them caps the clocks least.

/etc/nvpmodel.conf has the modes (its own comments say how: -1 as a frequency is no cap), /var/lib/nvpmodel/status the
one that was set last, ``pmode:0002 fmode:quiet``. Both can be read by anyone. Ids differ by board and JetPack, and are
in no order (MAXN is 0, MAXN_SUPER 2, and 3 the weakest, 7W): a mode is told by its name.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.telemetry.readings import read_text

CONFIGURATION = "etc/nvpmodel.conf"
STATUS = "var/lib/nvpmodel/status"
QUERY = ("nvpmodel", "-q")
UNCAPPED_NAMES = ("MAXN_SUPER", "MAXN")
"""What NVIDIA calls the mode without caps: where two modes cap alike (a user's copy of one), these come first."""

_MODE = re.compile(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+?)\s*>", re.ASCII)
_SECTION = re.compile(r"<\s*\w+")
_STATUS = re.compile(r"\bpmode:(\d+)", re.ASCII)
_QUERY = re.compile(r"^NV Power Mode: *(\S+)\s+(\d+)\s*$", re.MULTILINE | re.ASCII)


@dataclass(frozen=True)
class PowerMode:
    """One mode and its caps: the GPU's clock in Hz, the CPUs' in kHz (infinite: none), how many CPUs it leaves on."""

    id: int
    name: str
    gpu_cap_hz: float = math.inf
    cpu_cap_khz: float = math.inf
    cpus_on: int = 0


@dataclass
class _Caps:
    gpu_hz: float = math.inf
    cpus_khz: list[float] = field(default_factory=list)
    cpus_on: int = 0


def parse_modes(text: str) -> tuple[PowerMode, ...]:
    """The modes of /etc/nvpmodel.conf, in its order. ValueError where it has none, or a cap that is no number."""
    modes: list[PowerMode] = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if found := _MODE.match(line):
            caps = _caps(lines[number + 1 :])
            cpu_cap_khz = min(caps.cpus_khz, default=math.inf)
            modes.append(PowerMode(int(found[1]), found[2], caps.gpu_hz, cpu_cap_khz, caps.cpus_on))
    if not modes:
        raise ValueError("/etc/nvpmodel.conf has no POWER_MODEL")
    return tuple(modes)


def _caps(lines: Sequence[str]) -> _Caps:
    """Of one mode: the lines up to the next section."""
    caps = _Caps()
    for line in lines:
        if _SECTION.match(line):
            break
        match line.split("#")[0].split():
            case ["CPU_ONLINE", _, "1"]:
                caps.cpus_on += 1
            case ["GPU", "MAX_FREQ", value]:
                caps.gpu_hz = _cap(value)
            case [name, "MAX_FREQ", value] if name.startswith("CPU"):
                caps.cpus_khz.append(_cap(value))
    return caps


def _cap(value: str) -> float:
    return math.inf if value == "-1" else float(int(value))


def parse_status(text: str) -> int:
    """The id of the mode that was set last. ValueError."""
    found = _STATUS.search(text)
    if not found:
        raise ValueError(f"/var/lib/nvpmodel/status names no mode: {text.strip()[:60]!r}")
    return int(found[1])


def parse_query(text: str) -> tuple[str, int]:
    """Name and id of the mode, of what ``nvpmodel -q`` prints: with a fan's mode, and complaints where it is not root.

    ValueError.
    """
    found = _QUERY.search(text)
    if not found:
        raise ValueError(f"nvpmodel -q names no mode: {text.strip()[:120]!r}")
    return found[1], int(found[2])


def least_capped(modes: Sequence[PowerMode]) -> PowerMode | None:
    """The mode whose clocks are highest: of the GPU, then most CPUs, then theirs. None where none stands out.

    By the caps, not by a name alone: on a first Orin Nano (JetPack 5) the mode without caps is called 15W.
    """
    if not modes:
        return None
    most = max(map(_freedom, modes))
    best = [mode for mode in modes if _freedom(mode) == most]
    named = [mode for name in UNCAPPED_NAMES for mode in best if mode.name == name]
    return named[0] if named else best[0] if len(best) == 1 else None


def _freedom(mode: PowerMode) -> tuple[float, int, float]:
    return mode.gpu_cap_hz, mode.cpus_on, mode.cpu_cap_khz


def read_modes(root: Path) -> tuple[PowerMode, ...]:
    """The modes of this board. OSError where it has no nvpmodel; ValueError."""
    return parse_modes(read_text(root / CONFIGURATION))


def read_mode(root: Path) -> str:
    """Name of the mode that was set last, from the two files. OSError, ValueError: `parse_query` may know."""
    modes = read_modes(root)
    wanted = parse_status(read_text(root / STATUS))
    for mode in modes:
        if mode.id == wanted:
            return mode.name
    raise ValueError(f"mode {wanted} of /var/lib/nvpmodel/status is not in /etc/nvpmodel.conf")
