"""Tensors on the wire: raw bytes, .npy, and JSON in the form of the Open Inference Protocol (v2, REST)."""

import io
import json
import math
from collections.abc import Sequence
from tokenize import TokenError
from typing import TYPE_CHECKING, Any

from agent.errors import BadTensorError
from contract.tensors import Signature, TensorSpec

if TYPE_CHECKING:
    import numpy as np

RAW = "application/octet-stream"
NPY = "application/x-npy"
JSON = "application/json"

_DATATYPES = {
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "bool": "BOOL",
}

# What JSON's values may be, by numpy's kind of dtype: numpy itself would make 1 of 1.5 and of true.
_VALUES: dict[str, set[type]] = {"f": {int, float}, "i": {int}, "u": {int}, "b": {bool}}
# All that numpy raises for bytes that are no header (found by fuzzing, kept by a test).
_HEADER_ERRORS = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError, OverflowError, TokenError, EOFError)


def read_npy(body: bytes, signature: Signature) -> list[memoryview]:
    """The one input from a .npy file (NEP 1; no pickle, either byte order). BadTensorError where it is not that.

    The header is checked before anything is allocated: numpy's own reader takes memory for any shape it is told.
    """
    import numpy as np

    spec = _only(signature.inputs, "input")
    file = io.BytesIO(body)
    try:
        shape, is_fortran, dtype = _npy_header(file)
    except _HEADER_ERRORS as error:
        message = f"the body is not a .npy file: {type(error).__name__}: {error!s:.200}"
        raise BadTensorError(message, "write it with numpy.save") from error
    _check(spec, dtype.newbyteorder("=").name, shape)
    content = memoryview(body)[file.tell() :]
    if len(content) != spec.size_bytes:
        raise BadTensorError(
            f"the .npy file has {len(content)} bytes of data, its header says {spec.size_bytes}", "send the whole file"
        )
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if is_fortran else "C")
    return [_bytes(array.astype(spec.dtype, order="C", copy=False))]


def _npy_header(file: io.BytesIO) -> tuple[tuple[int, ...], bool, "np.dtype[Any]"]:
    """Shape, whether in Fortran's order, dtype; the file then stands at the data."""
    import numpy as np

    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):  # (3, 0) is for names in UTF-8, and so for what is no tensor
        raise ValueError(f"version {version[0]}.{version[1]} of the format")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)


def write_npy(outputs: Sequence[memoryview], signature: Signature) -> bytes:
    """The one output as a .npy file."""
    import numpy as np

    (spec,) = signature.outputs  # negotiation.py has seen to that
    file = io.BytesIO()
    np.lib.format.write_array(file, np.frombuffer(outputs[0], spec.dtype).reshape(spec.shape), allow_pickle=False)
    return file.getvalue()


def read_json(body: bytes, signature: Signature) -> tuple[list[memoryview], str | None]:
    """The inputs, matched by name, in the signature's order, and the request's id. BadTensorError."""
    try:
        request = json.loads(body)
        sent = [(tensor["name"], tensor) for tensor in request["inputs"]]
        by_name, request_id = dict(sent), request.get("id")
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise BadTensorError(
            f"the body is not a request of the Open Inference Protocol: {type(error).__name__}: {error!s:.200}",
            'send {"inputs": [{"name": ..., "shape": [...], "datatype": "FP32", "data": [...]}]}',
        ) from error
    _check_names([name for name, _ in sent], signature)
    if not isinstance(request_id, str | None):
        raise BadTensorError(f"the id is {request_id!r:.200}", "send a string, or none")
    return [_from_json(spec, by_name[spec.name]) for spec in signature.inputs], request_id


def _check_names(sent: Sequence[object], signature: Signature) -> None:
    """Each input is there, once, and nothing else."""
    names = [spec.name for spec in signature.inputs]
    hint = f"its inputs are {', '.join(map(repr, names))}"
    for name in sent:
        if name not in names:
            raise BadTensorError(f"the model has no input {name!r:.200}", hint)
        if sent.count(name) > 1:
            raise BadTensorError(f"the input {name!r} is sent more than once", hint)
    for spec in signature.inputs:
        if spec.name not in sent:
            raise BadTensorError(f"the input {spec.name!r} is missing", f"it is {spec.dtype} {list(spec.shape)}")


