"""How images become a model's input: from the user's file, from the model itself, or by the usual convention."""

import difflib
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contract.manifest import IMAGE_DTYPES, Inspection, Preprocessing
from contract.tensors import Signature, TensorSpec
from host.errors import InputError

_ARITHMETIC = ("scale", "mean", "std")
_COLORS = {1: "GRAY", 3: "RGB"}
_AN_EXAMPLE = 'e.g. color = "RGB", mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225]'


def inspection_of(metadata: str | None) -> Inspection:
    """What a model's ``metadata_props["boardfit"]`` says. InputError where it says what we do not understand."""
    if metadata is None:
        return Inspection()
    try:
        return Inspection.model_validate_json(metadata)
    except ValidationError as error:
        raise InputError(
            f"the model's metadata_props['boardfit'] is not what it should be: {first_problem(error)}",
            "make the model again with this boardfit, or take that entry out of it",
        ) from error


def read_file(path: Path, signature: Signature) -> Preprocessing:
    """From a TOML file with color, layout, scale, mean, std, height, width; what it leaves out is as by convention.

    InputError where it is no such file, or does not make the model's one input.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"--preprocess {path} cannot be read: {error.strerror}", "check the path") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"--preprocess {path} is no TOML file: {error}", _AN_EXAMPLE) from error
    unknown = next((key for key in given if key not in Preprocessing.model_fields), None)
    if unknown is not None:
        near = difflib.get_close_matches(unknown, Preprocessing.model_fields, n=1)
        raise InputError(
            f"--preprocess {path} has an unknown key {unknown!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
            f"its keys are {', '.join(Preprocessing.model_fields)}",
        )
    _refuse_arithmetic_on_bytes(path, given, signature)
    usual = by_convention(signature)
    try:
        made = Preprocessing.model_validate({**(usual.model_dump() if usual else {}), **given})
    except ValidationError as error:
        raise InputError(f"--preprocess {path}: {first_problem(error)}", _AN_EXAMPLE) from error
    check(made, signature, f"--preprocess {path}")
    return made


def by_convention(signature: Signature) -> Preprocessing | None:
    """RGB or grey, bilinear to the input's size, /255, layout from the shape; None where the input is no image.

    An input of bytes takes the pixels as they are: inspection/preprocess.py.
    """
    if len(signature.inputs) != 1 or not _is_image(signature.inputs[0]):
        return None
    _, *dims = signature.inputs[0].shape
    layout = "NCHW" if dims[0] in _COLORS else "NHWC"
    channels, height, width = dims if layout == "NCHW" else (dims[2], dims[0], dims[1])
    scale = {"scale": 1.0} if _takes_bytes(signature) else {}
    return Preprocessing.model_validate(
        {"color": _COLORS[channels], "height": height, "width": width, "layout": layout, **scale}
    )


def check(preprocessing: Preprocessing, signature: Signature, origin: str) -> None:
    """InputError where it makes something else than the model's one input; `origin`: whose word it is."""
    wanted = signature.inputs[0]
    if len(signature.inputs) != 1 or wanted.shape != preprocessing.shape or wanted.dtype not in IMAGE_DTYPES:
        raise InputError(
            f"{origin} makes one {preprocessing.color} image, {preprocessing.layout} {list(preprocessing.shape)}; "
            f"the model takes {', '.join(f'{spec.name} {spec.dtype} {list(spec.shape)}' for spec in signature.inputs)}",
            "make them agree: color, layout, height, width (--preprocess FILE.toml)",
        )


def in_words(preprocessing: Preprocessing, dtype: str) -> str:
    """For the user, e.g. ``RGB, resized to 256x256 (bilinear), divided by 255, as NCHW``."""
    steps = [preprocessing.color, f"resized to {preprocessing.width}x{preprocessing.height} (bilinear)"]
    if dtype != "uint8":
        steps += _arithmetic_in_words(preprocessing)
    return ", ".join([*steps, f"as {preprocessing.layout} {dtype}"])


def first_problem(error: ValidationError) -> str:
    """Of a file or a text that is not what it should be: where, and what is wrong there."""
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'the whole'}: {first['msg']}"


def _arithmetic_in_words(preprocessing: Preprocessing) -> list[str]:
    steps = []
    divisor = round(1 / preprocessing.scale) if preprocessing.scale else 0
    if divisor > 1 and preprocessing.scale == 1 / divisor:
        steps.append(f"divided by {divisor}")
    elif preprocessing.scale != 1:
        steps.append(f"times {preprocessing.scale:.6g}")
    if preprocessing.mean:
        steps.append(f"minus the mean {list(preprocessing.mean)}")
    if preprocessing.std:
        steps.append(f"divided by the std {list(preprocessing.std)}")
    return steps


def _refuse_arithmetic_on_bytes(path: Path, given: dict[str, Any], signature: Signature) -> None:
    key = next((key for key in _ARITHMETIC if key in given), None)
    if key is not None and _takes_bytes(signature):
        raise InputError(
            f"--preprocess {path} has {key!r}, but the model takes uint8: the pixels as they are",
            "take it out; a model with uint8 input has its scale and mean inside",
        )


def _takes_bytes(signature: Signature) -> bool:
    return signature.inputs[0].dtype == "uint8"


def _is_image(spec: TensorSpec) -> bool:
    if len(spec.shape) != 4 or spec.shape[0] != 1 or spec.dtype not in IMAGE_DTYPES:
        return False
    return spec.shape[1] in _COLORS or spec.shape[3] in _COLORS
