"""Read an ONNX file and the weights beside it, and check both: nothing is read that is too large to be converted."""

import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it ships no types
from onnx import ModelProto, TensorProto
from onnx.external_data_helper import uses_external_data

from converters.constants import check_finite
from converters.diagnosis import refusal
from converters.draft import Draft
from converters.errors import (
    ExternalDataError,
    InvalidModelError,
    ModelTooLargeError,
    NotOnnxError,
    UnreadableModelError,
)
from converters.proto import broken_texts, real_inputs, walk_tensors
from converters.value_info import dtype_of

MAX_MODEL_BYTES = 2**31 - 1
"""The most one protobuf message may have: https://protobuf.dev/programming-guides/proto-limits/#total"""

_OTHER_FORMATS = {
    b"PK\x03\x04": ("a zip archive (PyTorch saves models so)", "export it with torch.onnx.export"),
    b"\x89HDF": ("an HDF5 file (Keras saves models so)", "export it with tf2onnx"),
    b"\x89PNG": ("an image (PNG)", "name the model: `host infer` takes images"),
    b"\xff\xd8\xff": ("an image (JPEG)", "name the model: `host infer` takes images"),
    b"version https://git-lfs": ("a Git LFS pointer, not the model itself", "fetch the model with 'git lfs pull'"),
    b"<!DOCTYPE": ("a web page", "download the model itself, not the page about it"),
    b"<!doctype": ("a web page", "download the model itself, not the page about it"),
    b"<html": ("a web page", "download the model itself, not the page about it"),
}
"""How files start that are often taken for ONNX; what they are; what to do."""


def apply(draft: Draft) -> None:
    """Read ``draft.source`` into ``draft.model``, external data included, so that the model is self-contained.

    Raises UnreadableModelError, NotOnnxError, ModelTooLargeError, ExternalDataError, InvalidModelError,
    UnsupportedOperatorError, UnsupportedVersionError, UnsupportedTypeError or NotFiniteError.
    """
    model, size_bytes = _parse(draft.source)
    _embed_external_data(model, draft.source, size_bytes)
    _check(model)
    check_finite(model)
    draft.model = model


def _parse(source: Path) -> tuple[ModelProto, int]:
    try:
        status = source.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise UnreadableModelError(f"{source} is {kind}", "name the .onnx file itself")
        if status.st_size > MAX_MODEL_BYTES:
            raise _too_large(source, status.st_size)
        content = source.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UnreadableModelError(f"cannot read {source}: {reason}", "check the path and its permissions") from error
    return _decode(content, source), len(content)


def _decode(content: bytes, source: Path) -> ModelProto:
    if not content:
        raise NotOnnxError(f"{source} is empty", "export or copy the model again")
    head = content[:100].lstrip()
    for start, (what, hint) in _OTHER_FORMATS.items():
        if head.startswith(start):
            raise NotOnnxError(f"{source} is not an ONNX file: it is {what}", hint)
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise _not_onnx(source, len(content)) from error
    if not model.ir_version or not model.HasField("graph"):  # protobuf takes many a text for unknown fields
        raise _not_onnx(source, len(content))
    for text in broken_texts(model):
        raise InvalidModelError(f"{source} is damaged: the name {text!r} in it is no text", "copy or export it again")
    return model


def _not_onnx(source: Path, size_bytes: int) -> NotOnnxError:
    return NotOnnxError(
        f"{source} is not an ONNX file, or is cut off ({size_bytes:,} bytes)",
        "compare its size with the original's, copy it again, or export the model as ONNX",
    )


def _too_large(source: Path, size_bytes: int) -> ModelTooLargeError:
    return ModelTooLargeError(
        f"{source} has {size_bytes:,} bytes of model and weights; one ONNX file can hold {MAX_MODEL_BYTES:,}",
        "compress the model first, or export it in half precision",
    )


