"""`MemoryFall`: how far the whole board's MemAvailable fell while something ran."""

import os
import threading
from pathlib import Path
from typing import Self

from agent.telemetry.procfs import parse_meminfo

INTERVAL_S = 0.05
"""Twenty samples a second: the gentle end of what peaks on shared memory need, as latency is measured meanwhile."""


class MemoryFall:
    """Watches MemAvailable from `start` to `stop`, or within ``with``; for one use.

    A thread, not a task of the event loop: a loop that is busy misses the peak, a thread waits for the GIL at most. One
    sample is one pread of the open file, parsed. `start` and `stop` take a sample too, so two are the least.

    baseline_bytes        MemAvailable at the start
    greatest_fall_bytes   baseline - the least seen, so far; 0 where it only rose
    unmet                 why these are None, where they are: /proc/meminfo could not be read once or more

    The figure is the board's: what another process allocates meanwhile is in it, and a peak between two samples is not.
    """

    def __init__(self, root: Path | str = "/", interval_s: float = INTERVAL_S) -> None:
        self._path = Path(root, "proc/meminfo")
        self._interval_s = interval_s
        self._fd: int | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory-fall", daemon=True)
        self._first: int | None = None
        self._least: int | None = None
        self.samples = 0
        self.unmet: str | None = None

    @property
    def baseline_bytes(self) -> int | None:
        return None if self.unmet else self._first

    @property
    def greatest_fall_bytes(self) -> int | None:
        if self.unmet or self._first is None or self._least is None:
            return None
        return self._first - self._least

    def start(self) -> None:
        try:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            self.unmet = str(error)
            return
        self._sample()
        self._thread.start()

    def stop(self) -> None:
        """Takes the last sample; again and again is allowed."""
        if self._fd is None:
            return
        self._stopping.set()
        self._thread.join()
        self._sample()
        os.close(self._fd)
        self._fd = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _watch(self) -> None:
        while not self._stopping.wait(self._interval_s):
            self._sample()

    def _sample(self) -> None:
        assert self._fd is not None
        try:
            available = parse_meminfo(os.pread(self._fd, 8192, 0).decode("ascii")).available_bytes
        except (OSError, ValueError) as error:
            self.unmet = str(error)
            return
        self._first = available if self._first is None else self._first
        self._least = available if self._least is None else min(self._least, available)
        self.samples += 1
