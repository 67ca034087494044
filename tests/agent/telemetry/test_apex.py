"""The Edge TPU's temperature and trip points, over a board put together of what others have published."""

from pathlib import Path

import pytest
import recorded

from agent.telemetry import OtherLoad, judge, open_sensors
from agent.telemetry.apex import Apex
from contract.profile import read_profile

DEVICE = "sys/class/apex/apex_0"
COOLING = "sys/class/thermal/cooling_device0/cur_state"
QUIET = OtherLoad(cores=0.0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return recorded.build("../coral-mendel5", tmp_path).root


def at(root: Path, celsius: float) -> Path:
    (root / DEVICE / "temp").write_text(f"{celsius * 1000:.0f}\n")
    return root


def test_the_board_as_its_profile_reads_it(root: Path) -> None:
    sensors = open_sensors(read_profile("coral").sensors, root)
    telemetry = sensors.read()
    assert telemetry.temperatures_c == {"edgetpu": 62.3, "cpu_thermal_zone": 55.0}
    assert (telemetry.power_mode, telemetry.throttled_by) == ("ondemand", ())
    assert telemetry.throttle_events is None
    assert "known of the moments before and after alone" in telemetry.unmet["throttle_events"]
    assert sensors.observe().clocks_held is False


@pytest.mark.parametrize(
    ("celsius", "held_by"),
    [
        (-10, ()),
        (84.55, ()),
        (84.8, ("edgetpu trip_point0_temp",)),
        (89.55, ("edgetpu trip_point0_temp",)),
        (89.8, ("edgetpu trip_point1_temp",)),
        (94.8, ("edgetpu trip_point2_temp",)),
        (105, ("edgetpu trip_point2_temp",)),
    ],
)
def test_a_trip_point_that_is_reached_holds_the_clock_down(
    root: Path, celsius: float, held_by: tuple[str, ...]
) -> None:
    readings = Apex(at(root, celsius)).read()
    assert (readings.throttled_by, readings.temperatures_c) == (held_by, {"edgetpu": celsius})


def test_a_driver_that_never_looks_never_holds_it_down(root: Path) -> None:
    (root / DEVICE / "temp_poll_interval").write_text("0\n")
    assert Apex(at(root, 99)).read().throttled_by == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("-89700", "-89.7 C is no temperature: the Edge TPU does not answer (status ALIVE)"),
        ("", "not a number: ''"),
        (None, "No such file"),
    ],
)
def test_a_temperature_that_is_none_has_its_reason(root: Path, text: str | None, reason: str) -> None:
    (root / DEVICE / "temp").unlink()
    if text is not None:
        (root / DEVICE / "temp").write_text(f"{text}\n")
    telemetry = open_sensors(("apex", "thermal"), root).read()
    assert "edgetpu" not in telemetry.temperatures_c
    assert telemetry.throttled_by is None  # the cooling devices alone do not tell of the Edge TPU
    for figure in ("temperatures_c.edgetpu", "throttled_by"):
        assert reason in telemetry.unmet[figure]


def test_a_driver_without_trip_points_tells_the_temperature_alone(root: Path) -> None:
    (root / DEVICE / "trip_point1_temp").unlink()
    readings = Apex(root).read()
    assert (readings.temperatures_c, readings.throttled_by) == ({"edgetpu": 62.3}, None)
    assert readings.unmet.keys() == {"throttled_by", "throttle_events"}


def test_a_board_without_one(tmp_path: Path) -> None:
    readings = Apex(tmp_path).read()
    assert (readings.temperatures_c, readings.throttled_by) == ({}, None)
    assert (
        readings.unmet["temperatures_c.edgetpu"] == "there is no Edge TPU: the kernel shows no /sys/class/apex/apex_0"
    )


def test_what_holds_the_cpu_down_is_told_beside_it(root: Path) -> None:
    (root / COOLING).write_text("2\n")
    assert open_sensors(("apex", "thermal"), at(root, 62.3)).read().throttled_by == ("thermal-cpufreq-0",)
    both = ("edgetpu trip_point0_temp", "thermal-cpufreq-0")
    assert open_sensors(("apex", "thermal"), at(root, 85.3)).read().throttled_by == both


@pytest.mark.parametrize("hot", ["before", "after"])
def test_a_bench_at_a_trip_point_is_flagged(root: Path, hot: str) -> None:
    sensors = open_sensors(("procfs", "apex", "thermal"), root)
    seen = {}
    for moment in ("before", "after"):
        at(root, 86.0 if moment == hot else 70.0)
        seen[moment] = sensors.observe()
    assert judge(seen["before"], seen["after"], QUIET).flags == ("throttled",)


def test_a_governor_that_follows_the_load_is_no_proof_of_steady_clocks(root: Path) -> None:
    """Of an Edge TPU below its trip points there is nothing to say: the CPUs' governor decides."""
    sensors = open_sensors(("apex", "thermal"), root)
    before = sensors.observe()
    assert "clocks follow the load (ondemand)" in judge(before, sensors.observe(), QUIET).unmet["flags.clocks_moved"]
    (root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").write_text("performance\n")
    assert sensors.observe().clocks_held is True
    assert "clocks_moved" in judge(before, sensors.observe(), QUIET).flags
