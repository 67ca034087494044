"""Samples -> the latency figures of a row."""

import math

import numpy as np

from contract.results import Latency
from host.statistics.samples import NS_PER_MS, Samples, check

PERCENTILE_CONFIDENCE = 0.99


def runs_needed(percentile: float, confidence: float = PERCENTILE_CONFIDENCE) -> int:
    """The fewest runs that say anything about a percentile (0 < percentile < 100), at this confidence.

    The smallest n with 1 - p^n >= confidence: then the slowest of n runs is, with that confidence, not below the
    percentile of the distribution. At 99 %: p90 44, p95 90, p99 459, p99.9 4603.
    Source: Wilks, "Determination of sample sizes for setting tolerance limits", Ann. Math. Statist. 12 (1941).
    """
    return math.ceil(math.log1p(-confidence) / math.log(percentile / 100))


def summarise(samples_ns: Samples) -> Latency:
    """Latency figures in ms of counted runs, int64 ns of shape (n,), n >= 1.

    A percentile is a run that was measured: the one of rank ceil(n p), definition 1 of Hyndman & Fan, "Sample
    quantiles in statistical packages", Am. Stat. 50 (1996); it is null where n < runs_needed. The median is the usual
    one, the mean of the middle two for an even n. std has n - 1 below the line, and is null for one run.
    """
    check(samples_ns)
    ordered = np.sort(samples_ns)
    count = len(ordered)
    return Latency(
        mean=float(np.mean(ordered)) / NS_PER_MS,
        median=float(np.median(ordered)) / NS_PER_MS,
        p90=_percentile_ms(ordered, 90),
        p95=_percentile_ms(ordered, 95),
        p99=_percentile_ms(ordered, 99),
        min=float(ordered[0]) / NS_PER_MS,
        max=float(ordered[-1]) / NS_PER_MS,
        std=float(np.std(ordered, ddof=1)) / NS_PER_MS if count > 1 else None,
    )


def _percentile_ms(ordered: Samples, percentile: int) -> float | None:
    count = len(ordered)
    if count < runs_needed(percentile):
        return None
    rank = -(-count * percentile // 100)  # ceil in integers: 0.95 * n may fall just above a whole number
    return float(ordered[rank - 1]) / NS_PER_MS
