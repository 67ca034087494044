"""Whether a run of the bench shows enough of what the model does for an interval from it to be honest.

Two things make it dishonest, and both look from within like many runs that agree. Latency drifts: the mean is then of
the time at which it was taken. Or it has modes and stays in each for long (two clocks, two layouts of memory): a
thousand runs are then few looks at which mode it is in, and the next bench will find another share of them.

The integrated autocorrelation time (Sokal, "Monte Carlo methods in statistical mechanics", 1989) does not tell these
from what is harmless: at 999 runs its estimates of an autoregression of .9 and of modes with mean sojourn 100 overlap.
"""

import math

import numpy as np

from host.statistics.batch_means import BATCHES, batch_means
from host.statistics.samples import Floats
from host.statistics.student import t_quantile

LEAST_EFFECT = 0.01
LEAST_SWITCHES = 25
LEAST_SHARE_OF_SWITCHES = 0.3
LEAST_MINORITY = 0.1
DRIFT_CONFIDENCE = 0.999
DRIFT_CONFIDENCE_AFTER_WARM_UP = 0.995


def is_unstable(medians: Floats, runs: Floats, warmed_up: bool) -> bool:
    """Of the runs from steady state on, the medians of their batches of five, and whether there were any before.

    What shifts latency by less than LEAST_EFFECT of it is let pass: no bench repeats itself to a hundredth. Where a
    change of level was found a drift is no remote thought, for a drift has one too: less proof of it will do.
    """
    return _stays_in_modes(medians) or _drifts(
        batch_means(runs), DRIFT_CONFIDENCE_AFTER_WARM_UP if warmed_up else DRIFT_CONFIDENCE
    )


def _stays_in_modes(medians: Floats) -> bool:
    """Whether the medians seldom cross the line that parts them best into two groups (Otsu, IEEE Trans. SMC 9, 1979).

    Each group must hold LEAST_MINORITY of them: one burst is no mode. Both fewer than LEAST_SWITCHES crossings, and
    less than LEAST_SHARE_OF_SWITCHES of what independent medians would have (2 p (1 - p) (n - 1)), as a short series
    has few in any case. Measured at 999 runs, 1,000 cases each, crossings of the middle 90 %: mean sojourn 100 5 to 15,
    sojourn 10 51 to 72, autoregression of .9 40 to 62, independent runs 86 to 109. In between, a quarter of the benches
    with mean sojourn 30 is flagged, and the intervals of the others cover 93 %; of those with 50 nine in ten.
    """
    line, gap = _best_line(medians)
    if gap < LEAST_EFFECT * np.median(medians):
        return False
    above = medians > line
    share = float(np.mean(above))
    crossings = int(np.count_nonzero(above[1:] != above[:-1]))
    independent = 2 * share * (1 - share) * (len(medians) - 1)
    return crossings < LEAST_SWITCHES and crossings < LEAST_SHARE_OF_SWITCHES * independent


def _best_line(medians: Floats) -> tuple[float, float]:
    """The value that parts the medians with the greatest variance between the groups, and their means' distance."""
    ordered = np.sort(medians)
    number = len(ordered)
    least = max(1, math.ceil(LEAST_MINORITY * number))
    below = np.arange(least, number - least + 1)
    sums = np.cumsum(ordered)
    gaps = (sums[-1] - sums[below - 1]) / (number - below) - sums[below - 1] / below
    best = int(np.argmax(below * (number - below) * gaps**2))
    cut = int(below[best])
    return float(ordered[cut - 1] + ordered[cut]) / 2, float(gaps[best])


def _drifts(means: Floats, confidence: float) -> bool:
    """Whether a straight line through the batch means rises or falls, by Student's t."""
    time = np.arange(BATCHES) - (BATCHES - 1) / 2
    squares = float(time @ time)
    slope = float(time @ means) / squares
    if abs(slope) * BATCHES < LEAST_EFFECT * np.mean(means):
        return False
    rest = means - np.mean(means) - slope * time
    error = math.sqrt(float(rest @ rest) / (BATCHES - 2) / squares)
    return abs(slope) > t_quantile(BATCHES - 2, confidence) * error
