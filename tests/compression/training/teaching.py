"""Small things to train in a second."""

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from compression.autoencoder import AutoencoderSpec, reference_model
from compression.data.prepared import Prepared

SPEC = AutoencoderSpec(16, (8, 12), linear_bottleneck=True)
TRAIN, HELD_OUT, GOOD, BAD = 20, 4, 4, 6


def prepared(seed: int = 0) -> Prepared:
    """Smooth waves; a defective image has a bright square in it."""
    rng = np.random.default_rng(seed)
    images = np.concatenate([_wave(rng) for _ in range(TRAIN + HELD_OUT + GOOD + BAD)])
    images[-BAD:, :, 5:8, 5:8] += 0.6
    first, second = TRAIN, TRAIN + HELD_OUT
    defective = np.array([False] * GOOD + [True] * BAD)
    kinds = ("good",) * GOOD + ("square",) * BAD
    return Prepared(images[:first], images[first:second], images[second:], defective, kinds, ())


def untrained(images: Prepared, seed: int = 0) -> ModelProto:
    return reference_model(SPEC, images.train, seed)


def weights_of(model: ModelProto) -> dict[str, bytes]:
    return {tensor.name: tensor.raw_data for tensor in model.graph.initializer}


def _wave(rng: np.random.Generator) -> NDArray[np.float32]:
    rows, columns = np.mgrid[0:16, 0:16] / 16
    phase, frequency = rng.uniform(0, 6, 3), rng.uniform(1, 3, 2)
    waves = [np.sin(frequency @ np.array([rows.ravel(), columns.ravel()]) * 3 + each) for each in phase]
    return (np.stack(waves).reshape(1, 3, 16, 16) * 0.2 + 0.5).astype(np.float32)
