"""What /stats shows of recorded boards."""

import io
from pathlib import Path

import pytest
import recorded
from rich.console import Console

from agent.telemetry import open_sensors
from contract.api import NOT_FOR_THIS_BOARD, Stats, Telemetry
from host.report.stats import stats_table

SENSORS = ("procfs", "jetson", "thermal")

# Of each board: what its lines say. Rails are told one by one: VDD_IN is the module's, and others are part of it.
SAID = {
    "nano-jp46": (
        "GPU 12 %, memory 2.0 of 3.9 GiB free, 0.4 GiB held by the GPU, 0.2 GiB swapped out",
        "clocks up to 1,428 MHz, GPU clock 154 MHz, power mode MAXN",
        "POM_5V_IN 1.75 W, POM_5V_GPU 0.00 W, POM_5V_CPU 0.37 W, throttled 3 times since it was started",
    ),
    "orin-nano-jp51": (
        "GPU 0 %, memory 5.4 of 7.4 GiB free, 0.8 GiB held by the GPU",
        "clocks up to 730 MHz, GPU clock 306 MHz, power mode 7W",
        "VDD_IN 4.17 W, VDD_CPU_GPU_CV 0.79 W",
    ),
    "orin-nano-jp62": (
        "GPU 84 %",
        "clocks up to 1,728 MHz, GPU clock 1,020 MHz, power mode MAXN_SUPER",
        "VDD_IN 7.52 W, VDD_CPU_GPU_CV 2.01 W, VDD_SOC 2.51 W, throttled 27,390 times since it was started",
    ),
    "orin-nano-jp72": (
        "GPU 100 %, memory 4.1 of 7.4 GiB free",
        "cpu-thermal 93 °C",
        "clocks up to 1,344 MHz, GPU clock 612 MHz, power mode 25W",
        "VDD_IN 9.25 W, throttled by gpu-throttle-alert, devfreq-17000000.gpu, throttled 53 times since it was started",
    ),
}


def shown(board: Telemetry, width: int = 80) -> str:
    """In one line, however it was folded."""
    stats = Stats(
        version="0.1.0", profile="jetson-nano", uptime_s=1.0, held_by=None, models=(), board=board, agent_rss_bytes=1
    )
    buffer = io.StringIO()
    Console(file=buffer, width=width).print(stats_table(stats))
    assert max(map(len, buffer.getvalue().splitlines())) <= width
    return " ".join(buffer.getvalue().split())


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", recorded.NAMES)
def test_a_recorded_board(name: str, width: int, tmp_path: Path) -> None:
    text = shown(open_sensors(SENSORS, recorded.build(name, tmp_path).root).read(), width)
    for said in SAID[name]:
        assert said in text
    assert ("throttled by" in text) == (name == "orin-nano-jp72")
    assert "throttled 0" not in text


def test_what_a_sensor_does_not_tell_is_named_without_its_unit(tmp_path: Path) -> None:
    text = shown(open_sensors(SENSORS, recorded.build("nano-jp46", tmp_path).root).read(), 400)
    assert "Not read: clocks.emc (" in text
    assert "Not read: temperatures.PMIC-Die (100 C is a constant" in text


def test_what_this_kind_of_board_does_not_have_is_not_said_at_all(tmp_path: Path) -> None:
    """A desktop has no rails: not news. That its kernel shows no thermal zone is."""
    telemetry = open_sensors(("procfs", "thermal"), tmp_path).read()
    assert NOT_FOR_THIS_BOARD in telemetry.unmet.values()
    text = shown(telemetry)
    assert "GPU" not in text
    assert "power" not in text.replace("power mode", "")
    assert "nvmap" not in text
    assert "Not read: temperatures (the kernel shows no thermal zone)" in text


def test_an_agent_from_before_these_figures() -> None:
    """Its reply lacks them."""
    old = {
        "cpu_percent": 3.0,
        "memory_total_bytes": 2**32,
        "memory_available_bytes": 2**31,
        "swap_used_bytes": 0,
        "temperatures_c": {},
        "clocks_mhz": {},
        "power_mode": None,
        "unmet": {},
    }
    assert shown(Telemetry.model_validate(old)).endswith("Board: CPU 3 %, memory 2.0 of 4.0 GiB free")
