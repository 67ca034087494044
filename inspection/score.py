"""From a reconstruction to an error map, a score and a decision.

Both scores are the maximum of a map: a defect is small, and the mean over the image would drown it.

    max_smoothed_squared_error    of the squared error smoothed with a Gaussian (`anomaly_map`)
    max_normalised_squared_error  of that divided by what is usual for the model at each pixel (`normalised_map`)
"""

import base64
import io
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inspection.errors import InputMismatchError, NonFiniteError

Layout = Literal["NCHW", "NHWC"]
Method = Literal["max_smoothed_squared_error", "max_normalised_squared_error"]
Decision = Literal["good", "defective", "uncalibrated"]
FloatMap = NDArray[np.float32]

LEAST_USUAL = 0.01
"""Floor of a training error map, relative to its mean."""

# Every 16th colour of matplotlib's "inferno" (N. Smith and S. van der Walt, 2015, CC0): perceptually uniform, readable
# with colour-blind eyes and in print.
_INFERNO = bytes.fromhex(
    "0000040b0724210c4a3d096557106e71196e8a226aa32c61bc3754d04545e35933f1711ff98c0afcaa0ff9c932f2e865fcffa4"
)


@dataclass(frozen=True)
class Score:
    """How a model's images are judged; the fields of `contract.manifest.Score`.

    method     the normalised one needs the model's training error map
    sigma      of the Gaussian, in pixels of the model's output
    threshold  an image is defective above it; None = not calibrated
    """

    method: Method = "max_smoothed_squared_error"
    sigma: float = 1.0
    threshold: float | None = None


def error_map(image: NDArray[Any], reconstruction: NDArray[Any], layout: Layout = "NCHW") -> FloatMap:
    """Squared error, averaged over the channels: (1,C,H,W) or (1,H,W,C) tensors -> float32 (H,W).

    InputMismatchError where the two are not one image of the same shape, NonFiniteError where the error of a pixel
    is NaN or infinite.
    """
    if image.shape != reconstruction.shape or image.ndim != 4 or image.shape[0] != 1:
        raise InputMismatchError(
            f"input {image.shape} and reconstruction {reconstruction.shape} are not two equal shapes of one image",
            "only a model that reconstructs its input can be scored",
        )
    with np.errstate(over="ignore", invalid="ignore"):  # looked for below
        difference = image.astype(np.float32) - reconstruction.astype(np.float32)
        errors: FloatMap = np.square(difference).mean(axis=1 if layout == "NCHW" else 3)[0]
    bad = errors.size - np.count_nonzero(np.isfinite(errors))
    if bad:
        raise NonFiniteError(
            f"the error of {bad} of {errors.size} pixels is not a finite number",
            "the model's output overflows: try a higher precision, fp32 instead of fp16",
        )
    return errors


def gaussian_smooth(values: FloatMap, sigma: float) -> FloatMap:
    """Gaussian filter of a float32 (H,W) map, cut off at 4 sigma; the border reflects: d c b a | a b c d | d c b a.

    The same as ``scipy.ndimage.gaussian_filter(values, sigma)``, without scipy.
    """
    radius = int(4 * sigma + 0.5)
    kernel = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)  # its right half: it is symmetric
    kernel /= 2 * kernel.sum() - kernel[0]
    return _smooth_columns(_smooth_columns(values, kernel).T, kernel).T


def _smooth_columns(values: FloatMap, kernel: NDArray[np.float64]) -> FloatMap:
    """Weighted sum of shifted views: numpy's convolve knows one dimension only."""
    radius, height = len(kernel) - 1, values.shape[0]
    padded = np.pad(values, ((radius, radius), (0, 0)), mode="symmetric")
    smoothed = padded[radius : radius + height] * np.float32(kernel[0])
    for shift in range(1, radius + 1):
        pair = padded[radius - shift : radius - shift + height] + padded[radius + shift : radius + shift + height]
        pair *= np.float32(kernel[shift])
        smoothed += pair
    return smoothed


def anomaly_map(image: NDArray[Any], reconstruction: NDArray[Any], spec: Score, layout: Layout = "NCHW") -> FloatMap:
    """`error_map` smoothed by `spec.sigma`: float32 (H,W), in squared units of the model's input; same errors."""
    return gaussian_smooth(error_map(image, reconstruction, layout), spec.sigma)


def normalised_map(anomaly: FloatMap, training_error: FloatMap) -> FloatMap:
    """`anomaly` in multiples of what is usual at each pixel: float32 (H,W), without a unit; 1 where it is as usual.

    `training_error` is the mean of the `anomaly_map`s of good training images, (H,W): high at edges and imprints, where
    every reconstruction errs, so that they hide no defect elsewhere. Its smallest values, below `LEAST_USUAL` of its
    mean, are raised to that: where a model is almost always right nothing else may divide by almost zero.
    InputMismatchError where the shapes differ, NonFiniteError for a training error that is not finite, negative or 0
    everywhere.
    """
    if anomaly.shape != training_error.shape:
        raise InputMismatchError(
            f"anomaly map {anomaly.shape}, training error map {training_error.shape}",
            "take the training error map of the same model",
        )
    usual = _usual(training_error)
    return np.asarray(anomaly / np.maximum(training_error, np.float32(LEAST_USUAL * usual)), np.float32)


