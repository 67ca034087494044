"""A data set as a model takes it: what a training needs."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from compression.data.errors import TooFewImagesError
from compression.data.mvtec import Dataset, OnImage, load_images, split
from inspection.preprocess import Preprocessing, decode

LEAST = 2
"""Training images: one alone is its own mean."""

MAX_GOOD_IMAGES, MAX_GOOD_BYTES = 64, 32 << 20
"""That travel with a model: a threshold needs no more, and whoever reads the model need not take more."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """Prepared images, float32 (n,C,H,W) or (n,H,W,C). `defective` and `kinds` are of the test images.

    `good_images`: the first of the held-out ones, `MAX_GOOD_IMAGES` and `MAX_GOOD_BYTES` at most, as PNG files of the
    size that the model takes, from which preparing them makes the same tensors.
    """

    train: NDArray[np.float32]
    held_out: NDArray[np.float32]
    test: NDArray[np.float32]
    defective: NDArray[np.bool_]
    kinds: tuple[str, ...]
    good_images: tuple[bytes, ...]


def prepare_dataset(
    dataset: Dataset, preprocessing: Preprocessing, seed: int, on_image: OnImage | None = None
) -> Prepared:
    """All images of `dataset`; `seed` chooses which training images are held out. A DatasetError names the file."""
    train, held_out = split(dataset.train, seed)
    if len(train) < LEAST:
        raise TooFewImagesError(
            f"{dataset.folder} has {len(dataset.train)} training images, of which {len(held_out)} are held out",
            f"add training images: {LEAST} besides are the least, some dozens are usual",
        )
    paths = [*train, *held_out, *(image.path for image in dataset.test)]
    images = load_images(dataset, paths, preprocessing, on_image)
    first, second = len(train), len(train) + len(held_out)
    return Prepared(
        images[:first],
        images[first:second],
        images[second:],
        dataset.defective,
        dataset.kinds,
        scaled_pngs(held_out, preprocessing),
    )


def scaled_pngs(paths: Sequence[Path], preprocessing: Preprocessing) -> tuple[bytes, ...]:
    """Images that `load_images` has read before, as PNG files of the model's size: as many as may travel."""
    files: list[bytes] = []
    for path in paths[:MAX_GOOD_IMAGES]:
        file = _scaled_png(path, preprocessing)
        if sum(map(len, files)) + len(file) > MAX_GOOD_BYTES:
            break
        files.append(file)
    return tuple(files)


def _scaled_png(path: Path, preprocessing: Preprocessing) -> bytes:
    size = preprocessing.width, preprocessing.height
    file = io.BytesIO()
    decode(path.read_bytes()).resize(size, Image.Resampling.BILINEAR).save(file, "PNG")
    return file.getvalue()
