"""What a model file of any of our formats consists of."""

import stat
from pathlib import Path

from converters.anatomy.anatomy import Anatomy
from converters.errors import ModelTooLargeError, UnreadableModelError
from converters.tflite_file import NotTfliteError, is_tflite

_MOST_BYTES = 2**31 - 1
_HEAD_BYTES = 8
_HINT = "name a .onnx or .tflite file"


def inspect_file(path: Path) -> Anatomy:
    """By the file's content, or by its name where that tells nothing. ConversionError.

    What is not TFLite is read as ONNX, whose errors name other formats.
    """
    content = _tflite_bytes(path)
    if content is None:
        return _not_tflite(path)
    from converters.anatomy.tflite import anatomy_of_tflite

    return anatomy_of_tflite(content)


def _tflite_bytes(path: Path) -> bytes | None:
    """The whole file, or None where its first bytes say that it is something else."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise UnreadableModelError(f"{path} is {kind}", _HINT)
        with path.open("rb") as file:
            if not is_tflite(file.read(_HEAD_BYTES)):
                return None
        if status.st_size > _MOST_BYTES:
            raise ModelTooLargeError(f"{path} has {status.st_size:,} bytes, more than {_MOST_BYTES:,}", _HINT)
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UnreadableModelError(f"cannot read {path}: {reason}", "check the path and its permissions") from error


def _not_tflite(path: Path) -> Anatomy:
    if path.suffix == ".tflite":
        raise NotTfliteError(
            f"{path} is no TFLite file, or is cut off: it has no TFL3 at its byte 4",
            "compare its size with the original's, and copy or convert it again",
        )
    from converters.anatomy.onnx import anatomy_of_onnx

    return anatomy_of_onnx(path)
