"""`PowerSamples`: what the whole board drew while something ran."""

import statistics
import threading
from collections.abc import Callable
from typing import Self

INTERVAL_S = 0.1
"""Ten samples a second, of one file or two: 0.3 % of a core (x86, 43 us each; an I2C bus is waited for besides)."""

LEAST_SAMPLES = 10
"""Of fewer, the mean is as much the monitor's own averaging before the first as what was to be measured."""


class PowerSamples:
    """Reads the rail from `start` to `stop`, or within ``with``, in a thread; for one use.

    The first sample comes an interval after the start: the monitor averages over what was before (INA3221: 1.1 ms to
    half a second by how it is set).

    mean_mw   None with the reason in `unmet`: too few samples, or the rail could not be read once or more
    """

    def __init__(self, read_mw: Callable[[], float], interval_s: float = INTERVAL_S) -> None:
        self._read_mw = read_mw
        self._interval_s = interval_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="power-samples", daemon=True)
        self._samples_mw: list[float] = []
        self._failure: str | None = None

    @property
    def mean_mw(self) -> float | None:
        return None if self.unmet else statistics.fmean(self._samples_mw)

    @property
    def unmet(self) -> str | None:
        if self._failure:
            return self._failure
        count = len(self._samples_mw)
        if count >= LEAST_SAMPLES:
            return None
        return f"too short to tell the power: {count} samples at {self._interval_s:g} s, and {LEAST_SAMPLES} are needed"

    def start(self) -> None:
        """Again and again is allowed, as it is to stop."""
        if not self._has_started:
            self._thread.start()

    def stop(self) -> None:
        """Also where it was never started."""
        self._stopping.set()
        if self._has_started:
            self._thread.join()

    @property
    def _has_started(self) -> bool:
        return self._thread.ident is not None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _watch(self) -> None:
        while not self._stopping.wait(self._interval_s):
            try:
                self._samples_mw.append(self._read_mw())
            except (OSError, ValueError) as error:
                self._failure = str(error)
                return
