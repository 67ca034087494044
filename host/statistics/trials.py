"""Trials of one thing, and of two: what can be said beyond the benches that were made.

The trials are the independent observations, not the runs within one, which share a process and its memory layout:
Kalibera & Jones, "Rigorous benchmarking in reasonable time", ISMM 2013. One trial therefore has no interval.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from host.statistics.samples import Floats
from host.statistics.student import t_quantile

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Trials:
    """Several trials of one thing, in the unit of the trials.

    std (n - 1 below the line) and the confidence interval of the mean are None for one trial.
    """

    count: int
    mean: float
    std: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Estimate:
    """How many times as fast, or as small: `ratio` = before / after, of geometric means over the trials.

    `low` and `high` are its confidence interval, None where one trial stands for either side: then what was measured
    holds within those runs only. `count`: pairs, or trials of the side that has fewer.
    """

    ratio: float
    low: float | None
    high: float | None
    count: int

    @property
    def distinguishable(self) -> bool:
        """Whether the interval excludes 1: what has no interval is not known to differ."""
        return self.low is not None and self.high is not None and not self.low <= 1 <= self.high


def trial_interval(trial_means: Sequence[float], confidence: float = CONFIDENCE) -> Trials:
    """Mean of the trials' means, their spread, and Student's t interval of the mean at this confidence."""
    count = len(trial_means)
    if count == 0:
        raise ValueError("no trials")
    mean = float(np.mean(trial_means))
    if count == 1:
        return Trials(count, mean, None, None)
    std = float(np.std(trial_means, ddof=1))
    half = t_quantile(count - 1, confidence) * std / math.sqrt(count)
    return Trials(count, mean, std, (mean - half, mean + half))


def speed_up(pairs: Sequence[tuple[float, float]], confidence: float = CONFIDENCE) -> Estimate:
    """From (before, after) of trials that were measured in turn, the two of a pair next to each other, all above 0.

    Student's t on the logarithms of the pairs' ratios: what slows down the board for a while slows down both of a pair,
    and falls out of their ratio. On logarithms, as a ratio and its inverse are to say the same. ValueError without a
    pair. Source: Fleming & Wallace, "How not to lie with statistics", CACM 29 (1986), for the geometric mean.
    """
    ratios = [_log(before) - _log(after) for before, after in pairs]
    trials = trial_interval(ratios, confidence)
    return _estimate(trials.mean, trials.interval, trials.count)


def speed_up_unpaired(before: Sequence[float], after: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """From trials that were measured each on its own, all above 0: Welch's t on the logarithms.

    ValueError where a side has no trial. Source: Welch, "The generalization of 'Student's' problem when several
    different population variances are involved", Biometrika 34 (1947).
    """
    sides = [np.array([_log(value) for value in side], np.float64) for side in (before, after)]
    counts = [len(side) for side in sides]
    if not min(counts):
        raise ValueError("no trials")
    difference = float(np.mean(sides[0]) - np.mean(sides[1]))
    interval = None if min(counts) == 1 else _welch(sides, difference, confidence)
    return _estimate(difference, interval, min(counts))


def _welch(sides: Sequence[Floats], difference: float, confidence: float) -> tuple[float, float]:
    parts = [float(np.var(side, ddof=1)) / len(side) for side in sides]
    variance = sum(parts)
    if not variance:
        return difference, difference
    # each part's share of the variance, for the squares of variances may be too small for a float
    shares = [part / variance for part in parts]
    degrees = 1 / sum(share**2 / (len(side) - 1) for share, side in zip(shares, sides, strict=True))
    half = t_quantile(max(1.0, degrees), confidence) * math.sqrt(variance)
    return difference - half, difference + half


def _estimate(log_ratio: float, interval: tuple[float, float] | None, count: int) -> Estimate:
    low, high = (None, None) if interval is None else map(math.exp, interval)
    return Estimate(math.exp(log_ratio), low, high, count)


def _log(value: float) -> float:
    if not 0 < value < math.inf:
        raise ValueError(f"a ratio is of figures above 0, got {value}")
    return math.log(value)
