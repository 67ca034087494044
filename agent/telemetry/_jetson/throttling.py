"""What counts the times a Jetson was throttled by its hardware. None of it is by temperature: that is in `thermal`.

Orin   oc1 (under-voltage), oc2 (average power) and oc3 (momentary power) of the hwmon device `soctherm_oc`
       (drivers/soc/tegra/tegra23x_oc_event.c of L4T). Each event halves the clocks for about a millisecond; in a mode
       without caps NVIDIA expects oc3, some a second even at rest.
Nano   the interrupt `soctherm_edp` (over-current, or a supply below 4.5 V), which NVIDIA's own nvpmodel_indicator
       counts in /proc/interrupts to warn of it.
"""

import re
from pathlib import Path

from agent.telemetry.readings import read_text
from agent.telemetry.thermal import integer

_INTERRUPT = re.compile(r"^ *\d+:((?: +\d+)+) .*\bsoctherm_edp\b", re.MULTILINE | re.ASCII)


def read_throttle_events(root: Path) -> int:
    """Events since the board was started. ValueError where nothing counts them."""
    counters = list(root.glob("sys/class/hwmon/hwmon*/oc*_event_cnt"))
    if counters:
        return sum(integer(read_text(counter)) for counter in counters)
    return parse_interrupts(read_text(root / "proc/interrupts"))


def parse_interrupts(text: str) -> int:
    """Of /proc/interrupts: `soctherm_edp` on all CPUs together. ValueError where there is no such line."""
    found = _INTERRUPT.search(text)
    if not found:
        raise ValueError("nothing counts throttling here: no hwmon soctherm_oc, no interrupt soctherm_edp")
    return sum(int(count) for count in found[1].split())
