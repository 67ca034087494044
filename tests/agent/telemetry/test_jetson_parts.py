"""The parsers and thin reads under `jetson`."""

from collections.abc import Callable
from pathlib import Path

import pytest
import recorded

from agent.telemetry._jetson import gpu, rails, tegrastats, throttling

Tree = Callable[[dict[str, str]], Path]
DEVFREQ = "sys/class/devfreq"
MONITOR = "sys/class/hwmon/hwmon1"


def devfreq(folder: str, cur: str = "306000000", low: str = "306000000", high: str = "918000000") -> dict[str, str]:
    return {f"{folder}/cur_freq": f"{cur}\n", f"{folder}/min_freq": f"{low}\n", f"{folder}/max_freq": f"{high}\n"}


@pytest.mark.parametrize(
    "folder",
    [
        f"{DEVFREQ}/57000000.gpu",
        f"{DEVFREQ}/17000000.ga10b",
        f"{DEVFREQ}/17000000.gpu",
        f"{DEVFREQ}/17000000.gv11b",
        f"{DEVFREQ}/ga10b",
        "sys/devices/57000000.gpu/devfreq/57000000.gpu",
        "sys/devices/17000000.ga10b/devfreq/17000000.ga10b",
        "sys/devices/platform/17000000.gpu/devfreq_dev",
    ],
)
def test_where_a_gpu_is(tree: Tree, folder: str) -> None:
    root = tree(devfreq(folder) | devfreq(f"{DEVFREQ}/15340000.vic") | devfreq(f"{DEVFREQ}/15480000.nvdec"))
    assert gpu.find_gpu(root) == root / folder


def test_no_gpu_is_told_with_what_to_do(tree: Tree) -> None:
    with pytest.raises(ValueError, match=r"no GPU in /sys/class/devfreq.*boot again"):
        gpu.find_gpu(tree(devfreq(f"{DEVFREQ}/15340000.vic")))


@pytest.mark.parametrize(
    ("low", "high", "governor", "held"),
    [
        ("306000000", "918000000", "nvhost_podgov", False),
        ("918000000", "918000000", "nvhost_podgov", True),  # after jetson_clocks
        ("306000000", "918000000", "performance", True),  # how JetPack 7 switches scaling off
        ("306000000", "918000000", None, False),
    ],
)
def test_whether_its_clock_stands_still(tree: Tree, low: str, high: str, governor: str | None, held: bool) -> None:
    folder = f"{DEVFREQ}/17000000.gpu"
    extra = {f"{folder}/governor": f"{governor}\n"} if governor else {}
    clock = gpu.read_clock(tree(devfreq(folder, low=low, high=high) | extra) / folder)
    assert clock == gpu.GpuClock(306, 918, held)


@pytest.mark.parametrize(
    "folder", ["sys/devices/gpu.0", "sys/devices/platform/gpu.0", f"{DEVFREQ}/17000000.gpu/device"]
)
def test_its_load_in_thousandths(tree: Tree, folder: str) -> None:
    found = f"{DEVFREQ}/17000000.gpu"
    root = tree(devfreq(found) | {f"{folder}/load": "842\n"})
    assert gpu.read_load(root, root / found) == 84.2


@pytest.mark.parametrize("text", ["1001\n", "-1\n", "\n", "42 %\n"])
def test_what_is_no_load(text: str) -> None:
    with pytest.raises(ValueError):
        gpu.parse_load(text)


def test_no_load(tree: Tree) -> None:
    with pytest.raises(ValueError, match="no file `load`"):
        gpu.read_load(tree({}), Path("nowhere"))


@pytest.mark.parametrize("name", gpu._MEMORY_CLOCKS)
def test_the_memory_s_clock_for_root(tree: Tree, name: str) -> None:
    assert gpu.read_memory_clock(tree({name: "3199000000\n"})) == 3199