def write_json(
    outputs: Sequence[memoryview], signature: Signature, model: str, request_id: str | None, parameters: dict[str, Any]
) -> bytes:
    """The reply of the Open Inference Protocol; `data` is flat, row-major.

    JSON has no NaN and no infinity (RFC 8259): they go out as strings, named as in the JSON of protocol buffers.
    """
    import numpy as np

    reply: dict[str, Any] = {"model_name": model}
    if request_id is not None:
        reply["id"] = request_id
    if parameters:
        reply["parameters"] = parameters
    reply["outputs"] = [
        {
            "name": spec.name,
            "shape": list(spec.shape),
            "datatype": _DATATYPES[spec.dtype],
            "data": _values(np.frombuffer(view, spec.dtype)),
        }
        for spec, view in zip(signature.outputs, outputs, strict=True)
    ]
    return json.dumps(reply).encode()


def _values(array: "np.ndarray[Any, Any]") -> list[float | int | bool | str]:
    import numpy as np

    values: list[float | int | bool] = array.tolist()
    return [*values] if np.isfinite(array).all() else [_named(value) for value in values]


def _named(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _from_json(spec: TensorSpec, tensor: dict[str, Any]) -> memoryview:
    import numpy as np

    datatype, shape, data = (tensor.get(key) for key in ("datatype", "shape", "data"))
    if datatype != _DATATYPES[spec.dtype]:
        raise BadTensorError(
            f"input {spec.name!r} is sent as {datatype!r:.200}",
            f"the model takes {_DATATYPES[spec.dtype]} ({spec.dtype})",
        )
    if shape != list(spec.shape):
        raise _wrong_shape(spec, shape)
    values = np.array(data, dtype=object)  # Python's own: whole numbers are exact, and each still has its type
    others = {type(value) for value in values.ravel()} - _VALUES[np.dtype(spec.dtype).kind]
    if others:
        raise _wrong_values(spec, f"{', '.join(sorted(kind.__name__ for kind in others))} among them")
    if values.shape not in (spec.shape, (math.prod(spec.shape),)):
        raise BadTensorError(
            f"the data of input {spec.name!r} have the shape {list(values.shape)}",
            f"nest them as {list(spec.shape)}, or send them flat",
        )
    try:
        with np.errstate(over="ignore"):  # looked for below
            array = values.astype(spec.dtype)
    except OverflowError as error:
        raise _wrong_values(spec, str(error)) from error
    if not np.isfinite(array).all():
        raise _wrong_values(spec, "NaN, infinity or too large a number among them")
    return _bytes(array)


def _wrong_values(spec: TensorSpec, what: str) -> BadTensorError:
    return BadTensorError(
        f"the data of input {spec.name!r} are not {spec.dtype}: {what}",
        f"send a list of {_DATATYPES[spec.dtype]} values, all of one length where it is nested",
    )


def _check(spec: TensorSpec, dtype: str, shape: tuple[int, ...]) -> None:
    if dtype != spec.dtype:
        raise BadTensorError(f"input {spec.name!r} is sent as {dtype}", f"the model takes {spec.dtype}")
    if shape != spec.shape:
        raise _wrong_shape(spec, list(shape))


def _wrong_shape(spec: TensorSpec, shape: object) -> BadTensorError:
    return BadTensorError(
        f"input {spec.name!r} is sent with the shape {shape!s:.200}", f"the model takes {list(spec.shape)}"
    )


def _only(specs: Sequence[TensorSpec], kind: str) -> TensorSpec:
    if len(specs) != 1:
        raise BadTensorError(
            f"the model has {len(specs)} {kind}s, this form carries one", f"send {JSON}, or all of them as {RAW}"
        )
    return specs[0]


def _bytes(array: "np.ndarray[Any, Any]") -> memoryview:
    import numpy as np

    return np.atleast_1d(np.ascontiguousarray(array)).data.cast("B")
