"""Temperatures and CPU clocks from /sys: thermal zones, cpufreq, cooling devices and the CPUs' throttle counters.

Formats: the kernel's Documentation/driver-api/thermal/sysfs-api.rst (temp in millidegrees Celsius; a cooling device's
cur_state is 0 as long as it does nothing), admin-guide/pm/cpufreq.rst (frequencies in kHz),
ABI/testing/sysfs-devices-system-cpu (thermal_throttle: Intel alone).
"""

import re
from collections import Counter
from pathlib import Path

from agent.telemetry.readings import Readings, attempt, read_text

HOLDING_GOVERNORS = frozenset({"performance", "userspace"})
"""Governors that ask for one clock whatever the load (cpufreq.rst). `powersave` of intel_pstate follows the load."""

OWN_POWERSAVE_DRIVERS = frozenset({"intel_pstate", "amd-pstate-epp"})
"""Their `powersave` follows the load, up to the highest clock; any other driver's is the lowest clock always."""

INVALID_BELOW_C = -100.0
"""No board lives there: -274 is the kernel's THERMAL_TEMP_INVALID, -256 Tegra's answer for a zone without power."""

POWER_CHIP = ("PMIC-Die", "PMIC")
"""The Nano's: its zone, and what tegrastats calls it."""

POWER_CHIP_CONSTANTS_C = (50, 100)
"""What that chip says as long as it has no alarm (drivers/thermal/max77620_thermal.c): 100 on older L4T."""

HOLDS_CLOCKS_DOWN = re.compile(r"Processor|(thermal-)?(cpufreq|devfreq)-.+|.+-throttle-alert|.+-balanced")
"""Cooling devices that cost speed: the kernel's own, and those of Jetsons (a fan, or a set-point, does not).

``cpu-throttle-alert`` and its kin are Jetsons' from the Nano on, states 0 to 2; ``cpu-balanced`` and its kin are of
Tegra's older device trees.
"""

_INTEGER = re.compile(r"-?[0-9]+")
_NO_CPUFREQ = "the kernel shows no CPU clocks (no cpufreq, as in most virtual machines)"


def parse_temperature(zone_type: str, text: str) -> float:
    """Degrees Celsius of a zone; ValueError where the text is not a temperature that was measured."""
    celsius = integer(text) / 1000
    if reason := why_not_measured(zone_type, celsius):
        raise ValueError(reason)
    return celsius


def why_not_measured(sensor: str, celsius: float) -> str | None:
    """None for a temperature, of a zone or of tegrastats, that is one."""
    if celsius < INVALID_BELOW_C:
        return f"{celsius:g} C is no temperature: the sensor is off"
    if sensor in POWER_CHIP and celsius in POWER_CHIP_CONSTANTS_C:
        return f"{celsius:g} C is a constant of this sensor (Jetson Nano), not a reading"
    return None


def parse_clock(text: str) -> float:
    """MHz of a cpufreq file (kHz); ValueError for what some drivers write instead, e.g. ``<unknown>``."""
    return integer(text) / 1000


def integer(text: str) -> int:
    """A whole number, alone in its file; ValueError for anything else."""
    if not _INTEGER.fullmatch(text.strip()):
        raise ValueError(f"not a number: {text.strip()!r}")
    return int(text)


class Thermal:
    """How hot the board is, how fast its CPUs run, and whether they were throttled. Keeps nothing between reads."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self) -> Readings:
        unmet: dict[str, str] = {}
        policies = _policies(self._root)
        return Readings(
            power_mode=attempt(unmet, "power_mode", _governor, policies),
            clocks_held=attempt(unmet, "clocks_held", _clocks_held, policies),
            throttle_events=attempt(unmet, "throttle_events", _throttle_events, self._root),
            heat_is_counted=True,
            throttled_by=attempt(unmet, "throttled_by", _throttled_by, self._root),
            temperatures_c=_temperatures(self._root, unmet),
            clocks_mhz=_clocks(policies, "scaling_cur_freq", "clocks_mhz", unmet),
            clock_limits_mhz=_clocks(policies, "scaling_max_freq", "clock_limits_mhz", unmet),
            unmet=unmet,
        )


def _temperatures(root: Path, unmet: dict[str, str]) -> dict[str, float]:
    """By zone type; of several zones of one type each has its number behind it: ``acpitz#2``."""
    zones = _numbered(root, "sys/class/thermal/thermal_zone")
    if not zones:
        unmet["temperatures_c"] = "the kernel shows no thermal zone"
    types = {number: _zone_type(zone) for number, zone in zones.items()}
    repeated = Counter(types.values())
    temperatures = {}
    for number, zone in zones.items():
        name = types[number] if repeated[types[number]] == 1 else f"{types[number]}#{number}"
        celsius = attempt(unmet, f"temperatures_c.{name}", _temperature, zone, types[number])
        if celsius is not None:
            temperatures[name] = celsius
    return temperatures


