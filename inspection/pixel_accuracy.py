"""How well anomaly maps tell where a defect is: pixel AUROC and AUPRO. For whole images: accuracy.py.

Both are areas under a curve over the false positive rate f, the share of defect-free pixels (of all images, good ones
included) that lie above a threshold. Instead of drawing the curve, each pixel of a defect contributes to the area what
lies right of its own f: the same number, ties included, from one sort.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspection.errors import InputMismatchError, NonFiniteError, TooFewImagesError
from inspection.score import FloatMap

Mask = NDArray[np.bool_]
Floats = NDArray[np.floating]

FALSE_POSITIVE_LIMIT = 0.3
"""Up to where AUPRO is integrated: beyond it a map marks so much that it shows nothing (Bergmann et al., 4.4)."""


@dataclass(frozen=True)
class PixelAccuracy:
    """`regions` is the number of connected defects, each of which counts the same in `aupro`, large or small."""

    auroc: float
    aupro: float
    regions: int


def pixel_accuracy(
    maps: Sequence[FloatMap], masks: Sequence[Mask], limit: float = FALSE_POSITIVE_LIMIT
) -> PixelAccuracy:
    """From an anomaly map (H,W) float and a mask (H,W) bool, True on the defect, for each test image, good or not.

    - auroc: how often a pixel of a defect lies above a defect-free one, ties counting half.
    - aupro: the mean over the defects of the share of their pixels above the threshold, integrated over the false
      positive rate from 0 to `limit` and divided by `limit` (Bergmann et al., "The MVTec Anomaly Detection Dataset: A
      Comprehensive Real-World Dataset for Unsupervised Anomaly Detection", Int. J. Comput. Vis. 129, 2021). Pixels that
      touch at a corner belong to one defect, as in the authors' own evaluation code.

    Images may differ in size. InputMismatchError where a map and its mask do not, NonFiniteError for a NaN,
    TooFewImagesError where no pixel, or every pixel, is a defect's. Needs scipy, which a board's agent does not have.
    """
    if not 0 < limit <= 1:
        raise ValueError(f"limit {limit} is not in (0, 1]")
    _check(maps, masks)
    free = np.sort(_joined([anomaly[~mask] for anomaly, mask in zip(maps, masks, strict=True)]))
    inside, weights, regions = _defects(maps, masks)
    if not free.size or not inside.size:
        raise TooFewImagesError(
            f"the pixel AUROC of {free.size} defect-free and {inside.size} defective pixels is undefined",
            "give at least one image with a defect that does not fill it",
        )
    first, last = ((free.size - np.searchsorted(free, inside, side)) / free.size for side in ("right", "left"))
    auroc = _area(first, last, 1.0).mean()
    aupro = weights @ _area(first, last, limit) / (regions * limit)
    return PixelAccuracy(float(auroc), float(aupro), regions)


def _defects(maps: Sequence[FloatMap], masks: Sequence[Mask]) -> tuple[Floats, Floats, int]:
    """Values of the defects' pixels, one over the size of its region for each, and the number of regions."""
    from scipy.ndimage import label

    values: list[FloatMap] = []
    weights: list[Floats] = []
    regions = 0
    for anomaly, mask in zip(maps, masks, strict=True):
        if mask.any():
            numbered, count = label(mask, structure=np.ones((3, 3)))
            numbers = numbered[mask]
            values.append(anomaly[mask])
            weights.append(1 / np.bincount(numbers)[numbers])
            regions += count
    return _joined(values), _joined(weights), regions


def _joined(parts: Sequence[Floats]) -> Floats:
    return np.concatenate(parts) if parts else np.empty(0)


def _area(first: Floats, last: Floats, limit: float) -> Floats:
    """Area, from 0 to `limit`, under a line that rises from 0 at `first` to 1 at `last`, and stays there.

    `first`: false positive rate of the defect-free pixels above a pixel, `last`: with those equal to it. A pixel is
    found between them: straight lines through ties, as the trapezoidal rule has it.
    """
    ramp = last - first
    beyond = np.clip(limit - first, 0, None)
    on_ramp = np.minimum(beyond, ramp)
    return np.asarray(on_ramp**2 / (2 * np.where(ramp > 0, ramp, 1)) + beyond - on_ramp)


def _check(maps: Sequence[FloatMap], masks: Sequence[Mask]) -> None:
    if len(maps) != len(masks):
        raise InputMismatchError(
            f"{len(maps)} anomaly maps, {len(masks)} masks", "give each image one map and one mask"
        )
    for number, (anomaly, mask) in enumerate(zip(maps, masks, strict=True)):
        if anomaly.shape != mask.shape:
            raise InputMismatchError(
                f"anomaly map {number} is {anomaly.shape}, its mask {mask.shape}", "scale the masks to the maps"
            )
        if not np.isfinite(anomaly).all():
            raise NonFiniteError(f"anomaly map {number} is not finite", "leave the image out or check the outputs")
