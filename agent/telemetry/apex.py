"""A Coral's Edge TPU on PCIe: its temperature, and whether that holds its clock down. From /sys/class/apex.

The driver compares the temperature with three trip points every `temp_poll_interval` ms, and halves the clock at each:
500, 250, 125, 62.5 MHz; with an interval of 0 it never does (google/gasket-driver, src/apex_driver.c: apex_sysfs_attrs,
check_temperature_work_handler). Temperatures are in millidegrees. The driver that was in Linux itself
(drivers/staging/gasket) has none of these files: google-coral/edgetpu#498. The clock itself cannot be read.
"""

from pathlib import Path

from agent.telemetry.readings import Readings, attempt, read_text
from agent.telemetry.thermal import integer

SENSOR = "edgetpu"
TRIP_POINTS = ("trip_point0_temp", "trip_point1_temp", "trip_point2_temp")
"""Rising; of what is at the second, the clock is a quarter."""

INVALID_BELOW_C = -60.0
"""-89.7 is what the driver makes of a register that reads as all ones: the chip is off the bus (edgetpu#843)."""

_DEVICE = "sys/class/apex/apex_0"
_COUNTS_NOTHING = "the Edge TPU's driver counts no throttling: it is known of the moments before and after alone"


class Apex:
    """The source. Keeps nothing between reads."""

    def __init__(self, root: Path) -> None:
        self._device = root / _DEVICE

    def read(self) -> Readings:
        unmet = {"throttle_events": _COUNTS_NOTHING}
        celsius = attempt(unmet, (f"temperatures_c.{SENSOR}", "throttled_by"), self._temperature)
        throttled_by = None if celsius is None else attempt(unmet, "throttled_by", self._throttled_by, celsius)
        return Readings(
            temperatures_c={} if celsius is None else {SENSOR: celsius}, throttled_by=throttled_by, unmet=unmet
        )

    def _temperature(self) -> float:
        if not self._device.is_dir():
            raise ValueError(f"there is no Edge TPU: the kernel shows no /{_DEVICE}")
        celsius = self._celsius("temp")
        if celsius < INVALID_BELOW_C:
            status = (attempt({}, "status", read_text, self._device / "status") or "unknown").strip()
            raise ValueError(f"{celsius:g} C is no temperature: the Edge TPU does not answer (status {status})")
        return celsius

    def _throttled_by(self, celsius: float) -> tuple[str, ...]:
        """The highest trip point that is reached."""
        if integer(read_text(self._device / "temp_poll_interval")) <= 0:
            return ()
        reached = [name for name in TRIP_POINTS if celsius >= self._celsius(name)]
        return tuple(f"{SENSOR} {name}" for name in reached[-1:])

    def _celsius(self, file: str) -> float:
        return integer(read_text(self._device / file)) / 1000
