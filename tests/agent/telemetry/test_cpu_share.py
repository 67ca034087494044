import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.telemetry import CpuShare
from agent.telemetry.cpu_share import CpuPoint, other_load
from agent.telemetry.procfs import ProcessTimes

Tree = Callable[[dict[str, str]], Path]


def point(at_s: float, board_s: float, **own_s: float) -> CpuPoint:
    return CpuPoint(at_s, board_s, {int(pid[1:]): ProcessTimes(cpu_s, 77) for pid, cpu_s in own_s.items()})


def test_others_are_the_board_less_the_measured_processes() -> None:
    load = other_load(point(100, 50, p1=5, p2=7), point(110, 75, p1=20, p2=8))
    assert load.cores == pytest.approx((25 - 15 - 1) / 10)
    assert load.unmet is None


def test_two_clocks_that_disagree_give_no_negative_load() -> None:
    assert other_load(point(0, 0, p1=0), point(2, 1.9, p1=2)).cores == 0


def test_too_short_a_time_tells_nothing() -> None:
    load = other_load(point(0, 0, p1=0), point(0.5, 1, p1=0))
    assert load.cores is None
    assert load.unmet is not None
    assert "0.50 s" in load.unmet


def test_another_process_of_the_same_number_is_not_taken_for_it() -> None:
    after = CpuPoint(10, 10, {1: ProcessTimes(cpu_s=1, start_ticks=78)})
    load = other_load(point(0, 0, p1=1), after)
    assert load.cores is None
    assert load.unmet is not None
    assert "process 1 ended" in load.unmet


def test_a_process_that_ended_leaves_a_reason(tree: Tree, stat: str) -> None:
    process = f"9 (worker) S {' '.join(['0'] * 40)}\n"
    root = tree({"proc/stat": stat, "proc/9/stat": process})
    share = CpuShare(9, root=root)
    (root / "proc/9/stat").unlink()
    load = share.others()
    assert load.cores is None
    assert load.unmet is not None
    assert "proc/9/stat" in load.unmet


def test_a_process_that_never_was_leaves_a_reason(tree: Tree, stat: str) -> None:
    load = CpuShare(9, root=tree({"proc/stat": stat})).others()
    assert load.cores is None
    assert load.unmet is not None
    assert "proc/9/stat" in load.unmet


def test_this_machine_with_a_process_that_burns_cpu() -> None:
    """The same load is another's or the measured process's own, as told: the difference is that process."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as burner:
        theirs, own = CpuShare(os.getpid()), CpuShare(os.getpid(), burner.pid)
        time.sleep(1.2)
        both, rest = theirs.others(), own.others()
        burner.kill()
    assert both.cores is not None
    assert rest.cores is not None
    assert both.cores - rest.cores > 0.1  # a busy machine may give it little
    assert both.cores <= (os.cpu_count() or 1) * 1.2
