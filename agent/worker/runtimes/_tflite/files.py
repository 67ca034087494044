"""The file that is loaded: whether it is whole, and for whom; and a tiny one that any version takes.

A .tflite is a FlatBuffer (https://flatbuffers.dev/internals/) of tensorflow/compiler/mlir/lite/schema/schema.fbs.
TensorFlow Lite checks its offsets in newer versions alone (LiteRT 2.3 does, 2.1 and tflite-runtime 2.14 do not): half a
file is then memory of somebody else, read as numbers.
"""

import mmap
import os
import struct
from typing import Any, Iterator, List

from ...errors import LoadFailedError

COMPILED = b"edgetpu-custom-op"
"""The name of the operator that the Edge TPU's compiler puts in the place of those it takes
(google-coral/libedgetpu, tflite/public/edgetpu.h)."""

TINY_MODEL = bytes.fromhex(
    "1800000054464c3300000e00140010000c000800000004000e00000010000000200000001400000003000000020000003c01"
    "000020010000010000008c00000001000000100000000c00140010000c00080004000c000000100000001400000018000000"
    "1c00000001000000300000000100000002000000010000000000000003000000b0000000780000004800000000000a000c00"
    "0000080004000a000000080000000c00000001000000020000000200000000000000010000000c000c000b00000000000400"
    "0c0000001600000000000016acffffff080000000c000000010000000100000005000000785f6f75740000000c0014000c00"
    "0b00040010000c0000000100000000000002080000000c000000010000000100000007000000785f7368617065000c000c00"
    "04000000000008000c000000080000000c000000010000000100000001000000780006000800040006000000040000000400"
    "000001000000000000000400040004000000"
)
"""x_out = x, one float32, by RESHAPE. tests/agent/worker/test_tflite.py makes it again and compares."""

_IDENTIFIER = b"TFL3"
_OPERATOR_CODES, _SUBGRAPHS, _BUFFERS = 1, 2, 4  # fields of Model
_CUSTOM_CODE, _TENSORS, _DATA = 1, 0, 0  # of OperatorCode, SubGraph, Buffer
_SHAPE, _NAME = 0, 3  # of Tensor


class BrokenFileError(ValueError):
    """It is no .tflite file, or not all of it."""


def is_compiled(path: str) -> bool:
    """Whether an Edge TPU has a part in it. LoadFailedError where the file is not a whole one."""
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise BrokenFileError("it is empty")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return COMPILED in custom_operators(content)
    except (OSError, BrokenFileError) as error:
        raise LoadFailedError(
            "%s is no model of TensorFlow Lite: %s" % (path, error), "deploy it again: the file came or was made broken"
        ) from error


def custom_operators(content: Any) -> List[bytes]:
    """Their names. BrokenFileError where an offset of a tensor, of a constant or of a name leads out of the file.

    Reads the tables alone: pages of constants would be memory that is measured.
    """
    if content[4:8] != _IDENTIFIER:
        raise BrokenFileError("it starts with %r, not with %r" % (bytes(content[4:8]), _IDENTIFIER))
    try:
        model = _follow(content, 0)
        for buffer in _tables(content, _field(content, model, _BUFFERS)):
            _vector(content, _field(content, buffer, _DATA), 1)
        for subgraph in _tables(content, _field(content, model, _SUBGRAPHS)):
            for tensor in _tables(content, _field(content, subgraph, _TENSORS)):
                _vector(content, _field(content, tensor, _SHAPE), 4)
                _vector(content, _field(content, tensor, _NAME), 1)
        codes = _tables(content, _field(content, model, _OPERATOR_CODES))
        return [_text(content, _field(content, code, _CUSTOM_CODE)) for code in codes]
    except struct.error as error:
        raise BrokenFileError("it has %d bytes and is not whole" % len(content)) from error


def _follow(content: Any, position: int) -> int:
    """Where the offset at `position` leads."""
    return position + int(struct.unpack_from("<I", content, position)[0])


def _field(content: Any, table: int, number: int) -> int:
    """Where the vector in this field of the table is; 0 where there is none."""
    vtable = table - int(struct.unpack_from("<i", content, table)[0])
    if vtable < 0:
        raise struct.error("a table before the file")
    (size,) = struct.unpack_from("<H", content, vtable)
    at = 4 + 2 * number
    offset = int(struct.unpack_from("<H", content, vtable + at)[0]) if at < size else 0
    return _follow(content, table + offset) if offset else 0


def _vector(content: Any, position: int, item_bytes: int) -> int:
    """How many items it has."""
    if not position:
        return 0
    length = int(struct.unpack_from("<I", content, position)[0])
    if position + 4 + length * item_bytes > len(content):
        raise struct.error("a vector beyond the file")
    return length


def _text(content: Any, position: int) -> bytes:
    length = _vector(content, position, 1)
    return bytes(content[position + 4 : position + 4 + length]) if length else b""


def _tables(content: Any, vector: int) -> Iterator[int]:
    for number in range(_vector(content, vector, 4)):
        yield _follow(content, vector + 4 + 4 * number)
