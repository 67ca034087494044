import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.telemetry import procfs
from agent.telemetry.procfs import CpuTimes, Procfs

Tree = Callable[[dict[str, str]], Path]

# A Jetson TX2 with L4T 32, as its owner published it (cut): the kernel adds lines of its own between the known ones.
L4T_MEMINFO = """\
MemTotal:        8038768 kB
MemFree:         4874372 kB
MemAvailable:    5697836 kB
SwapTotal:       4019376 kB
SwapFree:        4019376 kB
NvMapMemFree:      94784 kB
NvMapMemUsed:     805068 kB
CmaTotal:         753664 kB
"""
# /proc/self/status and /proc/PID/stat of Linux 6.18, cut; the name is the one that breaks a split at blanks.
STATUS = (
    "Name:\tcat\nState:\tR (running)\nVmPeak:\t    3060 kB\nVmHWM:\t    1772 kB\nVmRSS:\t    1500 kB\nThreads:\t1\n"
)
PROCESS_STAT = (
    "4574 (a) R (b\n) S 4562 4562 3166 0 -1 4194304 102 0 0 0 250 50 7 8 20 0 1 0 61351 3133440 415 "
    "18446744073709551615 94884324151296 94884324171177\n"
)


def cpu_line(busy: int, idle: int) -> str:
    return f"cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 {busy} 0 0 {idle} 0 0 0 0 0 0\n"


def test_meminfo_is_in_bytes(meminfo: str) -> None:
    memory = procfs.parse_meminfo(meminfo)
    assert memory.total_bytes == 24684096 * 1024
    assert memory.available_bytes == 24381184 * 1024
    assert memory.swap_used_bytes == (2097148 - 1048572) * 1024


def test_meminfo_of_a_jetson() -> None:
    memory = procfs.parse_meminfo(L4T_MEMINFO)
    assert memory.available_bytes == 5697836 * 1024
    assert memory.swap_used_bytes == 0


@pytest.mark.parametrize("key", ["MemTotal", "MemAvailable", "SwapTotal", "SwapFree"])
def test_meminfo_without_a_line_says_which(meminfo: str, key: str) -> None:
    text = "".join(line for line in meminfo.splitlines(keepends=True) if not line.startswith(f"{key}:"))
    with pytest.raises(ValueError, match=f"no line {key}$"):
        procfs.parse_meminfo(text)


def test_cpu_times_count_disk_waits_as_idle_and_steal_as_busy() -> None:
    text = "cpu  100 20 30 400 50 6 7 8 90 10\ncpu0 1 0 0 0 0 0 0 0 0 0\ncpu1 1 0 0 0 0 0 0 0 0 0\nintr 1\n"
    times = procfs.parse_cpu_times(text, ticks_per_s=100)
    assert times.busy_s == pytest.approx(1.71)
    assert times.idle_s == pytest.approx(4.5)
    assert times.cpu_count == 2
    assert times.elapsed_s == pytest.approx(3.105)


@pytest.mark.parametrize("text", ["", "cpu  1 2 3\ncpu0 1 2 3\n", "cpu  1 2 3 4 5 6 7 8 0 0\n", "cpu x\n"])
def test_cpu_times_in_no_known_form_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="/proc/stat"):
        procfs.parse_cpu_times(text)


def test_cpu_percent_is_of_all_cpus() -> None:
    assert procfs.cpu_percent(CpuTimes(10, 100, 4), CpuTimes(11, 103, 4)) == 25


def test_cpu_percent_stays_in_range_where_iowait_goes_backwards() -> None:
    assert procfs.cpu_percent(CpuTimes(10, 100, 1), CpuTimes(12, 99, 1)) == 100


def test_cpu_percent_needs_a_tick() -> None:
    with pytest.raises(ValueError, match="no tick"):
        procfs.cpu_percent(CpuTimes(10, 100, 1), CpuTimes(10, 100, 1))


