"""Whether a battery feeds the board. From /sys/class/power_supply (the kernel's ABI/testing/sysfs-class-power)."""

from pathlib import Path

from agent.telemetry.readings import attempt, read_text

_FOLDER = "sys/class/power_supply"


def read_on_battery(root: Path) -> bool:
    """A battery of the whole system is being discharged, and no mains supply is there.

    Both are asked, as systemd-ac-power does: a charger by USB tells of itself in several ways, and the battery is what
    knows; yet some say that they are discharged while they are full. A board without any battery is not on one.
    OSError; ValueError where the kernel has no such class.
    """
    folder = root / _FOLDER
    if not folder.is_dir():
        raise ValueError(f"the kernel shows no power supplies: there is no /{_FOLDER}")
    supplies = [supply for supply in sorted(folder.iterdir()) if _said(supply, "scope") != "Device"]
    has_mains = any(_said(supply, "type") == "Mains" and _said(supply, "online") == "1" for supply in supplies)
    return not has_mains and any(
        _said(supply, "type") == "Battery" and _said(supply, "status") == "Discharging" for supply in supplies
    )


def _said(supply: Path, file: str) -> str:
    """What it says, or nothing: which files there are differs by driver."""
    return (attempt({}, file, read_text, supply / file) or "").strip()
