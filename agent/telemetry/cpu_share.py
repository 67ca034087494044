"""`CpuShare`: CPU used on the board by all but the measured processes, between two points."""

import time
from dataclasses import dataclass
from pathlib import Path

from agent.telemetry.procfs import ProcessTimes, read_cpu_times, read_process_times
from agent.telemetry.readings import attempt

MIN_WINDOW_S = 1.0
"""Kernels count CPU time in ticks, mostly of 10 ms: over less than this, rounding alone is a tenth of a core."""


@dataclass(frozen=True)
class OtherLoad:
    """CPU seconds per second used by others: 1.0 = one core. None with the reason in `unmet`."""

    cores: float | None
    unmet: str | None = None


@dataclass(frozen=True)
class CpuPoint:
    """One moment: the monotonic clock, busy seconds of all CPUs, and the measured processes' own."""

    at_s: float
    board_s: float
    own: dict[int, ProcessTimes]


def other_load(before: CpuPoint, after: CpuPoint) -> OtherLoad:
    """Busy time of the board less that of the measured processes, per second between the two points."""
    elapsed_s = after.at_s - before.at_s
    if elapsed_s < MIN_WINDOW_S:
        return OtherLoad(None, f"{elapsed_s:.2f} s are too short to tell others' load: the least is {MIN_WINDOW_S:g} s")
    own_s = 0.0
    for pid, times in after.own.items():
        if times.start_ticks != before.own[pid].start_ticks:
            return OtherLoad(None, f"process {pid} ended, and another has its number")
        own_s += times.cpu_s - before.own[pid].cpu_s
    # Board and process are counted by different clocks of the kernel; the difference may come out below nothing.
    return OtherLoad(max(0.0, after.board_s - before.board_s - own_s) / elapsed_s)


class CpuShare:
    """From where it is made to each `others()`: the load of all processes but `pids`, threads of theirs included."""

    def __init__(self, *pids: int, root: Path | str = "/") -> None:
        self._pids = pids
        self._root = root
        self._unmet: dict[str, str] = {}
        self._start = attempt(self._unmet, "start", self._point)

    def others(self) -> OtherLoad:
        now = attempt(self._unmet, "end", self._point)
        if self._start is None or now is None:
            return OtherLoad(None, "; ".join(self._unmet.values()))
        return other_load(self._start, now)

    def _point(self) -> CpuPoint:
        return CpuPoint(
            at_s=time.monotonic(),
            board_s=read_cpu_times(self._root).busy_s,
            own={pid: read_process_times(pid, self._root) for pid in self._pids},
        )
