"""The images that a conversion is given: which they are, and what they are for."""

from collections.abc import Sequence
from pathlib import Path

from contract.tensors import Signature
from host import images
from host.errors import InputError
from host.judging import Judging

GOLDEN_COUNT = 8
CALIBRATION_COUNT = 200
"""Images at most: more change the ranges of an int8 conversion no more, and each has to be run."""

_NAMED = 4
"""Folders that a notice names."""


def pictures(
    folder: Path | None, judging: Judging, signature: Signature, int8: bool
) -> tuple[images.Cases | None, tuple[str, ...]]:
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
        return images.Cases(brought, image, signature.inputs[0].dtype), (f"{said}; --calibrate DIR takes more",)
    if image is None and int8:
        raise InputError(
            "int8 takes its ranges from images, but the model takes tensors",
            "choose another precision, or have it made int8 where it comes from",
        )
    if image is None:
        raise InputError("--calibrate gives images, but the model takes tensors", "leave it out: noise is used")
    found = images.image_files(folder)
    chosen = found[: CALIBRATION_COUNT if int8 else GOLDEN_COUNT]
    cases = images.Cases(tuple(chosen), image, signature.inputs[0].dtype)
    return cases, (_origin(folder, found, len(chosen), int8),)


def _origin(folder: Path, found: Sequence[Path], used: int, int8: bool) -> str:
    """Which images are used, in words: a folder may have others below it, which nobody thought of."""
    what = "int8: calibrated with" if int8 else "golden inputs:"
    count = _counted(used, "image") if used == len(found) else f"the first {used} of {len(found)} images"
    below = list(dict.fromkeys(str(path.parent.relative_to(folder)) for path in found if path.parent != folder))
    if not below:
        return f"{what} {count} in {folder}"
    named = ", ".join(below[:_NAMED]) + (", ..." if len(below) > _NAMED else "")
    return f"{what} {count} in {folder} and {_counted(len(below), 'folder')} below it ({named})"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
