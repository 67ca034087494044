"""How well scores tell good images from defective ones, and where to draw the line."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inspection.errors import InputMismatchError, NonFiniteError, TooFewImagesError

Scores = Sequence[float] | NDArray[np.floating]


def auc(scores: Scores, defective: Sequence[bool] | NDArray[np.bool_]) -> float:
    """Area under the ROC curve: how often a defective image scores above a good one, ties counting half.

    The Mann-Whitney statistic U / (good * defective) from midranks (Hanley and McNeil, "The meaning and use of the
    area under a receiver operating characteristic curve", Radiology 143, 1982). `defective` has a label per score.
    TooFewImagesError with one class only: the AUC is then undefined.
    """
    values, labels = _finite(scores), np.asarray(defective, bool)
    if values.shape != labels.shape:
        raise InputMismatchError(
            f"{values.size} scores, {labels.size} labels", "give each image one score and one label"
        )
    positives = int(labels.sum())
    negatives = labels.size - positives
    if not positives or not negatives:
        raise TooFewImagesError(
            f"the AUC of {negatives} good and {positives} defective images is undefined",
            "give at least one image of each kind",
        )
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    midranks = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = float(midranks[place][labels].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


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


def _finite(scores: Scores) -> NDArray[np.float64]:
    values = np.asarray(scores, np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise NonFiniteError(f"score {bad[0]} is {values[bad[0]]}", "leave the image out or check the model's outputs")
    return values
