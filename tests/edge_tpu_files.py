"""Files as the Edge TPU's compiler writes them, and the compiler itself, as far as its output goes.

edge_tpu_files.source()                                         an int8 model of three operators
edge_tpu_files.compiled(source(), cached=5000, streamed=300)    the same for the chip, with a package of libedgetpu's
edge_tpu_files.Compiler(tmp_path, monkeypatch)                  a stand-in for the compiler, first on the PATH

The package is built from the schema alone (google-coral/libedgetpu: executable/executable.fbs), wrapped as
tflite/custom_op_data.cc there does.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
import tflite
import tflite_models
from flatbuffers import flexbuffers
from tflite_models import Operator, T

from converters.tflite_file import Tensor, read_tflite

STAND_ALONE, PARAMETER_CACHING, EXECUTION_ONLY = range(3)
COMPILER_VERSION = "16.0.384591198"
NAME = "edgetpu-custom-op"


def source(scale: float = 0.5) -> bytes:
    """x (1, 4, 4, 8) -> CONV_2D 1x1 to 16 channels -> RELU -> LOGISTIC -> y."""
    kernel = np.arange(128, dtype=np.int8).reshape(16, 1, 1, 8)
    tensors = [
        T("x", "int8", (1, 4, 4, 8), (scale, 3)),
        T("w", "int8", kernel.shape, (0.1, 0), kernel),
        T("b", "int32", (16,), (0.05, 0), np.ones(16, np.int32)),
        T("c", "int8", (1, 4, 4, 16), (0.2, 0)),
        T("r", "int8", (1, 4, 4, 16), (0.1, -128)),
        T("y", "int8", (1, 4, 4, 16), (1 / 256, -128)),
    ]
    operators = [
        Operator(tflite.BuiltinOperator.CONV_2D, (0, 1, 2), (3,), 3),
        Operator(tflite.BuiltinOperator.RELU, (3,), (4,), 2),
        Operator(tflite.BuiltinOperator.LOGISTIC, (4,), (5,), 2),
    ]
    return tflite_models.make(tensors, operators, [0], [5])


def compiled(
    model: bytes,
    *,
    cached: int = 5000,
    streamed: int = 0,
    stand_alone: int | None = None,
    left: Sequence[int] = (),
    options: bytes | None = None,
) -> bytes:
    """Of `model`'s inputs and outputs, one custom operator and behind it one for each of the codes `left`."""
    file = read_tflite(model)
    executables = {EXECUTION_ONLY: streamed, PARAMETER_CACHING: cached}
    held = custom_data(package(executables if stand_alone is None else {STAND_ALONE: stand_alone}))
    held = held if options is None else options
    tensors = [*file.inputs, *file.outputs]
    first_output = len(file.inputs)
    ends = range(first_output, len(tensors))
    nodes = [(NAME, range(first_output), ends, held), *((code, ends, ends, b"") for code in left)]
    return _file(tensors, nodes, range(first_output), ends)


def in_parts(tensors: Sequence[Tensor], parts: Sequence[bytes]) -> bytes:
    """Custom operators with these options, each from the first of `tensors` to the last."""
    ends = [len(tensors) - 1]
    return _file(tensors, [(NAME, [0], ends, options) for options in parts], [0], ends)


def package(executables: Mapping[int, int] | Sequence[tuple[int, int]]) -> bytes:
    """Of executables by their types, each with how many bytes of parameters."""
    pairs = executables.items() if isinstance(executables, Mapping) else executables
    made = [_executable(kind, parameter_bytes) for kind, parameter_bytes in pairs]
    builder = flatbuffers.Builder(1024)
    multi = _table(builder, {0: _offsets(builder, [builder.CreateByteVector(one) for one in made])})
    builder.Finish(multi)
    many = bytes(builder.Output())
    builder = flatbuffers.Builder(1024)
    parts = {1: builder.CreateByteVector(many), 4: builder.CreateString(COMPILER_VERSION)}
    builder.Finish(_table(builder, parts, numbers={0: ("Int32", 14)}), b"DWN1")
    return bytes(builder.Output())


def custom_data(first: bytes, *others: bytes) -> bytes:
    """The map around packages, one per chip: keys and types as libedgetpu's SerializeCustomOpData writes them.

    5 stands for any chip: the compiler's own numbers are not published.
    """
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Int("1", 1)
        builder.Key("4")
        _bytes_as_string(builder, first)
        builder.Int("5", 0)
        builder.VectorFromElements("6", [5] * (1 + len(others)))
        with builder.Vector("7"):
            for other in others:
                _bytes_as_string(builder, other)
    return bytes(builder.Finish())


def _bytes_as_string(builder: Any, content: bytes) -> None:
    """Its own String takes text alone."""
    builder._WriteBlob(content, append_zero=True, type_=flexbuffers.Type.STRING)


