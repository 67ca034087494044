"""Power supplies as the kernel's ABI/testing/sysfs-class-power has them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.telemetry.supply import read_on_battery

Tree = Callable[[dict[str, str]], Path]
CLASS = "sys/class/power_supply"

MAINS = {f"{CLASS}/AC/type": "Mains\n", f"{CLASS}/AC/online": "1\n"}
UNPLUGGED = {**MAINS, f"{CLASS}/AC/online": "0\n"}
USB = {f"{CLASS}/ucsi-source-psy-1/type": "USB\n", f"{CLASS}/ucsi-source-psy-1/online": "1\n"}
MOUSE = {
    f"{CLASS}/hidpp_battery_0/type": "Battery\n",
    f"{CLASS}/hidpp_battery_0/scope": "Device\n",
    f"{CLASS}/hidpp_battery_0/status": "Discharging\n",
}


def battery(status: str) -> dict[str, str]:
    return {f"{CLASS}/BAT0/type": "Battery\n", f"{CLASS}/BAT0/status": f"{status}\n"}


@pytest.mark.parametrize(
    ("supplies", "on_battery"),
    [
        (UNPLUGGED | battery("Discharging"), True),
        (battery("Discharging"), True),
        (USB | battery("Discharging"), True),
        (MAINS | battery("Discharging"), False),  # as some say that are full
        (MAINS | battery("Charging"), False),
        (USB | battery("Not charging"), False),
        (UNPLUGGED, False),
        (MAINS | MOUSE, False),
        (MOUSE, False),
    ],
    ids=["unplugged", "no mains", "usb that feeds", "full", "charging", "usb", "no battery", "mouse", "mouse alone"],
)
def test_a_battery_that_is_discharged_and_no_mains(tree: Tree, supplies: dict[str, str], on_battery: bool) -> None:
    assert read_on_battery(tree(supplies)) is on_battery


def test_a_board_without_supplies_is_on_none(tmp_path: Path) -> None:
    (tmp_path / CLASS).mkdir(parents=True)
    assert read_on_battery(tmp_path) is False


def test_a_kernel_that_shows_none_leaves_it_open(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no /sys/class/power_supply"):
        read_on_battery(tmp_path)
