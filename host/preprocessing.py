"""How images become a model's input: from the user's file, from the model itself, or by the usual convention."""

import tomllib
from pathlib import Path

from pydantic import ValidationError

from contract.manifest import Inspection, Preprocessing, Signature, TensorSpec
from host.errors import InputError

_IMAGE_DTYPES = ("float16", "float32", "uint8")
_COLORS = {1: "GRAY", 3: "RGB"}


def inspection_of(metadata: str | None) -> Inspection:
    """What a model's ``metadata_props["boardfit"]`` says. InputError where it says what we do not understand."""
    if metadata is None:
        return Inspection()
    try:
        return Inspection.model_validate_json(metadata)
    except ValidationError as error:
        raise InputError(
            f"the model's metadata_props['boardfit'] is not what it should be: {_first(error)}",
            "make the model again with this boardfit, or take that entry out of it",
        ) from error


def read_file(path: Path, signature: Signature) -> Preprocessing:
    """From a TOML file with color, layout, scale, mean, std, height, width; what it leaves out is as by convention."""
    usual = by_convention(signature)
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
        return Preprocessing.model_validate({**(usual.model_dump() if usual else {}), **given})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"--preprocess {path} cannot be read: {error}", "give a TOML file") from error
    except ValidationError as error:
        raise InputError(
            f"--preprocess {path}: {_first(error)}", f"its keys are {', '.join(Preprocessing.model_fields)}"
        ) from error


def by_convention(signature: Signature) -> Preprocessing | None:
    """RGB or grey, bilinear to the input's size, /255, layout from the shape; None where the input is no image."""
    if len(signature.inputs) != 1 or not _is_image(signature.inputs[0]):
        return None
    _, *dims = signature.inputs[0].shape
    layout = "NCHW" if dims[0] in _COLORS else "NHWC"
    channels, height, width = dims if layout == "NCHW" else (dims[2], dims[0], dims[1])
    return Preprocessing.model_validate(
        {"color": _COLORS[channels], "height": height, "width": width, "layout": layout}
    )


def check(preprocessing: Preprocessing, signature: Signature) -> None:
    """InputError where it makes something else than the model's one input."""
    channels = preprocessing.channels
    spatial = (preprocessing.height, preprocessing.width)
    shape = (1, channels, *spatial) if preprocessing.layout == "NCHW" else (1, *spatial, channels)
    wanted = signature.inputs[0]
    if len(signature.inputs) != 1 or wanted.shape != shape or wanted.dtype not in _IMAGE_DTYPES:
        raise InputError(
            f"the preprocessing makes one {preprocessing.layout} image of shape {list(shape)}, the model takes "
            + ", ".join(f"{spec.name} {spec.dtype} {list(spec.shape)}" for spec in signature.inputs),
            "correct --preprocess (color, layout, height, width)",
        )


def in_words(preprocessing: Preprocessing) -> str:
    """One line for the user."""
    size = f"{preprocessing.width}x{preprocessing.height}"
    normal = "".join(
        f", {name} {list(values)}"
        for name, values in (("mean", preprocessing.mean), ("std", preprocessing.std))
        if values
    )
    return f"{preprocessing.color} {preprocessing.layout}, bilinear to {size}, x {preprocessing.scale:.6g}{normal}"


def _is_image(spec: TensorSpec) -> bool:
    if len(spec.shape) != 4 or spec.shape[0] != 1 or spec.dtype not in _IMAGE_DTYPES:
        return False
    return spec.shape[1] in _COLORS or spec.shape[3] in _COLORS


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'the whole'}: {first['msg']}"
