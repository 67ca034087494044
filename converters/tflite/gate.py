"""What every finished file has to keep to, and what of it the Edge TPU leaves to the CPU: read from the bytes alone."""

import struct
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
import tflite
from flatbuffers.number_types import Int32Flags

from converters.errors import UnfitFileError
from converters.tflite.program import RESCALING_MUL, VERSIONS

NEWEST = {**VERSIONS, "CONV_2D": 5, "MUL": RESCALING_MUL}
"""The operators that a file may have, and up to which version the last Edge TPU compiler (16.0, of 2021) reads each.

It read CONV_2D up to 5 (https://github.com/google-coral/edgetpu/issues/631 is of a 6). Of the others nothing is known,
and they are held to what is written here.
"""

_MOST_LONG_AXES = 3
_ZERO_POINTS = {"int8": range(-128, 128), "uint8": range(256), "int32": range(1)}
_NAMES = {code: name for name, code in vars(tflite.BuiltinOperator).items() if not name.startswith("_")}
_DTYPES = {tflite.TensorType.INT8: "int8", tflite.TensorType.UINT8: "uint8", tflite.TensorType.INT32: "int32"}
_NUMPY = {"int8": "i1", "uint8": "u1", "int32": "<i4"}


@dataclass(frozen=True)
class Tensor:
    """A tensor of the file. `data`: None of what is computed."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    data: np.ndarray[Any, Any] | None


@dataclass(frozen=True)
class Call:
    """An operator of the file; `options` has those that are looked at."""

    name: str
    version: int
    codes_agree: bool
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    options: dict[str, int] = field(default_factory=dict)


def check(content: bytes) -> None:
    """UnfitFileError unless the file has operators of 2021 alone, with static shapes of at most three axes above 1, in
    int8, uint8 and int32 alone, quantised throughout.
    """
    problems = list(_problems(content))
    if problems:
        raise UnfitFileError(
            f"the TFLite file is not what the Edge TPU's compiler reads: {problems[0]}"
            + (f", and {len(problems) - 1} more" if len(problems) > 1 else ""),
            "this is a defect of boardfit: please report it with the model",
        )


def will_not_map(content: bytes) -> tuple[str, ...]:
    """One sentence for each reason for which the compiler will leave operators to the CPU, or may do so; with the first
    of them all behind it go there, for it makes one part for the Edge TPU.

    Source: https://coral.ai/docs/edgetpu/models-intro/#supported-operations, as
    https://developer.axis.com/computer-vision/on-device/system-on-chip/artpec-7/supported-ops/ has it.
    """
    reasons: Counter[tuple[str, str]] = Counter()
    for call in _calls(content):
        for limit in _LIMITS.get(call.name, ()):
            if reason := limit(call):
                reasons[call.name, reason] += 1
    return tuple(
        f"Edge TPU: {f'{count} of {name}' if count > 1 else name} stays on the CPU, and what follows: {reason}"
        for (name, reason), count in reasons.items()
    )


def _problems(content: bytes) -> Iterator[str]:
    if content[4:8] != b"TFL3":
        yield "it is no TFLite file"
        return
    try:
        model = tflite.Model.GetRootAs(content)
        if model.Version() != 3:
            yield f"its schema has version {model.Version()}, not 3"
        if model.SubgraphsLength() != 1:
            yield f"it has {model.SubgraphsLength()} graphs, not one"
            return
        calls = list(_calls(content))
    except (struct.error, IndexError, KeyError, ValueError, TypeError, AttributeError) as error:
        yield f"it cannot be read ({type(error).__name__}: {error})"
        return
    if not calls:
        yield "it has no operator"
    for call in calls:
        yield from _problems_of(call)


def _problems_of(call: Call) -> Iterator[str]:
    newest = NEWEST.get(call.name)
    if newest is None:
        yield f"the operator {call.name} is none of those that may be written"
    elif call.version > newest:
        yield f"{call.name} has version {call.version}, and {newest} is the last that is read"
    if not call.codes_agree:
        yield f"{call.name} has two codes that differ"
    if call.name == "TRANSPOSE_CONV" and call.options.get("FusedActivationFunction"):
        yield "a TRANSPOSE_CONV has an activation, which is version 4"
    if call.options.get("HalfPixelCenters") or call.options.get("AlignCorners"):
        yield f"{call.name} has half_pixel_centers or align_corners, which is version 3"
    if call.name == "FULLY_CONNECTED" and len(call.inputs[1].scales) != 1:
        yield "a FULLY_CONNECTED has a scale for each channel"
    for tensor in call.outputs:
        if tensor.dtype not in ("int8", "uint8"):
            yield f"{tensor.name!r} is computed as {tensor.dtype}"
    for tensor in (*call.inputs, *call.outputs):
        yield from _problems_of_tensor(tensor)


def _problems_of_tensor(tensor: Tensor) -> Iterator[str]:
    if tensor.dtype not in _ZERO_POINTS:
        yield f"{tensor.name!r} is {tensor.dtype}"
        return
    if any(size < 1 for size in tensor.shape) or any(size < 0 for size in tensor.signature):
        yield f"{tensor.name!r} has the shape {list(tensor.signature or tensor.shape)}, which is not static"
    if tensor.data is None and sum(size > 1 for size in tensor.shape) > _MOST_LONG_AXES:
        yield f"{tensor.name!r} has the shape {list(tensor.shape)}: more than three axes above 1"
    if tensor.dtype != "int32" and not tensor.scales:
        yield f"{tensor.name!r} is not quantised"
    if not all(isfinite(scale) and scale > 0 for scale in tensor.scales):
        yield f"{tensor.name!r} has a scale that is not above 0"
    if any(point not in _ZERO_POINTS[tensor.dtype] for point in tensor.zero_points):
        yield f"{tensor.name!r} has a zero point that {tensor.dtype} has not"


def _calls(content: bytes) -> Iterator[Call]:
    model = tflite.Model.GetRootAs(content)
    graph = model.Subgraphs(0)
    tensors = [_tensor(model, graph.Tensors(number)) for number in range(graph.TensorsLength())]
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        kind = model.OperatorCodes(operator.OpcodeIndex())
        code, old = _code(kind), kind.DeprecatedBuiltinCode()
        name = _NAMES.get(code, f"number {code}")
        yield Call(
            name,
            kind.Version(),
            old == min(code, 127),
            tuple(tensors[operator.Inputs(place)] for place in range(operator.InputsLength())),
            tuple(tensors[operator.Outputs(place)] for place in range(operator.OutputsLength())),
            _options(name, operator),
        )


def _code(kind: Any) -> int:
    """The field itself: `BuiltinCode` gives the older one where that says enough."""
    offset = kind._tab.Offset(10)
    return int(kind._tab.Get(Int32Flags, offset + kind._tab.Pos)) if offset else 0


def _tensor(model: Any, tensor: Any) -> Tensor:
    kind = tensor.Type()
    dtype = _DTYPES.get(kind) or next(
        name.lower() for name, code in vars(tflite.TensorType).items() if code == kind and not name.startswith("_")
    )
    quantisation, buffer = tensor.Quantization(), model.Buffers(tensor.Buffer())
    data = buffer.DataAsNumpy() if buffer.DataLength() else None
    return Tensor(
        tensor.Name().decode(),
        dtype,
        tuple(tensor.Shape(axis) for axis in range(tensor.ShapeLength())),
        tuple(tensor.ShapeSignature(axis) for axis in range(tensor.ShapeSignatureLength())),
        tuple(quantisation.ScaleAsNumpy().tolist()) if quantisation and quantisation.ScaleLength() else (),
        tuple(quantisation.ZeroPointAsNumpy().tolist()) if quantisation and quantisation.ZeroPointLength() else (),
        None if data is None else data.view(_NUMPY.get(dtype, "u1")),
    )


_READ = {
    "CONV_2D": ("Conv2DOptions", ("DilationHFactor", "DilationWFactor")),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", ("DilationHFactor", "DilationWFactor")),
    "RESIZE_BILINEAR": ("ResizeBilinearOptions", ("HalfPixelCenters", "AlignCorners")),
    "RESIZE_NEAREST_NEIGHBOR": ("ResizeNearestNeighborOptions", ("HalfPixelCenters", "AlignCorners")),
    "TRANSPOSE_CONV": ("TransposeConvOptions", ("FusedActivationFunction",)),
}
"""The options that are looked at, with their table in the schema."""


def _options(name: str, operator: Any) -> dict[str, int]:
    if name not in _READ or operator.BuiltinOptions() is None:
        return {}
    table, fields = _READ[name]
    options = getattr(tflite, table)()
    options.Init(operator.BuiltinOptions().Bytes, operator.BuiltinOptions().Pos)
    return {field: int(getattr(options, field)()) for field in fields}


def _always(reason: str) -> Callable[[Call], str]:
    return lambda call: reason


def _dilation(call: Call) -> str:
    differ = call.options.get("DilationHFactor") != call.options.get("DilationWFactor")
    return "its dilation differs between height and width" if differ else ""


def _constant_part(call: Call) -> str:
    parts = [tensor for tensor in call.inputs if tensor.data is not None]
    zeros = all(np.all(part.data == part.zero_points[0]) for part in parts)
    fits = not parts or (len(call.inputs) == 2 and zeros)
    return "" if fits else "a constant may be joined to one other input alone, and has to be of zeros"


def _one_row(call: Call) -> str:
    return "it has more than one row" if sum(size > 1 for size in call.outputs[0].shape) > 1 else ""


def _channels_first(call: Call) -> str:
    data = call.inputs[1].data
    axes = [] if data is None else [int(axis) for axis in data]
    last = len(call.inputs[0].shape) - 1
    reduced = last in axes and call.inputs[0].shape[last] % 4
    return "over channels whose number is no multiple of 4" if reduced else ""


def _slopes(call: Call) -> str:
    long = any(size > 1 for size in call.inputs[1].shape[:-1])
    return "its slopes differ between places" if long else ""


def _softmax(call: Call) -> str:
    shape = call.outputs[0].shape
    if sum(size > 1 for size in shape) > 1:
        return "it is of more than one row"
    return "it is of more than 16,000 elements" if max(shape, default=1) > 16_000 else ""


_MAPPED_SIDE = 128


def _large(call: Call) -> str:
    """What was seen to map, and what was not: 128 and 512 in issue 31 of google-coral/edgetpu, 128 and 256 in 187."""
    side = max(call.outputs[0].shape[1:3])
    return (
        f"it may, for its output has a side of {side}, and up to {_MAPPED_SIDE} were seen to map"
        if side > _MAPPED_SIDE
        else ""
    )


_LIMITS: dict[str, tuple[Callable[[Call], str], ...]] = {
    "CONCATENATION": (_constant_part,),
    "CONV_2D": (_dilation,),
    "DEPTHWISE_CONV_2D": (_dilation,),
    "FULLY_CONNECTED": (_one_row,),
    "MEAN": (_channels_first,),
    "PADV2": (_always("the Edge TPU pads with zeros alone"),),
    "PRELU": (_slopes,),
    "RESIZE_BILINEAR": (_large,),
    "RESIZE_NEAREST_NEIGHBOR": (_large,),
    "SOFTMAX": (_softmax,),
}
