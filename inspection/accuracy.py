"""How well scores tell good images from defective ones, and where to draw the line. For pixels: pixel_accuracy.py."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from inspection.errors import InputMismatchError, NonFiniteError, TooFewImagesError

Scores = Sequence[float] | NDArray[np.floating]
Labels = Sequence[bool] | NDArray[np.bool_]
Floats = NDArray[np.float64]

GOOD = "good"
"""The kind of an image without a defect, as MVTec AD names its folder."""
CONFIDENCE = 0.95
RESAMPLES = 2000  # as pROC's default


@dataclass(frozen=True)
class AucEstimate:
    """An AUC and its two-sided `CONFIDENCE` interval, from so many images."""

    auc: float
    low: float
    high: float
    good: int
    defective: int


@dataclass(frozen=True)
class RocCurve:
    """From "all good" to "all defective": at `thresholds[i]` the share `false_reject_rate[i]` of the good images and
    the share `detection_rate[i]` of the defective ones lie above it. float64 (n,); the first threshold is inf.
    """

    false_reject_rate: Floats
    detection_rate: Floats
    thresholds: Floats


@dataclass(frozen=True)
class Decisions:
    """What a threshold does to images whose labels are known."""

    missed: int
    defective: int
    rejected: int
    good: int

    @property
    def miss_rate(self) -> float:
        """Share of the defective images that pass."""
        return self.missed / self.defective

    @property
    def false_reject_rate(self) -> float:
        """Share of the good images that do not."""
        return self.rejected / self.good


def auc(scores: Scores, defective: Labels) -> float:
    """Area under the ROC curve: how often a defective image scores above a good one, ties counting half.

    The Mann-Whitney statistic U / (good * defective) (Hanley and McNeil, "The meaning and use of the area under a
    receiver operating characteristic curve", Radiology 143, 1982). `defective` has a label per score.
    TooFewImagesError with one class only: the AUC is then undefined.
    """
    good, bad = by_label(scores, defective)
    below = np.searchsorted(np.sort(good), bad, "left") + np.searchsorted(np.sort(good), bad, "right")
    return float(below.sum()) / (2 * good.size * bad.size)


def auc_estimate(scores: Scores, defective: Labels, seed: int = 0) -> AucEstimate:
    """`auc` with a bootstrap interval; equal seeds give equal intervals; same errors.

    Good and defective images are resampled apart, as a test set has a fixed number of each, and the interval is BCa:
    corrected for bias and skewness, which is strong near 1 (Efron, "Better bootstrap confidence intervals", J. Am.
    Stat. Assoc. 82, 1987; for several samples Davison and Hinkley, "Bootstrap Methods and their Application", 1997,
    5.3.2). Stratified as in pROC (Robin et al., BMC Bioinformatics 12:77, 2011).

    Where every pair of a good and a defective image says the same, as at an AUC of 1, so does every resample, and an
    interval of no width would claim certainty. Then the exact binomial bound (Clopper and Pearson, Biometrika 26,
    1934) on how often a pair says so is taken, from min(good, defective) disjoint pairs: wide, but true.
    """
    good, bad = by_label(scores, defective)
    in_order = (np.sign(bad[:, None] - good[None, :]) + 1) / 2  # 1, ties 1/2, else 0
    estimate = float(in_order.mean())
    if in_order.min() < in_order.max():
        low, high = _resampled(in_order, np.random.default_rng(seed))
    else:
        at_least = ((1 - CONFIDENCE) / 2) ** (1 / min(in_order.shape))
        low, high = at_least * estimate, 1 - at_least * (1 - estimate)
    return AucEstimate(estimate, low, high, good.size, bad.size)


def auc_by_kind(scores: Scores, kinds: Sequence[str], seed: int = 0) -> dict[str, AucEstimate]:
    """Each kind of defect against all good images, sorted by name; `kinds` has one per score, `GOOD` or a defect's.

    TooFewImagesError without a good image, or without a defective one.
    """
    values, names = _finite(scores), np.asarray(kinds, object)
    _same_length(values, names)
    defects = sorted(set(kinds) - {GOOD})
    if not defects:
        raise _undefined(values.size, 0)
    good = names == GOOD
    return {
        kind: auc_estimate(values[good | (names == kind)], (names == kind)[good | (names == kind)], seed)
        for kind in defects
    }


def roc_curve(scores: Scores, defective: Labels) -> RocCurve:
    """A point for every threshold that decides differently; the area under its straight lines is `auc`. Same errors."""
    good, bad = by_label(scores, defective)
    cuts = np.unique(np.concatenate((good, bad)))
    below = np.concatenate(([-np.inf], cuts))[::-1]  # an image is defective above the threshold, not at it
    rejected, detected = (1 - np.searchsorted(np.sort(part), below, "right") / part.size for part in (good, bad))
    return RocCurve(rejected, detected, below)


def decisions(scores: Scores, defective: Labels, threshold: float) -> Decisions:
    """What `inspection.score.decide` makes of each image, counted. TooFewImagesError with one class only."""
    good, bad = by_label(scores, defective)
    return Decisions(
        missed=int(np.count_nonzero(bad <= threshold)),
        defective=bad.size,
        rejected=int(np.count_nonzero(good > threshold)),
        good=good.size,
    )


def threshold_from_good(scores: Scores, false_alarm_rate: float = 0.01) -> float:
    """Threshold from the scores of good images alone: the ceil((n + 1) (1 - rate))-th smallest, at most the largest.

    A further good image, exchangeable with these n, then lies above it with a probability of at most
    `false_alarm_rate`, or of 1 / (n + 1) where n is too small for that rate (99 images are needed for 1 %). This is
    the split-conformal quantile (Laxhammar and Falkman, "Inductive conformal anomaly detection for sequential
    detection of anomalous sub-trajectories", Ann. Math. Artif. Intell. 74, 2015).
    TooFewImagesError without a score.
    """
    if not 0 < false_alarm_rate < 1:
        raise ValueError(f"false_alarm_rate {false_alarm_rate} is not between 0 and 1")
    values = np.sort(_finite(scores))
    if not values.size:
        raise TooFewImagesError("no good image, so no threshold", "give at least one good image, better 100")
    rank = math.ceil((values.size + 1) * (1 - false_alarm_rate))
    return float(values[min(rank, values.size) - 1])


def bca_interval(resampled: Floats, estimate: float, influence: Floats) -> tuple[float, float]:
    """`CONFIDENCE` interval from a statistic's resamples (n,), corrected for bias and skewness; see `auc_estimate`.

    `influence`: what each observation, of whatever sample, adds to the statistic; its scale does not matter.
    """
    # Half of those that equal the estimate lie below it: with few images there are many.
    below = (np.count_nonzero(resampled < estimate) + np.count_nonzero(resampled <= estimate)) / (2 * resampled.size)
    normal = NormalDist()
    bias = normal.inv_cdf(min(max(below, 1 / resampled.size), 1 - 1 / resampled.size))
    squares = float((influence**2).sum())
    acceleration = float((influence**3).sum()) / (6 * squares**1.5) if squares else 0.0
    ends = []
    for tail in ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2):
        shifted = bias + normal.inv_cdf(tail)
        ends.append(normal.cdf(bias + shifted / (1 - acceleration * shifted)))
    low, high = np.quantile(resampled, ends)
    return float(low), float(high)


def by_label(scores: Scores, defective: Labels) -> tuple[Floats, Floats]:
    """Scores of the good images, of the defective ones. TooFewImagesError without at least one of each."""
    values, labels = _finite(scores), np.asarray(defective, bool)
    _same_length(values, labels)
    good, bad = values[~labels], values[labels]
    if not good.size or not bad.size:
        raise _undefined(good.size, bad.size)
    return good, bad


def _resampled(in_order: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """Interval of the mean of `in_order` (defective, good), its rows and its columns resampled."""
    rows, columns = (rng.multinomial(n, np.full(n, 1 / n), RESAMPLES) / n for n in in_order.shape)
    resampled = np.einsum("rc,rc->r", rows @ in_order, columns)
    estimate = float(in_order.mean())
    influences = [(in_order.mean(axis=1 - axis) - estimate) / n for axis, n in enumerate(in_order.shape)]
    return bca_interval(resampled, estimate, np.concatenate(influences))


def _undefined(good: int, bad: int) -> TooFewImagesError:
    return TooFewImagesError(
        f"the AUC of {good} good and {bad} defective images is undefined", "give at least one image of each kind"
    )


def _same_length(values: Floats, labels: NDArray[np.generic]) -> None:
    if values.shape != labels.shape:
        raise InputMismatchError(
            f"{values.size} scores, {labels.size} labels", "give each image one score and one label"
        )


def _finite(scores: Scores) -> Floats:
    values = np.asarray(scores, np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise NonFiniteError(f"score {bad[0]} is {values[bad[0]]}", "leave the image out or check the model's outputs")
    return values