def _executable(kind: int, parameter_bytes: int) -> bytes:
    builder = flatbuffers.Builder(1024)
    parts = {6: builder.CreateByteVector(bytes(parameter_bytes))} if parameter_bytes else {}
    numbers = {3: ("Int32", 1), **({13: ("Int16", kind)} if kind else {})}
    builder.Finish(_table(builder, parts, numbers=numbers))
    return bytes(builder.Output())


def _table(builder: Any, offsets: dict[int, int], numbers: dict[int, tuple[str, int]] | None = None) -> int:
    """A table by field numbers."""
    builder.StartObject(1 + max([*offsets, *(numbers or {})], default=0))
    for field, offset in offsets.items():
        builder.PrependUOffsetTRelativeSlot(field, offset, 0)
    for field, (kind, value) in (numbers or {}).items():
        getattr(builder, f"Prepend{kind}Slot")(field, value, 0)
    return int(builder.EndObject())


def _offsets(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _ints(builder: Any, values: Sequence[int]) -> int:
    return int(builder.CreateNumpyVector(np.array(values, np.int32)))


def _file(tensors: Sequence[Tensor], nodes: Sequence[Any], inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
    """A TFLite file by the schema's field numbers, none of the tensors a constant."""
    builder = flatbuffers.Builder(1024)
    buffers = _offsets(builder, [_table(builder, {})])
    made = [_tensor(builder, tensor) for tensor in tensors]
    codes, operators = [], []
    for number, (code, reads, writes, options) in enumerate(nodes):
        custom = isinstance(code, str)
        name = {1: builder.CreateString(code)} if custom else {}
        builtin = tflite.BuiltinOperator.CUSTOM if custom else code
        codes.append(_table(builder, name, {0: ("Int8", min(builtin, 127)), 3: ("Int32", builtin)}))
        parts = {1: _ints(builder, reads), 2: _ints(builder, writes)}
        if options:
            parts[5] = builder.CreateByteVector(options)
        operators.append(_table(builder, parts, {0: ("Uint32", number)}))
    graph = _table(
        builder,
        {
            0: _offsets(builder, made),
            1: _ints(builder, inputs),
            2: _ints(builder, outputs),
            3: _offsets(builder, operators),
        },
    )
    parts = {1: _offsets(builder, codes), 2: _offsets(builder, [graph]), 4: buffers}
    builder.Finish(_table(builder, parts, {0: ("Uint32", 3)}), b"TFL3")
    return bytes(builder.Output())


def _tensor(builder: Any, tensor: Tensor) -> int:
    parts = {0: _ints(builder, tensor.shape), 3: builder.CreateString(tensor.name)}
    if tensor.scales:
        scales = builder.CreateNumpyVector(np.array(tensor.scales, np.float32))
        points = builder.CreateNumpyVector(np.array(tensor.zero_points, np.int64))
        parts[4] = _table(builder, {2: scales, 3: points})
    return _table(builder, parts, {1: ("Int8", getattr(tflite.TensorType, tensor.dtype.upper()))})


_REPLAY = """\
#!{python}
import os, pathlib, shutil, sys, time
folder = pathlib.Path({folder!r})
with (folder / "notes").open("a") as notes:
    notes.write(" ".join(["edgetpu_compiler", *sys.argv[1:]]) + "\\n")
lines = (folder / "recorded").read_text().splitlines(keepends=True)
told = dict(line[1:].strip().split(": ", 1) for line in lines if line.startswith("#"))
print("".join(line for line in lines if not line.startswith("#")), end="", flush=True)
if (folder / "made").exists():
    shutil.copy(folder / "made", pathlib.Path(sys.argv[sys.argv.index("-o") + 1]) / "model_edgetpu.tflite")
if told["exit"] == "hangs":
    child = os.fork()
    if child:
        (folder / "children").write_text(f"{{os.getpid()}} {{child}}")
    time.sleep(60)
if told["exit"].startswith("-"):
    os.kill(os.getpid(), -int(told["exit"]))
sys.exit(int(told["exit"]))
"""


class Compiler:
    """`says` chooses what it prints, and how it ends: lines that start with # are not printed, and "# exit: 1" is one;
    `makes` the file that it writes; `notes` are its command lines.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.program = folder / "bin" / "edgetpu_compiler"
        self.program.parent.mkdir()
        self.program.write_text(_REPLAY.format(python=sys.executable, folder=str(folder)))
        self.program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{self.program.parent}:/usr/bin:/bin")

    def says(self, text: str) -> None:
        (self.folder / "recorded").write_text(text)

    def makes(self, content: bytes) -> None:
        (self.folder / "made").write_bytes(content)

    @property
    def notes(self) -> list[str]:
        return (self.folder / "notes").read_text().splitlines()

    @property
    def children(self) -> list[int]:
        """Of one that hangs: its own pid and that of its child, once they are there."""
        while not (self.folder / "children").exists() or not (text := (self.folder / "children").read_text()):
            time.sleep(0.01)
        return [int(pid) for pid in text.split()]
