"""A complete example to try boardfit with: an inspection model and capsule photographs, from a seed."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from PIL import Image

from compression.autoencoder import Floats, build_autoencoder, reconstructor, set_inspection
from compression.data.capsule import photograph
from inspection.accuracy import threshold_from_good
from inspection.preprocess import Preprocessing, prepare
from inspection.score import Score, anomaly_map, score

SIZE = 256
GOOD_COUNT, DEFECTIVE_COUNT = 8, 4
KINDS = ("crack", "poke", "scratch")  # an untrained model sees what is small and sharp
# Each photograph's seed is (seed, series, number): no series shares an image with another.
MEAN_SERIES, GOOD_SERIES, DEFECTIVE_SERIES = range(3)
MEAN_COUNT = CALIBRATION_COUNT = 32
"""Good photographs for the model's mean image, and others for its threshold: those in `good/` are the first of them."""


@dataclass(frozen=True)
class ExamplePaths:
    """What `write_example` wrote."""

    model: Path
    good: tuple[Path, ...]
    defective: tuple[Path, ...]


def write_example(folder: Path, seed: int = 0) -> ExamplePaths:
    """Write ``autoencoder.onnx``, ``good/*.png`` and ``defective/*.png`` into `folder`, made where it does not exist.

    Files of these names are overwritten; equal seeds give equal pictures and weights. OSError where it cannot write.
    """
    for name in ("good", "defective"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    good = [photograph((seed, GOOD_SERIES, i)) for i in range(CALIBRATION_COUNT)]
    kinds = [KINDS[i % len(KINDS)] for i in range(DEFECTIVE_COUNT)]
    defective = [photograph((seed, DEFECTIVE_SERIES, i), kind) for i, kind in enumerate(kinds)]
    model = calibrated_model(seed, good)
    paths = ExamplePaths(
        model=folder / "autoencoder.onnx",
        good=tuple(folder / "good" / f"{i:03d}.png" for i in range(GOOD_COUNT)),
        defective=tuple(folder / "defective" / f"{i:03d}_{kind}.png" for i, kind in enumerate(kinds)),
    )
    for path, picture in zip((*paths.good, *paths.defective), (*good[:GOOD_COUNT], *defective), strict=True):
        picture.save(path)
    paths.model.write_bytes(model.SerializeToString())
    return paths


def calibrated_model(seed: int, good: list[Image.Image]) -> onnx.ModelProto:
    """The untrained autoencoder around the mean capsule, with the threshold that the photographs `good` set."""
    preprocessing, judged = Preprocessing(height=SIZE, width=SIZE), Score()
    mean_image: Floats = np.mean(
        [prepare(photograph((seed, MEAN_SERIES, i)), preprocessing)[0] for i in range(MEAN_COUNT)], axis=0
    )
    model = build_autoencoder(seed, SIZE, mean_image)
    reconstruct = reconstructor(model)
    scores = []
    for photo in good:
        tensor = prepare(photo, preprocessing)
        scores.append(score(anomaly_map(tensor, reconstruct(tensor), judged)))
    set_inspection(model, preprocessing, replace(judged, threshold=threshold_from_good(scores)))
    return model
