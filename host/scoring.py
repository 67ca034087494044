"""From reconstructions of a data set's images to what they are worth: maps, scores, AUCs, pixel figures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from compression.data.mvtec import Dataset, load_images, load_masks
from host.errors import InputError
from host.progress import Progress
from inspection import score
from inspection.accuracy import GOOD, AucEstimate, auc_by_kind, auc_estimate
from inspection.errors import NonFiniteError
from inspection.pixel_accuracy import PixelAccuracy, pixel_accuracy
from inspection.preprocess import Preprocessing
from inspection.score import FloatMap, Method, Score

METHODS: tuple[Method, ...] = get_args(Method)
"""Smoothed, normalised: every reconstruction is judged by both."""

Floats = NDArray[np.float32]
Reconstruct = Callable[[Floats, str], Floats]
"""Prepared images (n,...), and in words what they are -> their reconstructions, likewise."""


@dataclass(frozen=True, eq=False)
class Images:
    """A data set, prepared: `train` and `test` float32 (n,C,H,W) or (n,H,W,C), `masks` bool (n,H,W) of the test images,
    None where there are none.
    """

    dataset: Dataset
    train: Floats
    test: Floats
    masks: NDArray[np.bool_] | None
    preprocessing: Preprocessing


@dataclass(frozen=True, eq=False)
class Accuracy:
    """By one score: that of each test image, the AUC of all, and of each kind of defect against all good images."""

    scores: NDArray[np.float64]
    auc: AucEstimate
    by_kind: Mapping[str, AucEstimate]


@dataclass(frozen=True, eq=False)
class Contender:
    """A model or a baseline. `weights` is None where they have not been counted; `accuracies` has all METHODS."""

    name: str
    weights: int | None
    accuracies: Mapping[Method, Accuracy]


@dataclass(frozen=True, eq=False)
class Judged:
    """A contender, and what its figures came from: reconstructions and maps (n,H,W) of the test images."""

    contender: Contender
    reconstructions: Floats
    maps: Mapping[Method, FloatMap]


def load(dataset: Dataset, preprocessing: Preprocessing, progress: Progress) -> Images:
    """All images of the data set. A DatasetError names the file."""
    test = [image.path for image in dataset.test]
    progress.stage(f"{dataset.folder}: reading images")
    both = load_images(dataset, [*dataset.train, *test], preprocessing, progress.advance)
    masks = load_masks(dataset, preprocessing.height, preprocessing.width) if dataset.has_masks else None
    return Images(dataset, both[: len(dataset.train)], both[len(dataset.train) :], masks, preprocessing)


def judge(
    name: str,
    weights: int | None,
    reconstruct: Reconstruct,
    images: Images,
    sigma: float,
    training_error: FloatMap | None = None,
) -> Judged:
    """What `reconstruct` makes of the images, by both scores.

    `training_error`: (H,W), the mean of its maps of all training images where it brings none. InputError where a
    reconstruction is not finite, or every training image is reconstructed without an error.
    """
    dataset, spec = images.dataset, Score(sigma=sigma)
    if training_error is None:
        made = reconstruct(images.train, "training images")
        maps = _maps(name, dataset.train, images.train, made, spec, images.preprocessing)
        training_error = maps.mean(axis=0, dtype=np.float64).astype(np.float32)
    made = reconstruct(images.test, "test images")
    paths = [image.path for image in dataset.test]
    smoothed = _maps(name, paths, images.test, made, spec, images.preprocessing)
    try:
        normalised = np.stack([score.normalised_map(each, training_error) for each in smoothed])
    except NonFiniteError as error:
        raise InputError(f"{name}: {error}", error.hint, error.code) from error
    by_method = dict(zip(METHODS, (smoothed, normalised), strict=True))
    accuracies = {method: _accuracy(each, dataset.kinds) for method, each in by_method.items()}
    return Judged(Contender(name, weights, accuracies), made, by_method)


def pixels(judged: Judged, images: Images) -> dict[Method, PixelAccuracy]:
    """By both maps; empty where the data set has no masks."""
    if images.masks is None:
        return {}
    masks = list(images.masks)
    return {method: pixel_accuracy(list(maps), masks) for method, maps in judged.maps.items()}


def _maps(
    name: str, paths: Sequence[Path], images: Floats, made: Floats, spec: Score, preprocessing: Preprocessing
) -> FloatMap:
    """Anomaly maps (n,H,W). InputError names the first image whose map is not finite."""
    maps = np.empty((len(images), preprocessing.height, preprocessing.width), np.float32)
    for place, path, image, reconstruction in zip(maps, paths, images, made, strict=True):
        try:
            place[:] = score.anomaly_map(image[np.newaxis], reconstruction[np.newaxis], spec, preprocessing.layout)
        except NonFiniteError as error:
            raise InputError(f"{name}: of {path} {error}", error.hint, error.code) from error
    return maps


def _accuracy(maps: FloatMap, kinds: Sequence[str]) -> Accuracy:
    scores = np.array([score.score(each) for each in maps])
    defective = [kind != GOOD for kind in kinds]
    return Accuracy(scores, auc_estimate(scores, defective), auc_by_kind(scores, kinds))
