"""Which rail feeds the whole board: of recorded boards, and of those that tell none."""

from collections.abc import Callable
from pathlib import Path

import pytest
import recorded

from agent.telemetry._jetson import rails
from agent.telemetry.input_rail import find_input_rail
from agent.telemetry.readings import read_text

Tree = Callable[[dict[str, str]], Path]
MONITOR = "sys/class/hwmon/hwmon1"
EXPECTED = {
    "nano-jp46": ("POM_5V_IN", 1750),
    "orin-nano-jp51": ("VDD_IN", 4920 * 848 / 1000),
    "orin-nano-jp62": ("VDD_IN", 7524),
    "orin-nano-jp72": ("VDD_IN", 4984 * 1856 / 1000),
}


def test_every_recorded_board_is_expected() -> None:
    assert set(EXPECTED) == set(recorded.NAMES)


@pytest.mark.parametrize("name", recorded.NAMES)
def test_the_rail_of_a_recorded_board(name: str, tmp_path: Path) -> None:
    rail = find_input_rail(recorded.build(name, tmp_path).root)
    assert (rail.name, rail.read_mw()) == (EXPECTED[name][0], pytest.approx(EXPECTED[name][1]))


def test_it_is_read_anew_each_time(tmp_path: Path) -> None:
    root = recorded.build("orin-nano-jp62", tmp_path).root
    rail = find_input_rail(root)
    (root / MONITOR / "curr1_input").write_text("2000\n")
    assert rail.read_mw() == pytest.approx(5016 * 2000 / 1000)


def test_a_desktop_has_none_and_says_what_its_cpu_measures(tree: Tree) -> None:
    with pytest.raises(ValueError, match="no sensor reads the power of the whole board") as bare:
        find_input_rail(tree({"sys/class/hwmon/hwmon0/name": "coretemp\n"}))
    assert "RAPL" not in str(bare.value)
    with pytest.raises(ValueError, match="RAPL tells of the CPU alone"):
        find_input_rail(tree({"sys/class/powercap/intel-rapl:0/energy_uj": "1\n"}))


def test_rails_none_of_which_feeds_the_board_are_not_added_up(tree: Tree) -> None:
    monitor = {"name": "ina3221", "in1_label": "VDD_GPU_SOC", "in1_input": "5000", "curr1_input": "700"}
    with pytest.raises(ValueError, match="none of the rails VDD_GPU_SOC is known to feed the whole board"):
        find_input_rail(tree({f"{MONITOR}/{file}": f"{text}\n" for file, text in monitor.items()}))


@pytest.mark.parametrize(
    ("unreadable", "error", "why"),
    [
        ("rail_name_0", PermissionError(13, "Permission denied"), "the power monitor is root's alone: .*denied"),
        ("rail_name_0", OSError(5, "Input/output error"), "the power monitor cannot be read: .*Input/output error"),
        ("in_power0_input", PermissionError(13, "Permission denied"), "POM_5V_IN cannot be read: .*denied"),
    ],
)
def test_what_cannot_be_read_has_that_as_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unreadable: str, error: OSError, why: str
) -> None:
    def read(path: Path) -> str:
        if path.name == unreadable:
            raise error
        return read_text(path)

    monkeypatch.setattr(rails, "read_text", read)
    with pytest.raises(ValueError, match=why):
        find_input_rail(recorded.build("nano-jp46", tmp_path).root)
