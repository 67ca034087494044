"""A user's folder of images: which files it has, and what a model makes of them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.manifest import Preprocessing
from host.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUFFIXES = (".png", ".jpg", ".jpeg")
_MEDIA_TYPES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}  # by how the file begins


def image_files(folder: Path) -> list[Path]:
    """Every PNG and JPEG below `folder`, by its suffix, in the order of their paths. InputError where there is none."""
    found = files_below(folder, SUFFIXES)
    if not found:
        raise InputError(f"{folder} has no image in it", f"put files ending in {', '.join(SUFFIXES)} there")
    return found


def files_below(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Every file below `folder` that ends so, in the order of their paths. InputError where it is no folder.

    Hidden files and folders are passed over (a Mac leaves a ``._000.png`` beside each 000.png), and links to folders
    are not followed, so that none is met twice and a loop ends.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder", f"name one with files ending in {', '.join(suffixes)}")
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(place, name) for name in names if not name.startswith("."))
        found += [path for path in paths if path.suffix.lower() in suffixes and path.is_file()]
    return sorted(found)


def media_type_of(content: bytes) -> str | None:
    """By how the file begins, whatever its name is; None where it is neither PNG nor JPEG."""
    return next((media for magic, media in _MEDIA_TYPES.items() if content.startswith(magic)), None)


def read(path: Path) -> bytes:
    """InputError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "check the path and its permissions") from error


def prepared(image: Path | bytes, preprocessing: Preprocessing, dtype: str) -> "NDArray[Any]":
    """The model's input tensor for one image, a file or what is in one. InputError names the file."""
    from inspection import preprocess
    from inspection.errors import BrokenImageError, InspectionError

    content = read(image) if isinstance(image, Path) else image
    try:
        return preprocess.prepare(preprocess.decode(content), preprocess.Preprocessing(**dict(preprocessing)), dtype)
    except InspectionError as error:
        name = image if isinstance(image, Path) else "an image"
        hint = "copy the image again, whole" if isinstance(error, BrokenImageError) else error.hint
        raise InputError(f"{name}: {error}", hint, error.code) from error
