import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.telemetry import thermal
from agent.telemetry.thermal import Thermal

Tree = Callable[[dict[str, str]], Path]
ZONES = "sys/class/thermal/thermal_zone"
CPU = "sys/devices/system/cpu/cpu"

# Zones of a Jetson Nano (JetPack 4), values from the tegrastats line in issue 1206 of dusty-nv/jetson-inference.
NANO = {
    "AO-therm": "47500\n",
    "CPU-therm": "44000\n",
    "GPU-therm": "42500\n",
    "PLL-therm": "39000\n",
    "PMIC-Die": "100000\n",
    "thermal-fan-est": "42500\n",
}


def zones(temperatures: dict[str, str]) -> dict[str, str]:
    files: dict[str, str] = {}
    for number, (kind, text) in enumerate(temperatures.items()):
        files |= {f"{ZONES}{number}/type": f"{kind}\n", f"{ZONES}{number}/temp": text}
    return files


def cpufreq(cpu: int, khz: str = "1428000", governor: str = "schedutil", low: str = "102000") -> dict[str, str]:
    folder = f"{CPU}{cpu}/cpufreq"
    return {
        f"{folder}/scaling_cur_freq": f"{khz}\n",
        f"{folder}/scaling_governor": f"{governor}\n",
        f"{folder}/scaling_min_freq": f"{low}\n",
        f"{folder}/scaling_max_freq": "1428000\n",
    }


def test_a_jetson_nano(tree: Tree) -> None:
    readings = Thermal(tree(zones(NANO))).read()
    assert readings.temperatures_c == {
        "AO-therm": 47.5,
        "CPU-therm": 44,
        "GPU-therm": 42.5,
        "PLL-therm": 39,
        "thermal-fan-est": 42.5,
    }
    assert "constant" in readings.unmet["temperatures_c.PMIC-Die"]


@pytest.mark.parametrize(
    ("zone", "text", "celsius"), [("PMIC-Die", "120000\n", 120), ("CPU-therm", "50000\n", 50), ("cpu", "100000", 100)]
)
def test_what_only_looks_like_the_constant(zone: str, text: str, celsius: float) -> None:
    """120 degrees are the power chip's alarm."""
    assert thermal.parse_temperature(zone, text) == celsius


@pytest.mark.parametrize("text", ["50000\n", "100000\n"])
def test_the_power_chip_of_a_nano_is_not_measured(text: str) -> None:
    with pytest.raises(ValueError, match="a constant of this sensor"):
        thermal.parse_temperature("PMIC-Die", text)


@pytest.mark.parametrize("text", ["-256000\n", "-274000\n", "\n", "<unknown>\n", "4 2"])
def test_what_is_no_temperature_is_left_out_with_the_reason(tree: Tree, text: str) -> None:
    readings = Thermal(tree(zones({"gpu-thermal": text, "cpu-thermal": "-5500\n"}))).read()
    assert readings.temperatures_c == {"cpu-thermal": -5.5}
    assert "temperatures_c.gpu-thermal" in readings.unmet
    assert "temperatures_c" not in readings.unmet


