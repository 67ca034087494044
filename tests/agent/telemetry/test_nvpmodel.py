import math
from pathlib import Path

import pytest
import recorded

from agent.telemetry import nvpmodel
from agent.telemetry.nvpmodel import PowerMode, least_capped, parse_modes

# Of each JetPack: its modes in order, and the one that caps least.
MODES = {
    "nano-jp46": (["MAXN", "5W"], "MAXN"),
    "orin-nano-jp51": (["15W", "7W"], "15W"),
    "orin-nano-jp62": (["15W", "25W", "MAXN_SUPER"], "MAXN_SUPER"),
    "orin-nano-jp72": (["15W", "25W", "MAXN_SUPER", "7W"], "MAXN_SUPER"),
}


@pytest.mark.parametrize("name", recorded.NAMES)
def test_the_modes_of_a_recorded_board(name: str, tmp_path: Path) -> None:
    modes = nvpmodel.read_modes(recorded.build(name, tmp_path).root)
    names, least = MODES[name]
    assert [mode.name for mode in modes] == names
    assert [mode.id for mode in modes] == list(range(len(names)))
    found = least_capped(modes)
    assert found is not None
    assert found.name == least
    assert least_capped(tuple(reversed(modes))) == found  # neither the first nor the last, nor the highest id


def test_caps_are_read_up_to_the_next_section(tmp_path: Path) -> None:
    modes = nvpmodel.read_modes(recorded.build("orin-nano-jp51", tmp_path).root)
    assert modes == (
        PowerMode(0, "15W", math.inf, math.inf, 6),
        PowerMode(1, "7W", 408e6, 960000, 4),
    )


def test_comments_and_sections_of_other_things_are_no_modes() -> None:
    others = "# < POWER_MODEL ID=9 NAME=X >\n< PARAM TYPE=CLOCK NAME=GPU >\n"
    mode = "<  POWER_MODEL  ID=3  NAME=MODE_30W_6CORE >\nGPU MAX_FREQ 5 # hertz\n"
    assert parse_modes(others + mode) == (PowerMode(3, "MODE_30W_6CORE", 5),)


@pytest.mark.parametrize("text", ["", "# nothing\n", "< PM_CONFIG DEFAULT=0 >\n"])
def test_a_configuration_without_modes(text: str) -> None:
    with pytest.raises(ValueError, match="no POWER_MODEL"):
        parse_modes(text)


def test_a_cap_that_is_no_number() -> None:
    with pytest.raises(ValueError, match="much"):
        parse_modes("< POWER_MODEL ID=0 NAME=A >\nGPU MAX_FREQ much\n")


def test_a_user_s_copy_of_the_mode_without_caps_comes_after_nvidia_s() -> None:
    modes = (PowerMode(3, "MAXN_SUPER_JC"), PowerMode(2, "MAXN_SUPER"), PowerMode(0, "15W", 612e6))
    assert least_capped(modes) == modes[1]
    assert least_capped((modes[2], PowerMode(1, "30W_2", 612e6))) is None
    assert least_capped(()) is None


def test_of_modes_with_one_gpu_clock_that_with_most_cpus_is_freer() -> None:
    modes = (PowerMode(4, "30W_6CORE", 9e8, 1450000, 6), PowerMode(3, "30W_ALL", 9e8, 1200000, 8))
    assert least_capped(modes) == modes[1]


@pytest.mark.parametrize(
    ("text", "mode"), [("pmode:0002 fmode:fan_mode_quiet\n", 2), ("pmode:0000\n", 0), ("fmode:cool pmode:8", 8)]
)
def test_the_status(text: str, mode: int) -> None:
    assert nvpmodel.parse_status(text) == mode


@pytest.mark.parametrize("text", ["", "fmode:quiet\n", "pmode:\n"])
def test_a_status_that_names_no_mode(text: str) -> None:
    with pytest.raises(ValueError, match="names no mode"):
        nvpmodel.parse_status(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("NV Power Mode: MAXN\n0\n", ("MAXN", 0)),
        (
            "NV Fan Mode:quiet\nNV Power Mode: MODE_15W_DESKTOP\n7\nNVPM ERROR: Error opening /sys/x: 13\n",
            ("MODE_15W_DESKTOP", 7),
        ),
        ("NVPM WARN: fan mode is not set to cool\nNV Power Mode: MAXN_SUPER\n2\n", ("MAXN_SUPER", 2)),
    ],
)
def test_what_nvpmodel_says(text: str, told: tuple[str, int]) -> None:
    assert nvpmodel.parse_query(text) == told


def test_what_nvpmodel_does_not_say() -> None:
    with pytest.raises(ValueError, match="names no mode: 'NVPM ERROR: no conf'"):
        nvpmodel.parse_query("NVPM ERROR: no conf\n")
