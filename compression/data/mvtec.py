"""Any data set in the folder layout of MVTec AD.

    FOLDER/train/good/NAME.png                 good images to train on
    FOLDER/test/good/NAME.png                  good images to test with
    FOLDER/test/KIND/NAME.png                  images with a defect of that kind
    FOLDER/ground_truth/KIND/NAME_mask.png     where the defect is: not 0

(Bergmann et al., "The MVTec Anomaly Detection Dataset", Int. J. Comput. Vis. 129, 2021.) The images may be PNG or JPEG.
A data set without the folder `ground_truth` has no masks; all else that is missing is an error (errors.py).
"""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from compression.data.errors import (
    EmptyFolderError,
    ImageFileError,
    MaskSizeError,
    MissingFolderError,
    MissingMaskError,
    MixedSizesError,
    OneClassError,
    TooFewImagesError,
)
from inspection.errors import ImageError
from inspection.preprocess import Preprocessing, decode, prepare

SUFFIXES = (".png", ".jpg", ".jpeg")
GOOD = "good"
HELD_OUT = 0.1

OnImage = Callable[[int, int], None]
"""Called with how many images are done, of how many."""


@dataclass(frozen=True)
class LabelledImage:
    """A test image. `kind` is its folder's name; `mask` is None for a good one, and in a data set without masks."""

    path: Path
    kind: str
    mask: Path | None

    @property
    def defective(self) -> bool:
        return self.kind != GOOD


@dataclass(frozen=True)
class Dataset:
    """`train`: good images; `test`: good ones first, then by kind. Each in the order of the file names."""

    folder: Path
    train: tuple[Path, ...]
    test: tuple[LabelledImage, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of each test image."""
        return tuple(image.kind for image in self.test)

    @property
    def defective(self) -> NDArray[np.bool_]:
        """Of each test image."""
        return np.array([image.defective for image in self.test])

    @property
    def has_masks(self) -> bool:
        return any(image.mask for image in self.test)


def read_dataset(folder: Path) -> Dataset:
    """What is in `folder`; only names are looked at. A DatasetError says which part of the layout is missing, or which
    name is no text.
    """
    _must_be_folder(folder, "name a folder in MVTec AD's layout, or make one with `host dataset capsule`")
    for part in ("train/good", "test"):
        _must_be_folder(folder / part, f"{folder} is not in MVTec AD's layout: it has train/good, test/good, test/KIND")
    kinds = sorted(
        (place.name for place in _listed(folder / "test") if place.is_dir()),
        key=lambda kind: (kind != GOOD, kind),
    )
    if GOOD not in kinds or len(kinds) == 1:
        missing = "no good image (test/good)" if GOOD not in kinds else "no defective image (test/KIND)"
        raise OneClassError(
            f"{folder} has {missing} to test with: the AUC is undefined", "add images of the class that is missing"
        )
    test = (
        LabelledImage(path, kind, _mask_of(path, kind, folder / "ground_truth"))
        for kind in kinds
        for path in _images_in(folder / "test" / kind)
    )
    return Dataset(folder, _images_in(folder / "train" / GOOD), tuple(test))


def split(train: Sequence[Path], seed: int, held_out: float = HELD_OUT) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """(to train on, held out): the share `held_out`, rounded up, chosen by `seed`; both in the order they came in.

    The held-out images choose the epoch and set the threshold: they must not be trained on. TooFewImagesError where
    either part would be empty.
    """
    count = math.ceil(held_out * len(train))
    if not 0 < count < len(train):
        raise TooFewImagesError(
            f"{len(train)} training images cannot be split with {held_out:.0%} held out", "add training images"
        )
    chosen = set(np.random.default_rng(seed).permutation(len(train))[:count].tolist())
    return (
        tuple(path for place, path in enumerate(train) if place not in chosen),
        tuple(path for place, path in enumerate(train) if place in chosen),
    )


def load_images(
    dataset: Dataset, paths: Sequence[Path], preprocessing: Preprocessing, on_image: OnImage | None = None
) -> NDArray[np.float32]:
    """Prepared images, float32 (n,C,H,W) or (n,H,W,C). ImageFileError names the file that cannot be decoded,
    MixedSizesError the first that is not as large as the data set's first training image.
    """
    expected = _decoded(dataset.train[0]).size
    images = []
    for done, path in enumerate(paths, 1):
        image = _decoded(path)
        if image.size != expected:
            raise MixedSizesError(
                f"{path} has {_pixels(image.size)} pixels, {dataset.train[0]} has {_pixels(expected)}",
                "scale or crop all images to one size",
            )
        images.append(prepare(image, preprocessing))
        if on_image:
            on_image(done, len(paths))
    if not images:
        raise ValueError("no paths")
    return np.concatenate(images)


def load_masks(dataset: Dataset, height: int, width: int) -> NDArray[np.bool_]:
    """Bool (n,height,width) for the test images, in their order; all False for good ones.

    Scaled so that no defect is lost: a pixel is True where the mask touches it. ImageFileError, MaskSizeError.
    """
    masks = np.zeros((len(dataset.test), height, width), bool)
    for place, image in zip(masks, dataset.test, strict=True):
        if image.mask:
            mask, expected = _decoded(image.mask).convert("L"), _decoded(image.path).size
            if mask.size != expected:
                raise MaskSizeError(
                    f"{image.mask} has {_pixels(mask.size)} pixels, its image {_pixels(expected)}",
                    "make the mask from its own image",
                )
            marked = mask.point(lambda value: 255 if value else 0)
            place[:] = np.asarray(marked.resize((width, height), Image.Resampling.BOX)) > 0
    return masks


def _must_be_folder(path: Path, hint: str) -> None:
    if not path.is_dir():
        raise MissingFolderError(f"{path} is no folder", hint)


def _images_in(folder: Path) -> tuple[Path, ...]:
    images = (path for path in _listed(folder) if path.suffix.lower() in SUFFIXES and path.is_file())
    found = tuple(sorted(images))
    if not found:
        raise EmptyFolderError(f"{folder} has no image in it", f"put files ending in {', '.join(SUFFIXES)} there")
    for path in found:
        _must_be_text(path)
    return found


def _must_be_text(path: Path) -> None:
    """Names from an archive of another system may be in an encoding of their own: no store or report takes those."""
    name = os.fsencode(path)
    try:
        name.decode()
    except UnicodeDecodeError as error:
        raise ImageFileError(
            f"{name.decode(errors='backslashreplace')} has a name that is no UTF-8",
            "rename it; of a Japanese archive, all at once: convmv -f shift_jis -t utf8 --notest -r FOLDER",
        ) from error


def _listed(folder: Path) -> list[Path]:
    """What is not hidden: a Mac leaves a ``._000.png`` beside each 000.png."""
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise MissingFolderError(f"{folder} cannot be read: {error.strerror}", "check its permissions") from error


def _mask_of(path: Path, kind: str, ground_truth: Path) -> Path | None:
    if kind == GOOD or not ground_truth.is_dir():
        return None
    mask = ground_truth / kind / f"{path.stem}_mask.png"
    if not mask.is_file():
        raise MissingMaskError(
            f"{path} has no mask: {mask} is missing", "add it, or remove ground_truth to do without all masks"
        )
    return mask


def _decoded(path: Path) -> Image.Image:
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise ImageFileError(f"{path} cannot be read: {error.strerror}", "check its permissions") from error
    except ImageError as error:
        raise ImageFileError(f"{path}: {error}", "replace the file or remove it") from error


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