def _zone_type(zone: Path) -> str:
    return (attempt({}, "type", read_text, zone / "type") or "").strip() or zone.name


def _temperature(zone: Path, zone_type: str) -> float:
    return parse_temperature(zone_type, read_text(zone / "temp"))


def _policies(root: Path) -> dict[int, Path]:
    """The cpufreq folder of each CPU that is on; those of the others stay, and cannot be read (EBUSY)."""
    policies = _numbered(root, "sys/devices/system/cpu/cpu", "/cpufreq")
    return {cpu: policy for cpu, policy in policies.items() if _is_on(policy.parent)}


def _is_on(cpu: Path) -> bool:
    """A CPU that cannot be switched off has no such file."""
    return (attempt({}, "online", read_text, cpu / "online") or "1").strip() != "0"


def _clocks(policies: dict[int, Path], file: str, table: str, unmet: dict[str, str]) -> dict[str, float]:
    """By CPU: the clock as the kernel last set or measured it (an idle CPU's may be old), or its limit."""
    if not policies:
        unmet[table] = _NO_CPUFREQ
    clocks = {}
    for cpu, policy in policies.items():
        mhz = attempt(unmet, f"{table}.cpu{cpu}", _clock, policy / file)
        if mhz is not None:
            clocks[f"cpu{cpu}"] = mhz
    return clocks


def _clock(path: Path) -> float:
    return parse_clock(read_text(path))


def _governor(policies: dict[int, Path]) -> str:
    """The CPUs' governor; several, where they differ, with a plus between them."""
    if not policies:
        raise ValueError(_NO_CPUFREQ)
    return "+".join(sorted({read_text(policy / "scaling_governor").strip() for policy in policies.values()}))


def read_held_lowest(root: Path) -> bool:
    """Whether a CPU is set to its lowest clock whatever the load: governor `powersave`. OSError, ValueError."""
    policies = _policies(root)
    if not policies:
        raise ValueError(_NO_CPUFREQ)
    return any(
        read_text(policy / "scaling_governor").strip() == "powersave"
        and read_text(policy / "scaling_driver").strip() not in OWN_POWERSAVE_DRIVERS
        for policy in policies.values()
    )


def _clocks_held(policies: dict[int, Path]) -> bool:
    """Whether each CPU is set to one clock: by its governor, or by equal limits (what jetson_clocks does)."""
    if not policies:
        raise ValueError(_NO_CPUFREQ)
    return all(
        read_text(policy / "scaling_governor").strip() in HOLDING_GOVERNORS
        or _clock(policy / "scaling_min_freq") == _clock(policy / "scaling_max_freq")
        for policy in policies.values()
    )


def _throttle_events(root: Path) -> int:
    """Sum of all CPUs' counters of throttling by heat, of the core and of its package."""
    counters = list(root.glob("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/*_throttle_count"))
    if not counters:
        raise ValueError("the kernel counts no throttling here (Intel CPUs alone have thermal_throttle)")
    return sum(integer(read_text(counter)) for counter in counters)


def _throttled_by(root: Path) -> tuple[str, ...]:
    """Types of the cooling devices that hold clocks down right now, each once."""
    devices = _numbered(root, "sys/class/thermal/cooling_device")
    if not devices:
        raise ValueError("the kernel shows no cooling device")
    kinds = {device: read_text(device / "type").strip() for device in devices.values()}
    active = (
        kind
        for device, kind in kinds.items()
        if HOLDS_CLOCKS_DOWN.fullmatch(kind) and integer(read_text(device / "cur_state")) > 0
    )
    return tuple(dict.fromkeys(active))


def _numbered(root: Path, prefix: str, suffix: str = "") -> dict[int, Path]:
    """The folders ROOT/PREFIX<number>SUFFIX by number, in its order (10 after 9)."""
    start = root / prefix
    numbers = (path.name.removeprefix(start.name) for path in start.parent.glob(f"{start.name}*"))
    paths = {int(number): Path(f"{start}{number}{suffix}") for number in numbers if number.isdecimal()}
    return {number: paths[number] for number in sorted(paths) if paths[number].is_dir()}
