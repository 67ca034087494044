"""Where a warm-up ends: a change point in the medians of batches of runs.

Medians, so that one interrupted run is not a phase; batches of five, so that the answer is a multiple of five.
"""

import numpy as np

from host.statistics.samples import Floats, Samples

BATCH_RUNS = 5
LEAST_BATCHES = 40
LEAST_CHANGE = 13.0
FADE, LEAST_FADE_BATCHES, LEAST_FADE = 0.5, 4, 6.5
MOST_AUTOCORRELATION = 0.97
MOST_DEVIATIONS = 20


def batch_medians(samples_ns: Samples) -> Floats:
    """ns, (n // BATCH_RUNS,); what is left over at the end is in none."""
    batches = len(samples_ns) // BATCH_RUNS
    return np.asarray(np.median(samples_ns[: batches * BATCH_RUNS].reshape(batches, BATCH_RUNS), axis=1))


def warm_up_batches(medians: Floats) -> int | None:
    """How many batches come before the level that stays; 0 = none; None = that level is not reached by the middle.

    A change of level is looked for in the first half alone, by the ratio of likelihoods with one change and with none,
    k (n - k) / n * (difference of the two means)^2 / long-run variance, at its greatest over k: Andrews, "Tests for
    parameter instability and structural change with unknown change point", Econometrica 61 (1993). It counts from
    LEAST_CHANGE on, which 0.7 % of 20,000 series of 199 independent normal values reached.

    A warm-up that fades has no single step, so that what is left is looked at again until there is none; and once one
    was found, a further change in the same sense within FADE of its length counts from LEAST_FADE on.

    Latencies are correlated, so the variance is not that of independent medians but the long-run one, of an
    autoregression of order 1: Andrews & Monahan, "An improved heteroskedasticity and autocorrelation consistent
    covariance matrix estimator", Econometrica 60 (1992). It is taken once, of the whole series around its best
    single change, or a true change would hide itself. What is far off counts as MOST_DEVIATIONS median deviations of
    the second half: a first few batches at three times the latency would hide, in that variance, a warm-up behind them.

    Measured by benchmarks/honest_intervals.py at 999 runs: a false alarm in about 1 % of the stationary cases, however
    correlated. At 200 runs, the fewest that are taken, it was at most 5 % (2,000 cases each); at 100 up to 10 %.
    """
    middle = len(medians) // 2
    medians = _clipped(medians, middle)
    variance = _long_run_variance(_around_best_change(medians, middle))
    start, sense = 0, 0.0
    while start < middle:
        rest, change = medians[start:], None
        if start:
            near = min(max(int(FADE * start), LEAST_FADE_BATCHES), middle - start)
            change = _change(rest, near, LEAST_FADE * variance, sense)
        change = change or _change(rest, middle - start, LEAST_CHANGE * variance)
        if change is None:
            return start
        batches, sense = change
        start += batches
    return None


def _clipped(medians: Floats, middle: int) -> Floats:
    level = np.median(medians[middle:])
    most = MOST_DEVIATIONS * np.median(np.abs(medians[middle:] - level))
    return np.clip(medians, level - most, level + most) if most else medians


def _change(values: Floats, most: int, least_gain: float, sense: float = 0.0) -> tuple[int, float] | None:
    """The change of level after 1..most values that gains most, as (after how many, 1 slower before, -1 faster).

    None where that gains no more than `least_gain`, or is not in this sense (0: in any).
    """
    gains, differences = _changes(values, most)
    gains = np.where(np.sign(differences) == -sense, 0.0, gains) if sense else gains
    best = int(np.argmax(gains))
    return (best + 1, float(np.sign(differences[best]))) if gains[best] > least_gain else None


def _changes(values: Floats, most: int) -> tuple[Floats, Floats]:
    """Of a change of level after 1..most values: what it gains in sum of squares, and mean before less mean after."""
    number = len(values)
    before = np.arange(1, most + 1)
    centred = values - np.median(values)  # near zero, so that the sums lose no digits
    sums = np.cumsum(centred)
    differences = sums[:most] / before - (sums[-1] - sums[:most]) / (number - before)
    return before * (number - before) / number * differences**2, differences


def _around_best_change(values: Floats, most: int) -> Floats:
    change = int(np.argmax(_changes(values, most)[0])) + 1
    return np.concatenate([part - np.mean(part) for part in (values[:change], values[change:])])


def _long_run_variance(residuals: Floats) -> float:
    """Of an autoregression of order 1; its coefficient is estimated low, by (1 + 3 r) / n: Kendall, Biometrika 41
    (1954)."""
    number, square = len(residuals), float(residuals @ residuals)
    if not square:
        return 0.0
    correlation = float(residuals[1:] @ residuals[:-1]) / square
    correlation = min(max(correlation + (1 + 3 * correlation) / number, 0.0), MOST_AUTOCORRELATION)
    return square / (number - 1) * (1 + correlation) / (1 - correlation)
