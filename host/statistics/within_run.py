"""What one run of the bench says of itself: from where on it is steady, whether it is stable, how sure its mean is."""

from dataclasses import dataclass

import numpy as np

from host.statistics.batch_means import half_width
from host.statistics.samples import NS_PER_MS, Samples, check
from host.statistics.stability import is_unstable
from host.statistics.warm_up import BATCH_RUNS, LEAST_BATCHES, batch_medians, warm_up_batches

STEADY_RUNS = LEAST_BATCHES * BATCH_RUNS
"""The fewest counted runs of which is told whether they are steady, and stable."""

INTERVAL_RUNS = 400
"""The fewest steady runs that have an interval: of 200 with an autocorrelation of .9 it would cover 89 %, of 400 91 %,
of 999 93 to 94 % (1,000 simulated cases each)."""


@dataclass(frozen=True)
class WithinRun:
    """Of the counted runs of one bench.

    steady_from   how many runs come before latency is steady; None where it never is, or where there are too few runs
    steady_ms     mean of the runs from there on, in ms; None with it
    interval_ms   95 % interval of the mean of all counted runs, in ms; None where unstable, or with too few runs
    unstable      None with too few runs to tell
    """

    steady_from: int | None
    steady_ms: float | None
    interval_ms: tuple[float, float] | None
    unstable: bool | None


def within_run(samples_ns: Samples) -> WithinRun:
    """Of counted runs, int64 ns of shape (n,).

    The interval is around the mean of all runs, the headline, as it is of other benches with the same warm-up: how
    much that mean varies is taken from the steady runs, for a warm-up's own slope is no chance.
    """
    check(samples_ns)
    count = len(samples_ns)
    if count < STEADY_RUNS:
        return WithinRun(None, None, None, None)
    medians = batch_medians(samples_ns)
    batches = warm_up_batches(medians)
    if batches is None:
        return WithinRun(None, None, None, True)
    steady = samples_ns[batches * BATCH_RUNS :].astype(np.float64)
    if is_unstable(medians[batches:], steady, warmed_up=batches > 0):
        return WithinRun(None, None, None, True)
    interval = None
    if len(steady) >= INTERVAL_RUNS:
        mean, half = float(np.mean(samples_ns)), half_width(steady, count)
        interval = ((mean - half) / NS_PER_MS, (mean + half) / NS_PER_MS)
    return WithinRun(batches * BATCH_RUNS, float(np.mean(steady)) / NS_PER_MS, interval, False)


def steady_state(samples_ns: Samples) -> int | None:
    """Index of the run from which latency is steady; 0 = from the start; None = not steady, or too short to tell."""
    return within_run(samples_ns).steady_from
