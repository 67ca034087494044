"""A user's folder of images: which files it has, and what a model makes of them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from contract.manifest import Preprocessing
from host.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUFFIXES = (".png", ".jpg", ".jpeg")
_MEDIA_TYPES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}  # by how the file begins


def image_files(folder: Path) -> list[Path]:
    """Every PNG and JPEG below `folder`, by its suffix, in the order of their paths. InputError where there is none.

    Hidden files and folders are passed over (a Mac leaves a ``._000.png`` beside each 000.png), and links to folders
    are not followed, so that none is met twice and a loop ends.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder", "name a folder with PNG or JPEG images")
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(place, name) for name in names if not name.startswith("."))
        found += [path for path in paths if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not found:
        raise InputError(f"{folder} has no image in it", f"put files ending in {', '.join(SUFFIXES)} there")
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
    from inspection.errors import InspectionError

    content = read(image) if isinstance(image, Path) else image
    try:
        return preprocess.prepare(preprocess.decode(content), preprocess.Preprocessing(**dict(preprocessing)), dtype)
    except InspectionError as error:
        name = image if isinstance(image, Path) else "an image"
        raise InputError(f"{name}: {error}", error.hint, error.code) from error


@dataclass(frozen=True)
class Cases(Sequence["Sequence[NDArray[Any]]"]):
    """Images as inputs of a model that has one: each is prepared when it is asked for, as there may be hundreds."""

    images: tuple[Path | bytes, ...]
    preprocessing: Preprocessing
    dtype: str

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, index: int) -> "Sequence[NDArray[Any]]": ...

    @overload
    def __getitem__(self, index: slice) -> "Sequence[Sequence[NDArray[Any]]]": ...

    def __getitem__(self, index: int | slice) -> "Sequence[Any]":
        """InputError names the file."""
        if isinstance(index, slice):
            return Cases(self.images[index], self.preprocessing, self.dtype)
        return [prepared(self.images[index], self.preprocessing, self.dtype)]
