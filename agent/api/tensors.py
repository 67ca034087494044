"""Tensors on the wire: raw bytes, .npy, and JSON in the form of the Open Inference Protocol (v2, REST)."""

import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agent.errors import BadTensorError, NotAcceptableError
from contract.manifest import Signature, TensorSpec

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

_KINDS = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}  # of JSON's values, by the kind of dtype they may become


def read_npy(body: bytes, signature: Signature) -> list[memoryview]:
    """The one input from a .npy file (no pickle). BadTensorError where its shape or dtype is not the signature's."""
    import numpy as np

    spec = _only(signature.inputs, "input")
    try:
        array = np.lib.format.read_array(io.BytesIO(body), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise BadTensorError(f"the body is not a .npy file: {error}", "write it with numpy.save") from error
    _check(spec, array.dtype.newbyteorder("=").name, array.shape)
    return [_bytes(array.astype(spec.dtype, copy=False))]


def write_npy(outputs: Sequence[memoryview], signature: Signature) -> bytes:
    """The one output as a .npy file."""
    import numpy as np

    if len(signature.outputs) != 1:
        raise NotAcceptableError(
            f"the model has {len(signature.outputs)} outputs, a .npy file holds one", f"ask for {JSON} or {RAW}"
        )
    spec = signature.outputs[0]
    file = io.BytesIO()
    np.lib.format.write_array(file, np.frombuffer(outputs[0], spec.dtype).reshape(spec.shape), allow_pickle=False)
    return file.getvalue()


def read_json(body: bytes, signature: Signature) -> tuple[list[memoryview], str | None]:
    """The inputs, matched by name, in the signature's order, and the request's id."""
    try:
        request = json.loads(body)
        sent = {tensor["name"]: tensor for tensor in request["inputs"]}
        request_id = request.get("id")
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise BadTensorError(
            f"the body is not a request of the Open Inference Protocol: {type(error).__name__} {error}",
            'send {"inputs": [{"name": ..., "shape": [...], "datatype": "FP32", "data": [...]}]}',
        ) from error
    unknown = sorted(str(name) for name in sent.keys() - {spec.name for spec in signature.inputs})
    if unknown:
        raise BadTensorError(f"the model has no input {unknown[0]!r}", f"its inputs are {_names(signature.inputs)}")
    return [_from_json(spec, sent.get(spec.name)) for spec in signature.inputs], request_id


def write_json(
    outputs: Sequence[memoryview], signature: Signature, model: str, request_id: str | None, parameters: dict[str, Any]
) -> bytes:
    """The reply of the Open Inference Protocol; `data` is flat, row-major."""
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
            "data": [_number(value) for value in np.frombuffer(view, spec.dtype).tolist()],
        }
        for spec, view in zip(signature.outputs, outputs, strict=True)
    ]
    return json.dumps(reply).encode()


def _number(value: float | int | bool) -> float | int | bool | str:
    """JSON has no NaN and no infinity (RFC 8259): they go out as strings, which readers that expect numbers refuse."""
    return value if value - value == 0 else str(value)


def _from_json(spec: TensorSpec, tensor: Any) -> memoryview:
    import numpy as np

    if tensor is None:
        raise BadTensorError(f"the input {spec.name!r} is missing", f"it is {spec.dtype} {list(spec.shape)}")
    datatype, shape, data = (tensor.get(key) for key in ("datatype", "shape", "data"))
    if datatype != _DATATYPES[spec.dtype]:
        raise BadTensorError(
            f"input {spec.name!r} is sent as {datatype!r}", f"the model takes {_DATATYPES[spec.dtype]} ({spec.dtype})"
        )
    if shape != list(spec.shape):
        raise _wrong_shape(spec, shape)
    try:
        if np.array(data).dtype.kind not in _KINDS[np.dtype(spec.dtype).kind]:  # numpy would truncate 1.5 to 1
            raise ValueError("other kinds of values are among them")
        array = np.array(data, dtype=spec.dtype)
    except (ValueError, TypeError, OverflowError) as error:
        message = f"the data of input {spec.name!r} are not {spec.dtype}: {error}"
        raise BadTensorError(message, f"send a list of {_DATATYPES[spec.dtype]} values") from error
    if array.shape != spec.shape and array.shape != (spec.size_bytes // array.itemsize,):
        raise BadTensorError(
            f"the data of input {spec.name!r} have the shape {list(array.shape)}",
            f"nest them as {list(spec.shape)}, or send them flat",
        )
    return _bytes(array)


def _check(spec: TensorSpec, dtype: str, shape: tuple[int, ...]) -> None:
    if dtype != spec.dtype:
        raise BadTensorError(f"input {spec.name!r} is sent as {dtype}", f"the model takes {spec.dtype}")
    if shape != spec.shape:
        raise _wrong_shape(spec, list(shape))


def _wrong_shape(spec: TensorSpec, shape: object) -> BadTensorError:
    return BadTensorError(f"input {spec.name!r} is sent with the shape {shape}", f"the model takes {list(spec.shape)}")


def _only(specs: Sequence[TensorSpec], kind: str) -> TensorSpec:
    if len(specs) != 1:
        raise BadTensorError(
            f"the model has {len(specs)} {kind}s, this form carries one", f"send {JSON}, or all of them as {RAW}"
        )
    return specs[0]


def _names(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(repr(spec.name) for spec in specs)


def _bytes(array: "np.ndarray[Any, Any]") -> memoryview:
    import numpy as np

    return np.atleast_1d(np.ascontiguousarray(array)).data.cast("B")
