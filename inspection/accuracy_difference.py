"""How sure the AUC of several trials is, and what one loses of another's, on the same images."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from inspection.accuracy import CONFIDENCE, RESAMPLES, Floats, Labels, Scores, bca_interval, by_label
from inspection.errors import InputMismatchError

SHIFTS = 20
"""Draws for the trials, per resample of the images: the ends of a t of few trials take many."""


class AucInterval(NamedTuple):
    """The mean AUC of the trials and its two-sided `CONFIDENCE` interval."""

    auc: float
    low: float
    high: float


class AucDrop(NamedTuple):
    """What the candidate's AUC is below the control's, mean of the trials, and its `CONFIDENCE` interval; in AUC."""

    drop: float
    low: float
    high: float


def auc_interval(trials: Sequence[Scores], defective: Labels, seed: int = 0, resamples: int = RESAMPLES) -> AucInterval:
    """Over images and trials; `trials` has the scores of one image set by each trial, `defective` a label per image.

    Resampled as in `auc_drop_interval`; of one trial, `auc_estimate`. Same errors.
    """
    in_order = np.stack(_in_order(trials, defective))
    return AucInterval(float(in_order.mean()), *_interval(in_order, (0, 1), np.random.default_rng(seed), resamples))


def auc_drop_interval(
    control: Sequence[Scores],
    candidate: Sequence[Scores],
    defective: Labels,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> AucDrop:
    """Over images and trials; both have the scores of one image set by each trial, `defective` a label per image.

    Paired: the two are compared on the same images in every resample, so that what makes an image hard for both falls
    out; and trial by trial, where a candidate comes of the control of its own trial. A control of one trial is that of
    all. Stratified: good and defective images are resampled apart, as in `auc_estimate`.

    Images are resampled with replacement, the same ones in all trials, which share them. Trials are too few for that:
    the resamples of three have ten different means, and intervals from them covered 89 %. Each resample of the images
    is shifted by draws of Student's t with the standard error of the trials' drops instead, as the interval of any
    other figure over trials has it. The interval is BCa, as in `auc_estimate`. Of one trial it is over images alone: it
    says nothing of another training.

    Where no pair of a good and a defective image tells the two apart, the exact binomial bound of `auc_estimate` is
    taken, but for scores that are the same: there is nothing then that further images could tell apart.
    How often it covers: benchmarks/honest_auc.py.

    InputMismatchError for trials that do not pair, or images without a label; TooFewImagesError, NonFiniteError.
    """
    if len(control) not in (1, len(candidate)):
        raise InputMismatchError(
            f"{len(control)} trials of the control, {len(candidate)} of the candidate",
            "give each trial of the candidate its control, or one control for all",
        )
    if len(control) == 1:
        control = list(control) * len(candidate)
    before, after = (np.stack(_in_order(side, defective)) for side in (control, candidate))
    lost = before - after
    if np.array_equal(np.asarray(control), np.asarray(candidate)):
        return AucDrop(0.0, 0.0, 0.0)
    return AucDrop(float(lost.mean()), *_interval(lost, (-1, 1), np.random.default_rng(seed), resamples))


def _in_order(trials: Sequence[Scores], defective: Labels) -> list[Floats]:
    """Per trial, (defective, good): 1 where the defective image scores above the good one, 1/2 at a tie, else 0."""
    if not len(trials):
        raise InputMismatchError("no trial", "give the scores of at least one trial")
    parted = [by_label(scores, defective) for scores in trials]
    return [(np.sign(bad[:, None] - good[None, :]) + 1) / 2 for good, bad in parted]


def _interval(pairs: Floats, bounds: tuple[int, int], rng: np.random.Generator, resamples: int) -> tuple[float, float]:
    """Of the mean of `pairs` (trial, defective, good), whose values are within the bounds."""
    estimate = float(pairs.mean())
    if pairs.min() == pairs.max():
        alike = ((1 - CONFIDENCE) / 2) ** (1 / min(pairs.shape[1:]))
        low, high = (alike * estimate + (1 - alike) * bound for bound in bounds)
        return low, high
    rows, columns = (rng.multinomial(n, np.full(n, 1 / n), resamples) / n for n in pairs.shape[1:])
    resampled = sum(np.einsum("rc,rc->r", rows @ each, columns) for each in pairs) / len(pairs)
    means = [pairs.mean(axis=0).mean(axis=1 - axis) for axis in range(2)]
    influences = [(each - estimate) / each.size for each in means]
    if len(pairs) > 1:
        error = float(np.std(pairs.mean(axis=(1, 2)), ddof=1)) / math.sqrt(len(pairs))
        shifts = error * rng.standard_t(len(pairs) - 1, (SHIFTS, resamples))
        resampled = (resampled + shifts).ravel()
        influences.append(np.array([error, -error]) / math.sqrt(2))  # as much spread, and no skewness
    low, high = np.clip(bca_interval(resampled, estimate, np.concatenate(influences)), *bounds)
    return float(low), float(high)