def _usual(training_error: FloatMap) -> float:
    """Its mean. NonFiniteError where nothing can be divided by it."""
    usual = float(training_error.mean())
    if not (math.isfinite(usual) and usual > 0 and training_error.min() >= 0):
        raise NonFiniteError(
            f"the training error map has the mean {usual} and the minimum {training_error.min()}",
            "compute it from good images the model reconstructs",
        )
    return usual


def judged_map(
    image: NDArray[Any],
    reconstruction: NDArray[Any],
    spec: Score,
    layout: Layout = "NCHW",
    training_error: FloatMap | None = None,
) -> FloatMap:
    """The map whose maximum is the image's score by `spec.method`: float32 (H,W).

    `anomaly_map`, or its `normalised_map` by `training_error`, which the smoothed method passes over; their errors, and
    InputMismatchError where the normalised method is given no map.
    """
    anomaly = anomaly_map(image, reconstruction, spec, layout)
    if spec.method == "max_smoothed_squared_error":
        return anomaly
    if training_error is None:
        raise InputMismatchError(
            f"the score {spec.method} has no training error map", "make the model again with its training error map"
        )
    return normalised_map(anomaly, training_error)


def encode_error_map(training_error: FloatMap) -> str:
    """Text of a training error map (H,W): base64 of the square roots as little-endian float16, row-major.

    Roots, as squared errors fall below float16's range; they keep 3 digits from 1e-8 to 4e9, in 44 KB at 128 x 128.
    InputMismatchError where it is no map, NonFiniteError where `normalised_map` could not use it.
    """
    if training_error.ndim != 2:
        raise InputMismatchError(f"a training error map of shape {training_error.shape}", "give one of (height, width)")
    _usual(training_error)
    roots = np.sqrt(training_error.astype(np.float64))
    if roots.max() > np.finfo(np.float16).max:
        raise NonFiniteError(
            f"the training error map has the maximum {training_error.max()}", "train the model: it reconstructs nothing"
        )
    return base64.b64encode(roots.astype("<f2").tobytes()).decode("ascii")


def decode_error_map(text: str, height: int, width: int) -> FloatMap:
    """What `encode_error_map` wrote, float32 (height, width). InputMismatchError, NonFiniteError: it is damaged."""
    again = "make the model again with this boardfit"
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise InputMismatchError(f"the training error map is not base64: {error}", again) from error
    if len(content) != 2 * height * width:
        raise InputMismatchError(
            f"the training error map has {len(content)} bytes, {height} x {width} pixels need {2 * height * width}",
            again,
        )
    decoded: FloatMap = np.square(np.frombuffer(content, "<f2").astype(np.float32)).reshape(height, width)
    _usual(decoded)
    return decoded


def score(anomaly: FloatMap) -> float:
    """An image's score: the maximum of its anomaly map."""
    return float(anomaly.max())


def decide(image_score: float, threshold: float | None) -> Decision:
    """Defective above `threshold`, good up to it, uncalibrated without one; NonFiniteError for a NaN or infinity."""
    if not math.isfinite(image_score):
        raise NonFiniteError(f"the score is {image_score}", "check the model's outputs")
    if threshold is None:
        return "uncalibrated"
    return "defective" if image_score > threshold else "good"


def render_map(anomaly: FloatMap, upper: float | None = None) -> bytes:
    """PNG file of `picture_of(anomaly, upper)`."""
    file = io.BytesIO()
    picture_of(anomaly, upper).save(file, "PNG")
    return file.getvalue()


def picture_of(anomaly: FloatMap, upper: float | None = None) -> Image.Image:
    """An anomaly map (8-bit palette, H x W): 0 is black, `upper` and above pale yellow, linear between.

    `upper` defaults to the map's maximum. Give one value, e.g. twice the threshold, to compare pictures.
    """
    top = float(anomaly.max()) if upper is None else upper
    scaled = anomaly / top if top > 0 else np.zeros_like(anomaly)
    picture = Image.fromarray((scaled.clip(0, 1) * 255).round().astype(np.uint8))
    picture.putpalette(_palette())
    return picture


def _palette() -> bytes:
    """256 RGB colours, interpolated."""
    points = np.frombuffer(_INFERNO, np.uint8).reshape(-1, 3)
    places = np.linspace(0, 255, len(points)).round()
    channels = [np.interp(np.arange(256), places, channel) for channel in points.T]
    return np.stack(channels, axis=1).round().astype(np.uint8).tobytes()
