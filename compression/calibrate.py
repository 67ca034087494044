"""What a trained model needs to decide: its training error map, its threshold, the good images that set it."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from compression.autoencoder import METADATA_KEY, set_inspection
from compression.data.prepared import Prepared
from compression.feeds import session_of
from inspection.accuracy import threshold_from_good
from inspection.preprocess import Preprocessing, decode, prepare
from inspection.score import (
    FloatMap,
    Score,
    anomaly_map,
    decode_error_map,
    encode_error_map,
    judged_map,
    score,
)

Floats = NDArray[np.float32]
Reconstruct = Callable[[Floats], Floats]
"""Prepared images (n,...) -> their reconstructions, likewise."""
OnImage = Callable[[int, int], None]

NORMALISED = Score(method="max_normalised_squared_error")
"""Where both were measured its AUC was up to .13 above the other's, and at most .007 below."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Of one model: `score` with its threshold; `training_error`, float32 (H,W), None where there is no such map."""

    score: Score
    training_error: FloatMap | None


def calibrated(
    model: ModelProto,
    preprocessing: Preprocessing,
    images: Prepared,
    judged: Score = NORMALISED,
    on_image: OnImage | None = None,
) -> Calibration:
    """Finds `model`'s training error map and threshold and writes them into it, with the held-out good images.

    InspectionError where a reconstruction is not finite, or not of its image's shape.
    """
    found = calibrate(reconstructor_of(model), preprocessing, images, judged, on_image)
    set_inspection(model, preprocessing, found.score, found.training_error, images.good_images)
    return found


def recalibrated(model: ModelProto, preprocessing: Preprocessing, judged: Score) -> Calibration | None:
    """Finds the threshold anew from the good images that `model` brings along, and writes it into it.

    The training error map stays that of the model it was computed with. None, and no threshold, where there are no good
    images. InspectionError.
    """
    told = json.loads(next(entry.value for entry in model.metadata_props if entry.key == METADATA_KEY))
    files = [base64.b64decode(text) for text in told.get("good_images", ())]
    usual = told.get("training_error")
    training_error = None if usual is None else decode_error_map(usual, preprocessing.height, preprocessing.width)
    threshold, reconstruct = None, reconstructor_of(model)
    if files:
        images = np.concatenate([prepare(decode(file), preprocessing) for file in files])
        threshold = threshold_from_good(
            [
                score(judged_map(image[np.newaxis], made[np.newaxis], judged, preprocessing.layout, training_error))
                for image, made in zip(images, reconstruct(images), strict=True)
            ]
        )
    found = replace(judged, threshold=threshold)
    set_inspection(model, preprocessing, found, training_error, tuple(files))
    return None if threshold is None else Calibration(found, training_error)


def calibrate(
    reconstruct: Reconstruct,
    preprocessing: Preprocessing,
    images: Prepared,
    judged: Score = NORMALISED,
    on_image: OnImage | None = None,
) -> Calibration:
    """The training error map is the mean of the anomaly maps of the images trained on; the threshold is from those held
    out that travel with the model, so that a board finds it from the same. InspectionError.
    """
    good = images.held_out[: len(images.good_images) or None]
    count, layout = len(images.train) + len(good), preprocessing.layout

    def pairs(part: Floats, before: int) -> Iterator[tuple[Floats, Floats]]:
        for done, image in enumerate(part, before + 1):
            yield image[np.newaxis], reconstruct(image[np.newaxis])
            if on_image:
                on_image(done, count)

    total = np.zeros((preprocessing.height, preprocessing.width))
    for image, made in pairs(images.train, 0):
        total += anomaly_map(image, made, judged, layout)
    mean = (total / len(images.train)).astype(np.float32)
    usual = decode_error_map(encode_error_map(mean), preprocessing.height, preprocessing.width)  # as it will be read
    scores = [score(judged_map(image, made, judged, layout, usual)) for image, made in pairs(good, len(images.train))]
    return Calibration(replace(judged, threshold=threshold_from_good(scores)), usual)


def reconstructor_of(model: ModelProto) -> Reconstruct:
    """`model` in ONNX Runtime on one thread, an image at a time as boards run it."""
    session = session_of(model)
    name = session.get_inputs()[0].name

    def reconstruct(images: Floats) -> Floats:
        return np.concatenate([session.run(None, {name: image[np.newaxis]})[0] for image in images])

    return reconstruct
