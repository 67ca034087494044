from collections.abc import Callable
from pathlib import Path

import pytest

from agent.telemetry import open_sensors
from agent.telemetry.board import SOURCES
from contract.profile import BrokenProfileError, profile_names, read_profile

Tree = Callable[[dict[str, str]], Path]


@pytest.fixture
def desktop(tree: Tree, meminfo: str, stat: str) -> Path:
    cpufreq = "sys/devices/system/cpu/cpu0/cpufreq"
    return tree(
        {
            "proc/meminfo": meminfo,
            "proc/stat": stat,
            "sys/class/thermal/thermal_zone0/type": "x86_pkg_temp\n",
            "sys/class/thermal/thermal_zone0/temp": "51000\n",
            "sys/class/thermal/thermal_zone1/type": "iwlwifi_1\n",
            f"{cpufreq}/scaling_cur_freq": "4200000\n",
            f"{cpufreq}/scaling_governor": "performance\n",
        }
    )


def test_telemetry_of_a_desktop(desktop: Path) -> None:
    telemetry = open_sensors(("procfs", "thermal"), desktop).read()
    assert telemetry.memory_total_bytes == 24684096 * 1024
    assert telemetry.swap_used_bytes == 1048576 * 1024
    assert telemetry.temperatures_c == {"x86_pkg_temp": 51}
    assert telemetry.clocks_mhz == {"cpu0": 4200}
    assert telemetry.power_mode == "performance"
    assert telemetry.unmet.keys() == {
        "cpu_percent",
        "temperatures_c.iwlwifi_1",
        "throttle_events",
        "throttled_by",
        "gpu_percent",
        "nvmap_used_bytes",
        "power_mw",
    }


def test_observation_of_a_desktop(desktop: Path) -> None:
    seen = open_sensors(("procfs", "thermal"), desktop).observe()
    assert seen.conditions.power_mode == "performance"
    assert seen.conditions.swap_used_bytes == 1048576 * 1024
    assert seen.clocks_held is True
    assert seen.unmet.keys() == {
        "throttle_events",
        "throttled_by",
        "temperatures_c.iwlwifi_1",
        "nvmap_used_bytes",
        "power_mw",
    }


def test_a_source_that_was_not_asked_for_is_not_read(desktop: Path) -> None:
    telemetry = open_sensors(("procfs",), desktop).read()
    assert telemetry.temperatures_c == {}
    assert "none of this profile's sensors" in telemetry.unmet["temperatures_c"]


def test_every_null_has_its_reason(tmp_path: Path) -> None:
    telemetry = open_sensors(("procfs", "thermal"), tmp_path).read()
    empty = {name for name, value in telemetry if value is None or value == {}}
    assert telemetry.unmet.keys() == empty == set(type(telemetry).model_fields) - {"unmet"}


def test_an_unknown_source_is_refused_by_name() -> None:
    with pytest.raises(BrokenProfileError, match=r"no source 'termal'.*apex, jetson, procfs, thermal"):
        open_sensors(("procfs", "termal"))


def test_a_source_has_the_name_of_its_file() -> None:
    assert {name: source.__module__ for name, source in SOURCES.items()} == {
        name: f"agent.telemetry.{name}" for name in SOURCES
    }


def test_a_jetson_s_power_mode_is_not_the_governor_of_its_cpus() -> None:
    """Of two sources that know a figure the first gives it."""
    for name in profile_names():
        sensors = read_profile(name).sensors
        if "jetson" in sensors:
            assert sensors.index("jetson") < sensors.index("thermal"), name


def test_every_profile_s_sensors_can_be_opened_and_read_here() -> None:
    for name in profile_names():
        telemetry = open_sensors(read_profile(name).sensors).read()
        assert telemetry.memory_available_bytes
