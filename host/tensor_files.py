"""Tensors out of a user's .npz and .npy files, as a model takes them.

Nothing of an array is read before its header has said that it fits the model's input: a file that unpacks to more than
it should takes no memory. No Python object is ever made of one.
"""

import difflib
import io
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import IO, TYPE_CHECKING, Any

from contract.tensors import Signature, TensorSpec
from host.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SUFFIXES = (".npz", ".npy")

_START_BYTES = 16384
"""Read to know an array: its header ends within, as numpy reads none of more than 10,000 characters."""
_KINDS = "biuf"
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # by numpy.savez and numpy.savez_compressed
# All that numpy raises for bytes that are no header (as agent/api/tensors.py), and zipfile for a file that is no zip.
_HEADER_ERRORS = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError, OverflowError, TokenError, EOFError)
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError)


def in_words(signature: Signature) -> str:
    """What a model takes, for the user, e.g. ``'x' float32 [1, 8], 'mask' float32 [1, 4]``."""
    return ", ".join(f"{spec.name!r} {spec.dtype} {list(spec.shape)}" for spec in signature.inputs)


def read_case(path: Path, signature: Signature) -> "list[NDArray[Any]]":
    """The model's inputs in the signature's order: of a .npz file by their names, of a .npy file the only one.

    A leading batch of 1 may be missing, and the element type is changed where numpy calls that ``same_kind`` and every
    value has a place. InputError names the file.
    """
    with _opened(path) as file:
        if path.suffix.lower() == ".npz":
            return _of_npz(file, path, signature)
        if len(signature.inputs) != 1:
            raise InputError(
                f"{path} is one array, but the model takes {len(signature.inputs)}: {in_words(signature)}",
                "write .npz files: numpy.savez with each input's name",
            )
        return [_array(file, os.fstat(file.fileno()).st_size, signature.inputs[0], str(path))]


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "check the path and its permissions") from error


def _of_npz(content: IO[bytes], path: Path, signature: Signature) -> "list[NDArray[Any]]":
    try:
        with zipfile.ZipFile(content) as file:
            members = _members(path, file.infolist(), signature)
            arrays = []
            for spec, member in zip(signature.inputs, members, strict=True):
                with file.open(member) as packed:
                    arrays.append(_array(packed, member.file_size, spec, f"{path}: {spec.name!r}"))
            return arrays
    except _ZIP_ERRORS as error:
        message = f"{path} is no .npz file, or a damaged one: {type(error).__name__}: {error!s:.200}"
        raise InputError(message, "write it with numpy.savez, and copy the whole file") from error


def _members(path: Path, found: Sequence[zipfile.ZipInfo], signature: Signature) -> list[zipfile.ZipInfo]:
    """Those of the inputs, in their order: each has to be there once, and nothing else."""
    inputs = [spec.name for spec in signature.inputs]
    hint = f"name its arrays as the model's inputs: {', '.join(map(repr, inputs))}"
    by_name: dict[str, zipfile.ZipInfo] = {}
    for member in found:
        name = member.filename.removesuffix(".npy")
        if name in by_name:
            raise InputError(f"{path} has two arrays {name!r:.200}", hint)
        by_name[name] = member
    missing = [name for name in inputs if name not in by_name]
    for name in by_name:
        if name not in inputs:
            near = difflib.get_close_matches(name[:500], missing or inputs, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise InputError(f"{path} has an array {name!r:.200}, which is no input of the model{meant}", hint)
    if missing:
        raise InputError(f"{path} has no array {', '.join(map(repr, missing))}, which the model takes", hint)
    for member in by_name.values():
        if member.compress_type not in _PACKED:
            raise InputError(f"{path} is packed in a way that numpy does not use", "write it with numpy.savez")
    return [by_name[name] for name in inputs]


def _array(file: IO[bytes], size: int, spec: TensorSpec, where: str) -> "NDArray[Any]":
    """Of a .npy file of `size` bytes, which is read from its beginning; `where` names it."""
    import numpy as np

    start = io.BytesIO(file.read(_START_BYTES))
    try:
        shape, is_fortran, dtype = _header(start)
    except _HEADER_ERRORS as error:
        message = f"{where} is no array of numpy's: {type(error).__name__}: {error!s:.200}"
        raise InputError(message, "write it with numpy.save or numpy.savez") from error
    _check_form(shape, dtype, spec, where)
    data_bytes, promised = size - start.tell(), math.prod(shape) * dtype.itemsize
    content = start.read() + file.read(promised) if data_bytes == promised else b""
    if len(content) != promised:
        raise InputError(
            f"{where} has {data_bytes} bytes of data, its header says {promised}",
            "copy the whole file, or write it anew",
        )
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if is_fortran else "C")
    return _fitted(array, spec, where)


def _header(file: io.BytesIO) -> tuple[tuple[int, ...], bool, "np.dtype[Any]"]:
    """Shape, whether in Fortran's order, dtype; the file then stands at the data."""
    import numpy as np

    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):  # (3, 0) is for names in UTF-8, and so for what is no tensor
        raise ValueError(f"version {version[0]}.{version[1]} of the format")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)


def _check_form(shape: tuple[int, ...], dtype: "np.dtype[Any]", spec: TensorSpec, where: str) -> None:
    import numpy as np

    if dtype.hasobject:
        raise InputError(
            f"{where} holds pickled Python objects, which are not read: they could be programs",
            f"save it as {spec.dtype}: array.astype({spec.dtype!r})",
        )
    if dtype.kind not in _KINDS or not np.can_cast(dtype, spec.dtype, "same_kind"):
        raise InputError(
            f"{where} is {dtype.name}, which does not become the input's {spec.dtype} without loss",
            f"save it as {spec.dtype}: array.astype({spec.dtype!r})",
        )
    if shape != spec.shape and (1, *shape) != spec.shape:
        batchless = f", or {list(spec.shape[1:])} without its batch" if spec.shape[:1] == (1,) else ""
        raise InputError(
            f"{where} has the shape {list(shape)}, the input {spec.name!r} {list(spec.shape)}",
            f"save one example in each file: {list(spec.shape)}{batchless}",
        )


def _fitted(array: "NDArray[Any]", spec: TensorSpec, where: str) -> "NDArray[Any]":
    """In the input's own element type and shape. InputError for a value that has no place in it."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        fitted = array.astype(spec.dtype, order="C").reshape(spec.shape)
    lost = int(np.count_nonzero(~np.isfinite(fitted)))
    if lost:
        raise InputError(
            f"{where}: {lost:,} of {array.size:,} values {'is' if lost == 1 else 'are'} not finite as {spec.dtype}",
            "leave that example out, or see where its NaN and infinity come from",
        )
    if fitted.dtype.kind in "iu" and (int(array.min()), int(array.max())) != (int(fitted.min()), int(fitted.max())):
        low, high = array.min(), array.max()
        raise InputError(f"{where} has values from {low} to {high}, which {spec.dtype} does not hold", "save others")
    return fitted
