"""The source as a whole, over recorded boards; its parts are in test_jetson_parts.py."""

import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import recorded

from agent.telemetry import OtherLoad, jetson, judge, open_sensors
from agent.telemetry.jetson import Jetson

Tree = Callable[[dict[str, str]], Path]
SENSORS = ("procfs", "jetson", "thermal")
RAIL = "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_0"


class Program:
    """Answers with a text, or fails, and counts how often it was asked."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.error: Exception | None = None
        self.asked: list[Sequence[str]] = []

    def __call__(self, command: Sequence[str]) -> str:
        self.asked.append(command)
        if self.error:
            raise self.error
        if not self.answer:
            raise ValueError(f"{command[0]} says nothing")
        return self.answer


# What of each board is known: mode, GPU in MHz, its limit, load, whether clocks are held, throttle events.
EXPECTED = {
    "nano-jp46": ("MAXN", 153.6, 921.6, 12, False, 3),
    "orin-nano-jp51": ("7W", 306, 408, 0, False, 0),
    "orin-nano-jp62": ("MAXN_SUPER", 1020, 1020, 84.2, True, 27390),
    "orin-nano-jp72": ("25W", 612, 918, 100, False, 53),
}
POWER_MW = {
    "nano-jp46": {"POM_5V_IN": 1750, "POM_5V_GPU": 0, "POM_5V_CPU": 366},
    "orin-nano-jp51": {"VDD_IN": 4920 * 848 / 1000, "VDD_CPU_GPU_CV": 4920 * 160 / 1000},
    "orin-nano-jp62": {"VDD_IN": 7524, "VDD_CPU_GPU_CV": 2006.4, "VDD_SOC": 2508},
    "orin-nano-jp72": {"VDD_IN": 4984 * 1856 / 1000},
}
NVMAP_KIB = {"nano-jp46": 471460, "orin-nano-jp51": 805068, "orin-nano-jp62": 1805068, "orin-nano-jp72": None}


def test_every_recorded_board_is_expected() -> None:
    assert set(recorded.NAMES) == set(EXPECTED) == set(POWER_MW) == set(NVMAP_KIB)


@pytest.mark.parametrize("name", recorded.NAMES)
def test_a_recorded_board(name: str, tmp_path: Path) -> None:
    sensors = open_sensors(SENSORS, recorded.build(name, tmp_path).root)
    telemetry, seen = sensors.read(), sensors.observe()
    told = (
        telemetry.power_mode,
        telemetry.clocks_mhz["gpu"],
        seen.clock_limits_mhz["gpu"],
        telemetry.gpu_percent,
        seen.clocks_held,
        telemetry.throttle_events,
    )
    assert told == EXPECTED[name]
    assert telemetry.power_mw == pytest.approx(POWER_MW[name])
    kib = NVMAP_KIB[name]
    assert telemetry.nvmap_used_bytes == (None if kib is None else kib * 1024)
    assert ("nvmap_used_bytes" in telemetry.unmet) == (kib is None)
    assert "clocks_mhz.emc" in telemetry.unmet
    assert not telemetry.unmet.keys() & {"power_mode", "power_mw", "clocks_mhz.gpu", "throttle_events", "gpu_percent"}
    conditions = seen.conditions
    assert (conditions.power_mw, conditions.nvmap_used_bytes) == (telemetry.power_mw, telemetry.nvmap_used_bytes)
    assert (conditions.throttle_events, conditions.power_mode) == (telemetry.throttle_events, telemetry.power_mode)


@pytest.mark.parametrize("name", recorded.NAMES)
def test_temperatures_of_a_recorded_board(name: str, tmp_path: Path) -> None:
    """Zones that are off or constant are left out with the reason; no program is asked for temperatures then."""
    telemetry = open_sensors(SENSORS, recorded.build(name, tmp_path).root).read()
    assert telemetry.temperatures_c
    assert all(20 < celsius < 100 for celsius in telemetry.temperatures_c.values())
    off = {key.partition(".")[2] for key in telemetry.unmet if key.startswith("temperatures_c.")}
    assert (
        off
        == {
            "nano-jp46": {"PMIC-Die"},
            "orin-nano-jp51": {"GPU-therm", "CV0-therm"},
            "orin-nano-jp62": {"cv0-thermal", "cv1-thermal", "cv2-thermal"},
            "orin-nano-jp72": set(),
        }[name]
    )


def test_what_throttles_a_hot_board(tmp_path: Path) -> None:
    telemetry = open_sensors(SENSORS, recorded.build("orin-nano-jp72", tmp_path).root).read()
    assert telemetry.throttled_by == ("gpu-throttle-alert", "devfreq-17000000.gpu")


def test_a_jetson_counts_current_and_no_heat(tmp_path: Path) -> None:
    """Where its cooling devices cannot be read, that is told, though the counter stood still."""
    board = recorded.build("orin-nano-jp62", tmp_path)
    seen = open_sensors(SENSORS, board.root).observe()
    assert judge(seen, seen, OtherLoad(0.0)).unmet.keys().isdisjoint({"flags.throttled"})
    shutil.rmtree(board.root / "sys/class/thermal")
    blind = open_sensors(SENSORS, board.root).observe()
    verdict = judge(blind, blind, OtherLoad(0.0))
    assert "throttled" not in verdict.flags
    assert "the kernel shows no cooling device" in verdict.unmet["flags.throttled"]


def test_a_fan_and_a_warm_case_throttle_nothing(tmp_path: Path) -> None:
    telemetry = open_sensors(SENSORS, recorded.build("orin-nano-jp62", tmp_path).root).read()
    assert telemetry.throttled_by == ()


def test_cpus_that_the_mode_switches_off_are_no_trouble(tmp_path: Path) -> None:
    """Their cpufreq folder stays, and cannot be read."""
    telemetry = open_sensors(SENSORS, recorded.build("orin-nano-jp51", tmp_path).root).read()
    assert telemetry.clocks_mhz == {"cpu0": 729.6, "gpu": 306}
    assert not [key for key in telemetry.unmet if "cpu4" in key]


def test_where_files_tell_no_program_is_asked(tmp_path: Path) -> None:
    board = recorded.build("nano-jp46", tmp_path)
    query, line = Program(board.commands["nvpmodel"]), Program(board.commands["tegrastats"])
    Jetson(board.root, query, line).read()
    assert (query.asked, line.asked) == ([], [])


@pytest.mark.parametrize("name", recorded.NAMES)
def test_how_it_is_set_is_read_without_a_rail_or_tegrastats(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = recorded.build(name, tmp_path)
    line = Program(board.commands["tegrastats"])
    read = Jetson(board.root).read()
    monkeypatch.setattr(jetson, "read_rails", lambda _root: pytest.fail("a rail was read"))
    told = Jetson(board.root, line=line).settings()
    assert (told.power_mode, told.clocks_held, told.unmet) == (read.power_mode, read.clocks_held, {})
    assert line.asked == []


def test_a_setting_that_cannot_be_read_has_its_reason(tree: Tree) -> None:
    told = Jetson(tree({}), Program("")).settings()
    assert (told.power_mode, told.clocks_held) == (None, None)
    assert "nvpmodel says nothing" in told.unmet["power_mode"]
    assert "devfreq" in told.unmet["clocks_held"]


@pytest.mark.parametrize("name", [name for name in recorded.NAMES if name != "orin-nano-jp72"])
@pytest.mark.parametrize("gone", ["var/lib/nvpmodel/status", "etc/nvpmodel.conf"])
def test_the_mode_of_nvpmodel_where_files_do_not_tell(name: str, gone: str, tmp_path: Path) -> None:
    board = recorded.build(name, tmp_path)
    (board.root / gone).unlink()
    query = Program(board.commands["nvpmodel"])
    assert Jetson(board.root, query).read().power_mode == EXPECTED[name][0]
    assert query.asked == [("nvpmodel", "-q")]


def test_no_mode_has_both_reasons(tmp_path: Path) -> None:
    board = recorded.build("nano-jp46", tmp_path)
    (board.root / "var/lib/nvpmodel/status").write_text("pmode:0007\n")
    readings = Jetson(board.root, Program("")).read()
    assert readings.power_mode is None
    assert "mode 7 of /var/lib/nvpmodel/status" in readings.unmet["power_mode"]
    assert "nvpmodel says nothing" in readings.unmet["power_mode"]


def test_rails_that_are_root_s_come_from_tegrastats(tmp_path: Path) -> None:
    board = recorded.build("nano-jp46", tmp_path)
    (board.root / RAIL).unlink()
    (board.root / RAIL).mkdir()
    line = Program(board.commands["tegrastats"])
    source = Jetson(board.root, line=line)
    readings = source.read()
    assert readings.power_mw == {"POM_5V_IN": 1750, "POM_5V_GPU": 0, "POM_5V_CPU": 366}
    assert readings.clocks_mhz == {"gpu": 153.6, "emc": 1600}  # the GPU's as sysfs has it
    assert readings.temperatures_c == {}  # the kernel has zones: they are another source's
    assert "power_mw" in readings.unmet  # of sysfs; `combine` drops the reason of what is known
    assert open_sensors(SENSORS, board.root).read().power_mw == {}


def test_a_board_that_shows_nothing_but_tegrastats(tree: Tree, tmp_path: Path) -> None:
    line = Program(recorded.build("orin-nano-jp51", tmp_path / "other").commands["tegrastats"])
    readings = Jetson(tree({"proc/meminfo": "MemTotal: 1 kB\n"}), line=line).read()
    assert readings.gpu_percent == 0
    assert readings.clocks_mhz == {"gpu": 0, "emc": 2133}
    assert readings.power_mw["VIN_SYS_5V0"] == 4025
    assert readings.temperatures_c == {"CPU": 44.562, "Tboard": 32, "SOC2": 40.093, "tj": 44.343}
    assert readings.clocks_held is None
    assert "devfreq" in readings.unmet["clocks_held"]


@pytest.mark.parametrize("answer", ["", "tegrastats: not found", "RAM 1/2MB nothing of use"])
def test_tegrastats_is_not_asked_again_for_what_it_does_not_tell(tree: Tree, answer: str) -> None:
    line = Program(answer)
    source = Jetson(tree({"proc/meminfo": "MemTotal: 1 kB\n"}), line=line)
    first, second = source.read(), source.read()
    assert len(line.asked) == 1
    assert first == second
    assert first.power_mw == {}
    assert "INA3221" in first.unmet["power_mw"]


@pytest.mark.parametrize(
    ("fails", "again_after_s"),
    [
        (ValueError("tegrastats said no line within 2 s"), 60),
        (BlockingIOError("Resource temporarily unavailable"), 60),
        (None, 60),  # no line of its own
        (FileNotFoundError("this board has no tegrastats"), math.inf),
    ],
    ids=["silent", "no process", "complains", "not there"],
)
def test_tegrastats_that_failed_is_asked_again_after_a_minute(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, fails: Exception | None, again_after_s: float
) -> None:
    line = Program("tegrastats: busy")
    source = Jetson(tree({"proc/meminfo": "MemTotal: 1 kB\n"}), line=line)
    line.error = fails
    now = [1000.0]
    monkeypatch.setattr(jetson.time, "monotonic", lambda: now[0])
    assert source.read().power_mw == {}
    line.error, line.answer = None, "RAM 1/2MB VDD_IN 5000/5000"
    for at_s in (1001.0, 1059.9, 1060.0, 5000.0):
        now[0] = at_s
        assert source.read().power_mw == ({"VDD_IN": 5000} if at_s >= 1000 + again_after_s else {})


def test_readers_of_the_same_second_share_an_answer(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    query = Program("NV Power Mode: MAXN\n0\n")
    source = Jetson(tree({"proc/meminfo": "MemTotal: 1 kB\n"}), query, Program(""))
    now = [1000.0]
    monkeypatch.setattr(jetson.time, "monotonic", lambda: now[0])
    for at_s, asked in ((1000.0, 1), (1000.9, 1), (1001.0, 2), (1003.0, 3)):
        now[0] = at_s
        assert source.read().power_mode == "MAXN"
        assert len(query.asked) == asked


def test_programs_are_asked_on_the_board_itself_alone(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Program("NV Power Mode: MAXN\n0\n")
    monkeypatch.setattr(jetson.commands, "output", asked)
    monkeypatch.setattr(jetson.commands, "first_line", asked)
    readings = Jetson(tree({"proc/meminfo": "MemTotal: 1 kB\n"})).read()
    assert (asked.asked, readings.power_mode) == ([], None)
    assert "nvpmodel was not asked" in readings.unmet["power_mode"]
    monkeypatch.setattr(jetson.nvpmodel, "read_mode", lambda _root: _unreadable())
    assert Jetson(Path("/")).read().power_mode == "MAXN"
    assert ("nvpmodel", "-q") in asked.asked


def _unreadable() -> str:
    raise FileNotFoundError("no nvpmodel here")


def test_no_jetson_at_all(tree: Tree) -> None:
    readings = Jetson(tree({})).read()
    assert (readings.gpu_percent, readings.power_mode, readings.throttle_events) == (None, None, None)
    assert (readings.clocks_mhz, readings.power_mw) == ({}, {})
    assert readings.unmet.keys() == {
        "gpu_percent",
        "nvmap_used_bytes",
        "power_mode",
        "clocks_held",
        "throttle_events",
        "clocks_mhz.gpu",
        "clock_limits_mhz.gpu",
        "clocks_mhz.emc",
        "power_mw",
    }
