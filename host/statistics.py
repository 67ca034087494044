"""From samples to the figures of a row. Pure: numpy alone, scipy only for the t distribution.

Samples are int64 nanoseconds of the counted runs in the order they ran: the caller has taken the first run away.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contract.results import Latency

Samples = npt.NDArray[np.int64]

PERCENTILE_CONFIDENCE = 0.99
NS_PER_MS = 1e6

BATCH_RUNS = 5
LEAST_BATCHES = 20
LEAST_GAIN = 0.1


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
    _check(samples_ns)
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


def steady_state(samples_ns: Samples) -> int | None:
    """Index of the run from which latency is steady; 0 = from the start; None = not steady, or too short to tell.

    MSER-5: of all starts to leave out, the one after which the squared standard error of the rest is least; None where
    that is more than half of the runs, for then what is left is no steady state but a passing calm. Sources: White,
    "An effective truncation heuristic for bias reduction in simulation output", Simulation 69 (1997); the last five
    batches are no candidates: Hoad, Robinson & Davies, "Automating warm-up length estimation", J. Oper. Res. Soc. 61
    (2010).

    Two departures. A batch of five runs gives its median, not its mean, so that one interrupted run is not a phase.
    And a start is left out only where that lowers the squared standard error by a tenth: on 999 independent runs of
    one distribution the bare rule left something out in a third of the cases, this one in none of 300.
    Limits: the answer is a multiple of five, it takes 100 runs, and two modes in random alternation can look unsteady.
    """
    _check(samples_ns)
    batches = len(samples_ns) // BATCH_RUNS
    if batches < LEAST_BATCHES:
        return None
    medians = np.median(samples_ns[: batches * BATCH_RUNS].reshape(batches, BATCH_RUNS), axis=1)
    errors = _squared_standard_errors(medians)[:-BATCH_RUNS]
    start = int(np.argmin(errors))
    if errors[start] >= (1 - LEAST_GAIN) * errors[0]:
        return 0
    return None if start > batches / 2 else start * BATCH_RUNS


@dataclass(frozen=True)
class Trials:
    """Several trials of one thing, in the unit of the trials.

    std (n - 1 below the line) and the confidence interval of the mean are None for one trial.
    """

    count: int
    mean: float
    std: float | None
    interval: tuple[float, float] | None


def trial_interval(trial_means: Sequence[float], confidence: float = 0.95) -> Trials:
    """Mean of the trials' means, their spread, and Student's t interval of the mean at this confidence.

    The trials are the independent observations, not the runs within one, which share a process and its memory layout:
    Kalibera & Jones, "Rigorous benchmarking in reasonable time", ISMM 2013.
    """
    count = len(trial_means)
    if count == 0:
        raise ValueError("no trials")
    mean = float(np.mean(trial_means))
    if count == 1:
        return Trials(count, mean, None, None)
    from scipy.special import stdtrit

    std = float(np.std(trial_means, ddof=1))
    half = float(stdtrit(count - 1, (1 + confidence) / 2)) * std / math.sqrt(count)
    return Trials(count, mean, std, (mean - half, mean + half))


def _check(samples_ns: Samples) -> None:
    if samples_ns.ndim != 1 or samples_ns.dtype != np.int64 or not len(samples_ns):
        raise ValueError(f"samples are int64 of shape (n,), n >= 1; got {samples_ns.dtype} {samples_ns.shape}")


def _percentile_ms(ordered: Samples, percentile: int) -> float | None:
    count = len(ordered)
    if count < runs_needed(percentile):
        return None
    rank = -(-count * percentile // 100)  # ceil in integers: 0.95 * n may fall just above a whole number
    return float(ordered[rank - 1]) / NS_PER_MS


def _squared_standard_errors(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """For each start d: the variance of values[d:], over their number; shape as given."""
    centred = (values - np.median(values))[::-1]  # near zero, so that the difference below loses no digits
    number = np.arange(1, len(values) + 1)
    squares = np.cumsum(centred**2) - np.cumsum(centred) ** 2 / number
    return np.asarray(squares / number**2)[::-1]