def test_a_zone_without_power_is_left_out_with_the_reason(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """EAGAIN: what Orin's kernel answers for such a zone; no file on a disk does."""

    def without_power(path: Path) -> str:
        if path.parent.name == "thermal_zone1" and path.name == "temp":
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        return path.read_text()

    monkeypatch.setattr(thermal, "read_text", without_power)
    readings = Thermal(tree(zones({"cpu-thermal": "50031\n", "cv0-thermal": "0\n"}))).read()
    assert readings.temperatures_c == {"cpu-thermal": 50.031}
    assert "temporarily unavailable" in readings.unmet["temperatures_c.cv0-thermal"]


def test_zones_of_one_type_are_told_apart_by_their_number(tree: Tree) -> None:
    root = tree(
        {f"{ZONES}{number}/type": "acpitz\n" for number in (0, 2, 10)}
        | {f"{ZONES}{number}/temp": f"{number}000\n" for number in (0, 2)}
        | {f"{ZONES}3/type": "x86_pkg_temp\n", f"{ZONES}3/temp": "61000\n"}
    )
    readings = Thermal(root).read()
    assert list(readings.temperatures_c) == ["acpitz#0", "acpitz#2", "x86_pkg_temp"]
    assert "temperatures_c.acpitz#10" in readings.unmet


def test_a_zone_without_a_type_has_its_folder_s_name(tree: Tree) -> None:
    assert Thermal(tree({f"{ZONES}7/temp": "30000\n"})).read().temperatures_c == {"thermal_zone7": 30}


def test_clocks_are_in_mhz_and_in_order(tree: Tree) -> None:
    root = tree(cpufreq(10, "800000") | cpufreq(9) | {f"{CPU}freq/boost": "1\n", f"{CPU}11/topology/core_id": "1\n"})
    readings = Thermal(root).read()
    assert list(readings.clocks_mhz.items()) == [("cpu9", 1428), ("cpu10", 800)]
    assert readings.power_mode == "schedutil"


def test_cpufreq_through_links_as_the_kernel_has_it(tree: Tree, tmp_path: Path) -> None:
    tree({f"{CPU}{cpu}/online": "1\n" for cpu in (0, 1)})
    tree({name.replace("cpu0/cpufreq", "cpufreq/policy0"): text for name, text in cpufreq(0).items()})
    for cpu in (0, 1):
        (tmp_path / f"{CPU}{cpu}/cpufreq").symlink_to("../cpufreq/policy0")
    assert Thermal(tmp_path).read().clocks_mhz == {"cpu0": 1428, "cpu1": 1428}


def test_an_unreadable_clock_is_left_out_with_the_reason(tree: Tree) -> None:
    readings = Thermal(tree(cpufreq(0, "<unknown>") | cpufreq(1))).read()
    assert readings.clocks_mhz == {"cpu1": 1428}
    assert "<unknown>" in readings.unmet["clocks_mhz.cpu0"]


@pytest.mark.parametrize(
    ("cpus", "mode", "held"),
    [
        (cpufreq(0) | cpufreq(1), "schedutil", False),
        (cpufreq(0, governor="performance") | cpufreq(1, governor="performance"), "performance", True),
        (cpufreq(0, governor="performance") | cpufreq(1), "performance+schedutil", False),
        (cpufreq(0, low="1428000") | cpufreq(1, low="1428000"), "schedutil", True),
    ],
    ids=["scaling", "performance", "differing", "pinned by limits"],
)
def test_clocks_are_held_by_the_governor_or_the_limits(tree: Tree, cpus: dict[str, str], mode: str, held: bool) -> None:
    readings = Thermal(tree(cpus)).read()
    assert (readings.power_mode, readings.clocks_held) == (mode, held)


def test_the_highest_clocks_that_are_allowed(tree: Tree) -> None:
    readings = Thermal(tree(cpufreq(0) | cpufreq(1) | {f"{CPU}1/cpufreq/scaling_max_freq": "918000\n"})).read()
    assert readings.clock_limits_mhz == {"cpu0": 1428, "cpu1": 918}


def test_a_cpu_that_is_off_is_left_out(tree: Tree) -> None:
    """Its folder stays, and the kernel answers EBUSY: here, no file is there at all."""
    off = {f"{CPU}1/online": "0\n", f"{CPU}1/cpufreq/related_cpus": "1\n"}
    readings = Thermal(tree(cpufreq(0, governor="performance") | {f"{CPU}0/online": "1\n"} | off)).read()
    assert readings.clocks_mhz == {"cpu0": 1428}
    assert (readings.power_mode, readings.clocks_held) == ("performance", True)
    assert not [key for key in readings.unmet if "cpu1" in key]


def cooling(*devices: tuple[str, str]) -> dict[str, str]:
    folder = "sys/class/thermal/cooling_device{}"
    files: dict[str, str] = {}
    for number, (kind, state) in enumerate(devices):
        files |= {f"{folder.format(number)}/type": f"{kind}\n", f"{folder.format(number)}/cur_state": state}
    return files


@pytest.mark.parametrize(
    "kind",
    [
        "Processor",
        "thermal-cpufreq-0",
        "cpufreq-cpu0",
        "thermal-devfreq-1",
        "devfreq-17000000.gpu",
        "cpu-throttle-alert",
        "gpu-balanced",
    ],
)
def test_what_holds_clocks_down(tree: Tree, kind: str) -> None:
    root = tree(cooling((kind, "2\n"), ("pwm-fan", "3\n"), (kind, "1\n"), ("Processor", "0\n")))
    assert Thermal(root).read().throttled_by == (kind,)


@pytest.mark.parametrize("kind", ["pwm-fan", "Fan", "hot-surface-alert", "intel_powerclamp", "user-set-speed"])
def test_what_cools_without_holding_clocks_down(tree: Tree, kind: str) -> None:
    readings = Thermal(tree(cooling((kind, "1\n")))).read()
    assert readings.throttled_by == ()
    assert "throttled_by" not in readings.unmet


def test_a_state_that_cannot_be_read_is_not_taken_for_none(tree: Tree) -> None:
    readings = Thermal(tree(cooling(("cpu-throttle-alert", "<busy>\n")))).read()
    assert readings.throttled_by is None
    assert "<busy>" in readings.unmet["throttled_by"]


def test_throttle_counters_are_summed(tree: Tree) -> None:
    folder = "thermal_throttle"
    root = tree(
        {
            f"{CPU}0/{folder}/core_throttle_count": "3\n",
            f"{CPU}0/{folder}/package_throttle_count": "4\n",
            f"{CPU}1/{folder}/core_throttle_count": "0\n",
            f"{CPU}0/{folder}/core_throttle_total_time_ms": "99\n",
        }
    )
    assert Thermal(root).read().throttle_events == 7


def test_a_virtual_machine_has_none_of_it_and_says_so(tree: Tree) -> None:
    readings = Thermal(tree({})).read()
    assert (readings.temperatures_c, readings.clocks_mhz) == ({}, {})
    assert (readings.power_mode, readings.clocks_held, readings.throttle_events) == (None, None, None)
    assert readings.unmet.keys() == {
        "temperatures_c",
        "clocks_mhz",
        "clock_limits_mhz",
        "power_mode",
        "clocks_held",
        "throttle_events",
        "throttled_by",
    }