def test_the_memory_s_clock_for_others(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="no file that we know"):
        gpu.read_memory_clock(tree({}))

    def refused(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(gpu, "read_text", refused)
    with pytest.raises(ValueError, match="root alone can read"):
        gpu.read_memory_clock(tree({}))


def test_a_rail_without_a_current_is_none(tree: Tree) -> None:
    """The sum of the shunt voltages, a label alone, a monitor of another kind, and what is not connected."""
    root = tree(
        {
            f"{MONITOR}/name": "ina3221\n",
            f"{MONITOR}/in1_label": "VDD_IN\n",
            f"{MONITOR}/in1_input": "5000\n",
            f"{MONITOR}/curr1_input": "1500\n",
            f"{MONITOR}/in2_label": "NC\n",
            f"{MONITOR}/in2_input": "0\n",
            f"{MONITOR}/curr2_input": "0\n",
            f"{MONITOR}/in7_label": "sum of shunt voltages\n",
            f"{MONITOR}/in7_input": "12\n",
            f"{MONITOR}/in4_input": "1240\n",
            "sys/class/hwmon/hwmon0/name": "tmp451\n",
            "sys/class/hwmon/hwmon0/in1_label": "VDD_OTHER\n",
        }
    )
    assert rails.read_rails(root) == {"VDD_IN": 7500}


def test_a_monitor_without_a_name_is_left_out(tree: Tree) -> None:
    root = tree(
        {
            "sys/class/hwmon/hwmon0/temp1_input": "40000\n",
            f"{MONITOR}/name": "ina3221\n",
            f"{MONITOR}/in1_label": "VDD_IN\n",
            f"{MONITOR}/in1_input": "5000\n",
            f"{MONITOR}/curr1_input": "1500\n",
        }
    )
    assert rails.read_rails(root) == {"VDD_IN": 7500}


def test_no_power_monitor(tree: Tree) -> None:
    with pytest.raises(ValueError, match="no INA3221"):
        rails.read_rails(tree({"sys/class/hwmon/hwmon0/name": "pwmfan\n"}))


def test_a_rail_that_is_not_ours_to_read_is_an_error_not_a_gap(tree: Tree) -> None:
    root = tree({f"{MONITOR}/name": "ina3221\n", f"{MONITOR}/in1_label": "VDD_IN\n", f"{MONITOR}/curr1_input": "1\n"})
    (root / f"{MONITOR}/in1_input").mkdir()
    with pytest.raises(OSError):
        rails.read_rails(root)


def test_interrupts_are_summed_over_the_cpus() -> None:
    heads, soctherm = "            CPU0       CPU1", " 81:     7      8   LIC  48 Level   tegra_soctherm"
    edp = " 83:     2      40   LIC  51 Level   soctherm_edp"
    assert throttling.parse_interrupts(f"{heads}\n{soctherm}\n{edp}\n") == 42


@pytest.mark.parametrize("text", ["", "           CPU0\n 81:          7       LIC  48 Level     tegra_soctherm\n"])
def test_a_kernel_that_counts_nothing(text: str) -> None:
    with pytest.raises(ValueError, match="nothing counts throttling"):
        throttling.parse_interrupts(text)


def test_counters_of_an_orin_go_before_interrupts(tree: Tree) -> None:
    counter = "sys/class/hwmon/hwmon3/oc{}_event_cnt"
    root = tree({counter.format(1): "0\n", counter.format(3): "27390\n", "proc/interrupts": "83: 5 soctherm_edp\n"})
    assert throttling.read_throttle_events(root) == 27390


# Of each JetPack: GPU percent, GPU MHz, memory MHz, a temperature, a rail.
LINES = {
    "nano-jp46": (0, 76, 1600, ("GPU", 40), ("POM_5V_IN", 1750)),
    "orin-nano-jp51": (0, 0, 2133, ("tj", 44.343), ("VIN_SYS_5V0", 4025)),
    "orin-nano-jp62": (0, None, None, ("cpu", 50.031), ("VDD_CPU_GPU_CV", 518)),
    "orin-nano-jp72": (12, 1300, None, ("cpu", 52.968), ("VDD_GPU_SOC", 5139)),
}


@pytest.mark.parametrize("name", recorded.NAMES)
def test_a_line_of_tegrastats(name: str, tmp_path: Path) -> None:
    line = tegrastats.parse_line(recorded.build(name, tmp_path).commands["tegrastats"])
    percent, mhz, memory, (sensor, celsius), (rail, milliwatts) = LINES[name]
    assert (line.gpu_percent, line.gpu_mhz, line.memory_mhz) == (percent, mhz, memory)
    assert (line.temperatures_c[sensor], line.power_mw[rail]) == (celsius, milliwatts)
    assert not line.temperatures_c.keys() & {"PMIC", "CV0"}
    assert "NC" not in line.power_mw


@pytest.mark.parametrize(
    ("text", "percent", "mhz"),
    [
        ("RAM 1/2MB GR3D_FREQ 86%@921 VIC_FREQ 0%@140", 86, 921),
        ("RAM 1/2MB GR3D_FREQ 63%@[621]", 63, 621),
        ("RAM 1/2MB GR3D_FREQ @[314,314,314]", None, 314),
        ("RAM 1/2MB GR3D_FREQ 0% cpu@50C", 0, None),
        ("RAM 1/2MB", None, None),
    ],
)
def test_every_form_of_the_gpu(text: str, percent: float | None, mhz: float | None) -> None:
    line = tegrastats.parse_line(text)
    assert (line.gpu_percent, line.gpu_mhz) == (percent, mhz)


def test_what_is_no_line() -> None:
    with pytest.raises(ValueError, match="does not say what it should: 'tegrastats: stopped'"):
        tegrastats.parse_line("tegrastats: stopped\n")