def test_process_memory() -> None:
    assert procfs.parse_process_memory(STATUS) == procfs.ProcessMemory(1500 * 1024, 1772 * 1024)


def test_memory_of_a_zombie_is_unknown() -> None:
    assert procfs.parse_process_memory("Name:\tx\nState:\tZ (zombie)\n") == procfs.ProcessMemory(None, None)


def test_process_times_survive_any_process_name() -> None:
    times = procfs.parse_process_times(PROCESS_STAT, ticks_per_s=100)
    assert times == procfs.ProcessTimes(cpu_s=3.0, start_ticks=61351)


@pytest.mark.parametrize("text", ["", "1 (x) S 1 2", "1 x S 1 2 3"])
def test_process_times_in_no_known_form_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="/proc/PID/stat"):
        procfs.parse_process_times(text)


@settings(deadline=None, database=None)
@given(st.text() | st.text("cpu0 1234567890:kB()\nMemTotal.\t"))
def test_parsers_refuse_odd_text_with_a_value_error_alone(text: str) -> None:
    procfs.parse_process_memory(text)
    for parse in (procfs.parse_meminfo, procfs.parse_cpu_times, procfs.parse_process_times):
        try:
            parse(text)
        except ValueError as error:
            assert "/proc/" in str(error)  # noqa: PT017 - it may also succeed


def test_cpu_percent_of_a_board_is_taken_over_a_second_whoever_reads(tree: Tree) -> None:
    def percent(busy: int, idle: int) -> float | None:
        tree({"proc/stat": cpu_line(busy * procfs.TICKS_PER_S // 10, idle * procfs.TICKS_PER_S // 10)})
        return source.read().cpu_percent

    source = Procfs(tree({"proc/stat": cpu_line(0, 0)}))
    assert percent(3, 1) == 75  # a short time after the start, since the start
    assert percent(4, 8) == pytest.approx(100 * 4 / 12)
    assert percent(5, 9) == pytest.approx(100 * 5 / 14)  # another reader a moment later: over the same second
    assert percent(15, 9) == pytest.approx(100 * 11 / 12)


def test_what_cannot_be_read_has_its_reason(tree: Tree, stat: str) -> None:
    readings = Procfs(tree({"proc/stat": stat})).read()
    assert readings.memory_available_bytes is None
    assert "meminfo" in readings.unmet["memory_available_bytes"]
    assert readings.unmet.keys() == {
        "memory_total_bytes",
        "memory_available_bytes",
        "swap_used_bytes",
        "cpu_percent",  # not a tick has passed in this tree
    }


def test_sensors_that_appear_later_are_read(tree: Tree, meminfo: str) -> None:
    source = Procfs(tree({}))
    assert "stat" in source.read().unmet["cpu_percent"]
    tree({"proc/meminfo": meminfo, "proc/stat": cpu_line(0, 0)})
    source.read()
    tree({"proc/stat": cpu_line(10, 30)})
    assert source.read().cpu_percent == 25
    assert source.read().unmet == {}


def test_this_machine() -> None:
    memory = procfs.read_memory()
    assert 0 < memory.available_bytes <= memory.total_bytes
    assert memory.total_bytes == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert procfs.read_cpu_times().cpu_count == os.cpu_count()


def test_a_process_of_this_machine() -> None:
    """A child that holds 64 MB and has let go of them: the peak stays, the resident set does not."""
    code = "x = b'x' * 64_000_000; del x; print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        memory = procfs.read_process_memory(child.pid)
        times = procfs.read_process_times(child.pid)
        child.communicate(b"\n")
    assert memory.rss_bytes is not None
    assert memory.peak_rss_bytes is not None
    assert memory.peak_rss_bytes > 64_000_000 > memory.rss_bytes > 1_000_000
    assert 0 <= times.cpu_s < 60
    with pytest.raises(OSError, match=str(child.pid)):
        procfs.read_process_memory(child.pid)
