"""Power by rail, from the INA3221 monitors of a Jetson.

L4T R32 has a driver of NVIDIA's own under iio: rail_name_N, and in_powerN_input in mW (NVIDIA's Developer Guide R32.7,
"Power Monitor Information"). From R35 on it is the kernel's (Documentation/hwmon/ina3221.rst): inN_label, inN_input in
mV, currN_input in mA; channel 7 is the sum of the shunt voltages and has no current, a label NC is not connected.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

from agent.telemetry.readings import attempt, read_text
from agent.telemetry.thermal import integer

_OLD = "sys/bus/i2c/drivers/ina3221x/*/iio:device*/rail_name_*"
_LABEL = re.compile(r"in(\d+)_label")
_RAIL = re.compile(r"rail_name_(\d+)")


def read_rails(root: Path) -> dict[str, float]:
    """Milliwatts by rail, e.g. VDD_IN, POM_5V_IN: the whole module's, others being parts of it.

    PermissionError where they are root's alone, as on a Nano until its owner changes that; OSError, ValueError where
    there are none, or one cannot be read.
    """
    return {name: rail.read_mw() for name, rail in find_rails(root).items()}


@dataclass(frozen=True)
class Rail:
    """Where one rail's power is read: its files' product over `divisor` is in mW."""

    files: tuple[Path, ...]
    divisor: float

    def read_mw(self) -> float:
        """OSError, ValueError."""
        return math.prod(integer(read_text(file)) for file in self.files) / self.divisor


def find_rails(root: Path) -> dict[str, Rail]:
    """By name. PermissionError where names are root's alone, OSError; ValueError where there are none."""
    rails = _hwmon_rails(root) or _iio_rails(root)
    if not rails:
        raise ValueError("the kernel shows no INA3221 power monitor")
    return rails


def _hwmon_rails(root: Path) -> dict[str, Rail]:
    rails = {}
    for monitor in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        name = attempt({}, "name", read_text, monitor / "name")  # one without has nothing to do with ours
        if name is None or name.strip() != "ina3221":
            continue
        for path in sorted(monitor.glob("in*_label")):
            found = _LABEL.fullmatch(path.name)
            label = read_text(path).strip()
            if not found or label == "NC" or not (monitor / f"curr{found[1]}_input").exists():
                continue
            rails[label] = Rail((monitor / f"in{found[1]}_input", monitor / f"curr{found[1]}_input"), 1000)
    return rails


def _iio_rails(root: Path) -> dict[str, Rail]:
    rails = {}
    for path in sorted(root.glob(_OLD)):
        if found := _RAIL.fullmatch(path.name):
            rails[read_text(path).strip()] = Rail((path.parent / f"in_power{found[1]}_input",), 1)
    return rails
