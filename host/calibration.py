"""The examples that a conversion is given, images or tensors: which they are, and what they are for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from contract.manifest import Preprocessing
from contract.tensors import Signature
from host import images, tensor_files
from host.errors import InputError
from host.judging import Judging

if TYPE_CHECKING:
    from numpy.typing import NDArray

GOLDEN_COUNT = 8
CALIBRATION_COUNT = 200
"""Examples at most: more change the ranges of an int8 conversion no more, and each has to be run."""

_NAMED = 4
"""Folders that a notice names."""


@dataclass(frozen=True)
class Examples(Sequence["Sequence[NDArray[Any]]"]):
    """What a model may be given, each its inputs in order, read when it is asked for: there may be hundreds."""

    source: Literal["images", "tensors"]
    files: tuple[Path | bytes, ...]
    read: "Callable[[Path | bytes], Sequence[NDArray[Any]]]"

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, index: int) -> "Sequence[NDArray[Any]]": ...

    @overload
    def __getitem__(self, index: slice) -> "Examples": ...

    def __getitem__(self, index: int | slice) -> "Sequence[Any]":
        """InputError names the file."""
        if isinstance(index, slice):
            return replace(self, files=self.files[index])
        return self.read(self.files[index])


def examples(
    folder: Path | None, judging: Judging, signature: Signature, int8: bool
) -> tuple[Examples | None, tuple[str, ...]]:
    """Those of the user's folder; for int8, which takes its ranges from them, else the good images that the model
    brings. And which they are, as a notice. InputError.
    """
    image = judging.preprocessing
    if folder is None:
        if not int8 or not judging.good_images:
            return None, ()
        assert image, "good images come with their preparation"
        brought = tuple(judging.good_images.values())
        said = f"int8: calibrated with the {_counted(len(brought), 'good image')} in the model"
        return _images(brought, image, signature), (f"{said}; --calibrate DIR takes more",)
    found = _files(folder, signature, image is not None)
    chosen = tuple(found[: CALIBRATION_COUNT if int8 else GOLDEN_COUNT])
    if found[0].suffix.lower() in tensor_files.SUFFIXES:
        return _tensors(chosen, signature), (_origin(folder, found, len(chosen), int8, "tensor file"),)
    assert image, "images are found for a model that takes them"
    return _images(chosen, image, signature), (_origin(folder, found, len(chosen), int8, "image"),)


def _images(files: tuple[Path | bytes, ...], image: Preprocessing, signature: Signature) -> Examples:
    dtype = signature.inputs[0].dtype
    return Examples("images", files, lambda file: [images.prepared(file, image, dtype)])


def _tensors(files: tuple[Path, ...], signature: Signature) -> Examples:
    def read(file: Path | bytes) -> "Sequence[NDArray[Any]]":
        assert isinstance(file, Path)
        return tensor_files.read_case(file, signature)

    return Examples("tensors", files, read)


def _files(folder: Path, signature: Signature, takes_images: bool) -> list[Path]:
    """All images or all tensors below `folder`. InputError where it has none, has both, or has what the model does not
    take.
    """
    found = images.files_below(folder, (*images.SUFFIXES, *tensor_files.SUFFIXES))
    tensors = [path for path in found if path.suffix.lower() in tensor_files.SUFFIXES]
    if not found:
        suffixes = ", ".join(images.SUFFIXES if takes_images else tensor_files.SUFFIXES)
        raise InputError(f"{folder} has no image in it, and no tensors", f"put files ending in {suffixes} there")
    if tensors and len(tensors) < len(found):
        picture = next(path for path in found if path not in tensors)
        raise InputError(
            f"{folder} has both images and tensors in it: {picture.relative_to(folder)} and "
            f"{tensors[0].relative_to(folder)}",
            "name a folder with one of them: tensors are what the model takes, images are prepared for it first",
        )
    if not tensors and not takes_images:
        raise InputError(
            f"{folder} has images in it, but the model takes tensors: {tensor_files.in_words(signature)}",
            "give .npz files, one example each, with an array of each input's name (or .npy files, for one input)",
        )
    return found


def _origin(folder: Path, found: Sequence[Path], used: int, int8: bool, what: str) -> str:
    """Which examples are used, in words: a folder may have others below it, which nobody thought of."""
    use = "int8: calibrated with" if int8 else "golden inputs:"
    count = _counted(used, what) if used == len(found) else f"the first {used} of {_counted(len(found), what)}"
    below = list(dict.fromkeys(str(path.parent.relative_to(folder)) for path in found if path.parent != folder))
    if not below:
        return f"{use} {count} in {folder}"
    named = ", ".join(below[:_NAMED]) + (", ..." if len(below) > _NAMED else "")
    return f"{use} {count} in {folder} and {_counted(len(below), 'folder')} below it ({named})"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
