"""What a model file on this machine consists of."""

from pathlib import Path
from typing import TYPE_CHECKING

from host.bundle import read_manifest
from host.errors import ModelFileError

if TYPE_CHECKING:
    from converters.anatomy.anatomy import Anatomy


def model_file(path: Path) -> Path:
    """Of a folder that `host convert` wrote, the model in it; any other path as it is. InputError."""
    return path / read_manifest(path).runtime.file if path.is_dir() else path


def inspect(path: Path) -> "Anatomy":
    """Of a .onnx or .tflite file, also one compiled for the Edge TPU. ModelFileError."""
    from converters.anatomy.inspect import inspect_file
    from converters.errors import ConversionError

    try:
        return inspect_file(path)
    except ConversionError as error:
        of_it = error.message if path.name in error.message else f"{path}: {error.message}"
        raise ModelFileError(of_it, error.hint, error.code) from error
