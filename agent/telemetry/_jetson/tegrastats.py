"""One line of NVIDIA's tegrastats: for what sysfs does not tell, or keeps for root.

Its form differs by L4T and by who asks; every part of it may be missing (NVIDIA's Developer Guide, "tegrastats
Utility"; lines of R32 to R39 are recorded in tests/agent/telemetry/boards).
"""

import re
from dataclasses import dataclass, field

from agent.telemetry.thermal import why_not_measured

_GPU = re.compile(r"\bGR3D_FREQ (?:(\d+)%)?(?:@\[?(\d+))?", re.ASCII)
_MEMORY = re.compile(r"\bEMC_FREQ (?:\d+%)?@(\d+)", re.ASCII)
_TEMPERATURE = re.compile(r"\b(\w+)@(-?\d+(?:\.\d+)?)C\b", re.ASCII)
_RAIL = re.compile(r"\b((?:POM|VDD|VIN)\w*) (\d+)(?:mW)?/\d+", re.ASCII)


@dataclass(frozen=True)
class Line:
    """What one line says: percent, MHz, degrees Celsius by sensor, mW by rail (now, not the average after it)."""

    gpu_percent: float | None = None
    gpu_mhz: float | None = None
    memory_mhz: float | None = None
    temperatures_c: dict[str, float] = field(default_factory=dict)
    power_mw: dict[str, float] = field(default_factory=dict)


def parse_line(text: str) -> Line:
    """ValueError where it is no line of tegrastats: each has the memory in use."""
    if "RAM " not in text:
        raise ValueError(f"tegrastats does not say what it should: {text.strip()[:80]!r}")
    gpu, memory = _GPU.search(text), _MEMORY.search(text)
    return Line(
        gpu_percent=float(gpu[1]) if gpu and gpu[1] else None,
        gpu_mhz=float(gpu[2]) if gpu and gpu[2] else None,
        memory_mhz=float(memory[1]) if memory else None,
        temperatures_c={
            name: float(celsius)
            for name, celsius in _TEMPERATURE.findall(text)
            if not why_not_measured(name, float(celsius))
        },
        power_mw={rail: float(milliwatts) for rail, milliwatts in _RAIL.findall(text)},
    )
