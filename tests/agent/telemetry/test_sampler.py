import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.telemetry import MemoryFall
from agent.telemetry.procfs import read_memory

Tree = Callable[[dict[str, str]], Path]


class Board:
    """A root whose MemAvailable can be set under the sampler's open file, in one write of equal length."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._path = root / "proc/meminfo"

    def set_available(self, kib: int) -> None:
        text = f"MemTotal:       90000000 kB\nMemAvailable: {kib:>10} kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT)
        os.pwrite(fd, text.encode(), 0)
        os.close(fd)


@pytest.fixture
def board(tree: Tree) -> Board:
    board = Board(tree({"proc/meminfo": ""}))
    board.set_available(50_000)
    return board


def wait_for_sample(fall: MemoryFall) -> None:
    """Until a sample has begun and ended after now."""
    seen, deadline = fall.samples, time.monotonic() + 5
    while fall.samples < seen + 2:
        assert time.monotonic() < deadline, "the sampler does not sample"
        time.sleep(0.001)


def test_the_greatest_fall_is_from_the_start_to_the_least(board: Board) -> None:
    with MemoryFall(board.root, interval_s=0.002) as fall:
        for kib in (60_000, 20_000, 30_000, 55_000):
            board.set_available(kib)
            wait_for_sample(fall)
        assert fall.greatest_fall_bytes == 30_000 * 1024
    assert fall.baseline_bytes == 50_000 * 1024
    assert fall.greatest_fall_bytes == 30_000 * 1024
    assert fall.unmet is None


def test_memory_that_only_rises_has_not_fallen(board: Board) -> None:
    with MemoryFall(board.root, interval_s=0.002) as fall:
        board.set_available(80_000)
        wait_for_sample(fall)
    assert fall.greatest_fall_bytes == 0


def test_start_and_stop_take_a_sample_each(board: Board) -> None:
    fall = MemoryFall(board.root, interval_s=60)
    fall.start()
    board.set_available(49_000)
    began = time.monotonic()
    fall.stop()
    assert time.monotonic() - began < 5, "stop waits for the interval"
    assert (fall.samples, fall.greatest_fall_bytes) == (2, 1000 * 1024)


def test_after_stop_nothing_is_left_and_nothing_is_read(board: Board) -> None:
    before = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    fall = MemoryFall(board.root, interval_s=0.002)
    fall.start()
    fall.stop()
    fall.stop()
    board.set_available(1)
    assert (threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))) == before
    assert fall.greatest_fall_bytes == 0


def test_a_board_without_the_file_has_a_reason_and_no_figure(tmp_path: Path) -> None:
    with MemoryFall(tmp_path) as fall:
        pass
    assert (fall.baseline_bytes, fall.greatest_fall_bytes) == (None, None)
    assert fall.unmet is not None
    assert "meminfo" in fall.unmet


def test_a_sample_that_failed_takes_the_figure_away(board: Board) -> None:
    """A peak may have been missed, so that what was seen is no longer the greatest fall."""
    with MemoryFall(board.root, interval_s=60) as fall:
        (board.root / "proc/meminfo").write_text("MemTotal: 1 kB\n")
    assert fall.greatest_fall_bytes is None
    assert fall.unmet == "/proc/meminfo has no line MemAvailable"


def test_a_peak_while_the_event_loop_is_blocked_is_seen(board: Board) -> None:
    async def bench() -> MemoryFall:
        with MemoryFall(board.root, interval_s=0.002) as fall:
            board.set_available(10_000)
            wait_for_sample(fall)  # without giving the loop back
            board.set_available(50_000)
        return fall

    assert asyncio.run(bench()).greatest_fall_bytes == 40_000 * 1024


def test_this_machine() -> None:
    with MemoryFall(interval_s=0.002) as fall:
        wait_for_sample(fall)
    assert fall.unmet is None
    assert fall.baseline_bytes is not None
    assert fall.greatest_fall_bytes is not None
    assert 0 <= fall.greatest_fall_bytes < fall.baseline_bytes <= read_memory().total_bytes