@dataclass(frozen=True)
class _Region:
    """Where the bytes of one tensor lie."""

    path: Path
    offset_bytes: int
    length_bytes: int

    def read(self) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self.offset_bytes)
            return file.read(self.length_bytes)


def _embed_external_data(model: ModelProto, source: Path, size_bytes: int) -> None:
    """Read weights kept in files beside the model into it.

    All regions are located first, and their sizes summed up: no file outside the model's folder is opened, and neither
    a huge file nor one region named a thousand times is read.
    """
    external = [
        (tensor, _locate(tensor, source.parent)) for tensor in walk_tensors(model) if uses_external_data(tensor)
    ]
    total = size_bytes + sum(region.length_bytes for _, region in external)
    if total > MAX_MODEL_BYTES:
        raise _too_large(source, total)
    for tensor, region in external:
        try:
            tensor.raw_data = region.read()
        except OSError as error:
            raise ExternalDataError(
                f"cannot read the weights of {tensor.name!r}: {error}", "check the permissions of the weights file"
            ) from error
        tensor.ClearField("data_location")
        del tensor.external_data[:]


def _locate(tensor: TensorProto, folder: Path) -> _Region:
    """ExternalDataError unless the tensor's bytes lie in a file inside `folder`, links followed.

    Format: https://onnx.ai/onnx/repo-docs/ExternalData.html; what a hostile one can do:
    https://github.com/onnx/onnx/security/advisories/GHSA-538c-55jv-c5g9
    """
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    subject = f"the weights of {tensor.name!r} should be in {location!r}, which"
    try:
        path = (folder / location).resolve()
        if Path(location).is_absolute() or not path.is_relative_to(folder.resolve()):
            raise ExternalDataError(
                f"{subject} is outside the model's folder", "put a copy of the weights file beside the model, no link"
            )
        if not path.is_file():
            raise ExternalDataError(f"{subject} is not a file", "copy the weights file beside the model")
        offset = int(entries.get("offset", 0))
        available = path.stat().st_size - offset
        length = int(entries.get("length", available))
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a loop of links; ValueError: a NUL, no number
        raise ExternalDataError(f"{subject} cannot be read: {error}", "export the model again") from error
    if offset < 0 or not 0 <= length <= available:
        raise ExternalDataError(
            f"{subject} is too short: {length:,} bytes from {offset:,} on are needed, {available + offset:,} are there",
            "the file may be cut off, or belong to another model: copy it again",
        )
    return _Region(path, offset, length)


def _check(model: ModelProto) -> None:
    """What onnx.checker says; that there is something to run; distinct names; types a board can take.

    Contradictions between shapes are left to ONNX Runtime, which decides: onnx's strict inference refuses models that
    run (say, with a wrong shape declared for an output).
    """
    try:
        with _shapes_declared(model):
            onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise refusal(error, model) from error
    if not model.graph.output:
        raise InvalidModelError("the model has no output", "export it again, with its outputs named")
    if not model.graph.node:
        outputs = ", ".join(repr(value.name) for value in model.graph.output)
        raise InvalidModelError(f"the model computes nothing: no node gives its output {outputs}", "export it again")
    for values in (real_inputs(model.graph), model.graph.output):
        for name, count in Counter(value.name for value in values).items():
            if count > 1:
                raise InvalidModelError(
                    f"the model lists {name!r} {count} times", "export it again, with it named once"
                )
        for value in values:
            dtype_of(value)


@contextmanager
def _shapes_declared(model: ModelProto) -> Iterator[None]:
    """For onnx.checker, which insists on a shape for every input and output; ONNX Runtime and some exporters do not."""
    missing = [
        value.type.tensor_type
        for value in (*model.graph.input, *model.graph.output)
        if value.type.HasField("tensor_type") and not value.type.tensor_type.HasField("shape")
    ]
    for tensor_type in missing:
        tensor_type.shape.SetInParent()
    try:
        yield
    finally:
        for tensor_type in missing:
            tensor_type.ClearField("shape")
