"""Memory, swap and CPU from /proc, of the board and of one process. Formats: proc(5); kB there means 1024 bytes."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from agent.telemetry.readings import Readings, attempt, read_text

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
MIN_WINDOW_S = 1.0
"""Least time `cpu_percent` is taken over, so that two readers do not leave each other a window without a tick."""

_MEMORY_LINE = re.compile(r"^(MemTotal|MemAvailable|SwapTotal|SwapFree): +(\d+) kB$", re.MULTILINE | re.ASCII)
_STATUS_LINE = re.compile(r"^(VmRSS|VmHWM):\s+(\d+) kB$", re.MULTILINE | re.ASCII)
_CPU_LINE = re.compile(r"^cpu +(\d+(?: \d+)+)$", re.MULTILINE | re.ASCII)
_ONE_CPU_LINE = re.compile(r"^cpu\d+ ", re.MULTILINE | re.ASCII)
_PROCESS_LINE = re.compile(r"\d+ \(.*\) (\S(?: -?\d+){19})", re.DOTALL | re.ASCII)


@dataclass(frozen=True)
class MemoryInfo:
    """The board's memory in bytes. `available` = what can be had without swapping, as the kernel estimates it."""

    total_bytes: int
    available_bytes: int
    swap_total_bytes: int
    swap_free_bytes: int

    @property
    def swap_used_bytes(self) -> int:
        return self.swap_total_bytes - self.swap_free_bytes


@dataclass(frozen=True)
class CpuTimes:
    """Seconds of all CPUs together since boot, and how many CPUs are online.

    Waiting for a disk is idle; time a hypervisor gave to others (steal) is busy: it was not there to be used.
    """

    busy_s: float
    idle_s: float
    cpu_count: int

    @property
    def elapsed_s(self) -> float:
        return (self.busy_s + self.idle_s) / self.cpu_count


@dataclass(frozen=True)
class ProcessMemory:
    """Resident set of a process, now and at its peak; None where the kernel does not say (a zombie has none).

    Inexact by some pages per thread and CPU: the kernel keeps these counters in batches.
    """

    rss_bytes: int | None
    peak_rss_bytes: int | None


@dataclass(frozen=True)
class ProcessTimes:
    """CPU seconds of a process and all its threads; `start_ticks` tells it from a later one of the same id."""

    cpu_s: float
    start_ticks: int


def parse_meminfo(text: str) -> MemoryInfo:
    """/proc/meminfo; ValueError naming the first line that is not there."""
    kib = dict(_MEMORY_LINE.findall(text))
    for key in ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree"):
        if key not in kib:
            raise ValueError(f"/proc/meminfo has no line {key}")
    return MemoryInfo(
        total_bytes=int(kib["MemTotal"]) * 1024,
        available_bytes=int(kib["MemAvailable"]) * 1024,
        swap_total_bytes=int(kib["SwapTotal"]) * 1024,
        swap_free_bytes=int(kib["SwapFree"]) * 1024,
    )


def parse_cpu_times(text: str, ticks_per_s: int = TICKS_PER_S) -> CpuTimes:
    """/proc/stat: user nice system idle iowait irq softirq steal; guest time, which follows, is already in user."""
    line = _CPU_LINE.search(text)
    cpu_count = len(_ONE_CPU_LINE.findall(text))
    ticks = [int(value) for value in line[1].split()[:8]] if line else []
    if len(ticks) < 8 or not cpu_count:
        raise ValueError("/proc/stat has no line of eight cpu times and one line per CPU")
    idle = ticks[3] + ticks[4]
    return CpuTimes((sum(ticks) - idle) / ticks_per_s, idle / ticks_per_s, cpu_count)


def parse_process_memory(text: str) -> ProcessMemory:
    """/proc/PID/status."""
    found = {key: int(kib) * 1024 for key, kib in _STATUS_LINE.findall(text)}
    return ProcessMemory(rss_bytes=found.get("VmRSS"), peak_rss_bytes=found.get("VmHWM"))


def parse_process_times(text: str, ticks_per_s: int = TICKS_PER_S) -> ProcessTimes:
    """/proc/PID/stat. A process names itself, blanks and brackets included: fields count from the last bracket."""
    line = _PROCESS_LINE.match(text)
    if not line:
        raise ValueError(f"/proc/PID/stat is not in its form: {text[:60]!r}")
    values = line[1].split()  # field 3 (state) first
    return ProcessTimes(cpu_s=(int(values[11]) + int(values[12])) / ticks_per_s, start_ticks=int(values[19]))


def cpu_percent(before: CpuTimes, after: CpuTimes) -> float:
    """Busy share of all CPUs between two reads, 0..100; ValueError where no tick passed."""
    busy_s = after.busy_s - before.busy_s
    total_s = busy_s + after.idle_s - before.idle_s
    if total_s <= 0:
        raise ValueError("no tick of the CPU clock since the read before")
    return min(max(100 * busy_s / total_s, 0.0), 100.0)  # iowait may go backwards (proc(5))


def read_memory(root: Path | str = "/") -> MemoryInfo:
    return parse_meminfo(read_text(Path(root, "proc/meminfo")))


def read_cpu_times(root: Path | str = "/") -> CpuTimes:
    return parse_cpu_times(read_text(Path(root, "proc/stat")))


def read_process_memory(pid: int, root: Path | str = "/") -> ProcessMemory:
    """OSError (FileNotFoundError, ProcessLookupError) where it is gone."""
    return parse_process_memory(read_text(Path(root, f"proc/{pid}/status")))


def read_process_times(pid: int, root: Path | str = "/") -> ProcessTimes:
    """OSError (FileNotFoundError, ProcessLookupError) where it is gone."""
    return parse_process_times(read_text(Path(root, f"proc/{pid}/stat")))


class Procfs:
    """The board's memory, swap and CPU use; CPU use since the read before, or since a second ago if that is longer."""

    def __init__(self, root: Path) -> None:
        self._root = root
        first = attempt({}, "cpu_percent", read_cpu_times, root)
        self._marks = (first, first) if first else None

    def read(self) -> Readings:
        unmet: dict[str, str] = {}
        of_memory = ("memory_total_bytes", "memory_available_bytes", "swap_used_bytes")
        memory = attempt(unmet, of_memory, read_memory, self._root)
        return Readings(
            cpu_percent=attempt(unmet, "cpu_percent", self._cpu_percent),
            memory_total_bytes=memory.total_bytes if memory else None,
            memory_available_bytes=memory.available_bytes if memory else None,
            swap_used_bytes=memory.swap_used_bytes if memory else None,
            unmet=unmet,
        )

    def _cpu_percent(self) -> float:
        now = read_cpu_times(self._root)
        older, newer = self._marks or (now, now)
        if now.elapsed_s - newer.elapsed_s >= MIN_WINDOW_S:
            older, newer = newer, now
        self._marks = older, newer
        return cpu_percent(older, now)
