"""Small .tflite files, written with the published schema (the package `tflite`).

tflite_models.echo(T("x", "float32", (1, 4)))                   output i is input i, by RESHAPE
tflite_models.pooled(T("x", "int8", (1, 8, 8, 3), (0.5, 3)))    MAX_POOL_2D of 2 x 2: exact in every runtime
tflite_models.for_edge_tpu(T("x", "int8", (1, 4), (0.5, 3)))    the operator that the Edge TPU's compiler leaves
tflite_models.make(tensors, operators, inputs, outputs)         any other
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import flatbuffers
import numpy as np
import tflite
from numpy.typing import NDArray

_TYPES = {
    "float16": tflite.TensorType.FLOAT16,
    "float32": tflite.TensorType.FLOAT32,
    "float64": tflite.TensorType.FLOAT64,
    "int8": tflite.TensorType.INT8,
    "int16": tflite.TensorType.INT16,
    "int32": tflite.TensorType.INT32,
    "int64": tflite.TensorType.INT64,
    "uint8": tflite.TensorType.UINT8,
    "uint32": tflite.TensorType.UINT32,
    "bool": tflite.TensorType.BOOL,
}


@dataclass(frozen=True)
class T:
    """A tensor; `quantisation`: scale and zero point; `data`: of a constant."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    quantisation: tuple[float, int] | None = None
    data: NDArray[Any] | None = None


@dataclass(frozen=True)
class Operator:
    """`code`: of tflite.BuiltinOperator, or the name of a custom one. `options`: what `_OPTIONS` makes of it."""

    code: int | str
    inputs: Sequence[int]
    outputs: Sequence[int]
    version: int = 1
    options: str = ""


def echo(*tensors: T) -> bytes:
    """The outputs are named as the inputs are, with _out."""
    all_tensors: list[T] = []
    operators = []
    for number, tensor in enumerate(tensors):
        shape = np.array(tensor.shape, np.int32)
        all_tensors += [
            tensor,
            T(f"{tensor.name}_shape", "int32", shape.shape, data=shape),
            replace(tensor, name=f"{tensor.name}_out"),
        ]
        first = 3 * number
        operators.append(Operator(tflite.BuiltinOperator.RESHAPE, (first, first + 1), (first + 2,)))
    return make(
        all_tensors, operators, range(0, len(all_tensors), 3), [index + 2 for index in range(0, len(all_tensors), 3)]
    )


def pooled(x: T) -> bytes:
    """y: (N, H / 2, W / 2, C)."""
    batch, height, width, channels = x.shape
    y = replace(x, name="y", shape=(batch, height // 2, width // 2, channels))
    version = {"float32": 1, "uint8": 1, "int8": 2}[x.dtype]
    return make([x, y], [Operator(tflite.BuiltinOperator.MAX_POOL_2D, (0,), (1,), version, "pool")], [0], [1])


def product(rows: int, columns: int) -> bytes:
    """y = x W, float32, with random W of (`columns`, `rows`)."""
    weights = np.random.default_rng(3).standard_normal((columns, rows)).astype(np.float32)
    x, w, y = (
        T("x", "float32", (1, rows)),
        T("w", "float32", weights.shape, data=weights),
        T("y", "float32", (1, columns)),
    )
    return make([x, w, y], [Operator(tflite.BuiltinOperator.FULLY_CONNECTED, (0, 1, -1), (2,), 1, "dense")], [0], [2])


def for_edge_tpu(x: T, custom: str = "edgetpu-custom-op") -> bytes:
    """y is x where a delegate that copies takes the operator."""
    return make([x, replace(x, name="y")], [Operator(custom, (0,), (1,))], [0], [1])


def make(tensors: Sequence[T], operators: Sequence[Operator], inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
    """A file of one subgraph."""
    builder = flatbuffers.Builder(1024)
    constants = [tensor for tensor in tensors if tensor.data is not None]
    buffers = [_buffer(builder, None)] + [_buffer(builder, tensor.data) for tensor in constants]
    made = [_tensor(builder, tensor, 1 + constants.index(tensor) if tensor in constants else 0) for tensor in tensors]
    codes = [_code(builder, operator) for operator in operators]
    nodes = [_node(builder, number, operator) for number, operator in enumerate(operators)]
    subgraph_parts = _offsets(builder, made), _ints(builder, inputs), _ints(builder, outputs), _offsets(builder, nodes)
    tflite.SubGraphStart(builder)
    tflite.SubGraphAddTensors(builder, subgraph_parts[0])
    tflite.SubGraphAddInputs(builder, subgraph_parts[1])
    tflite.SubGraphAddOutputs(builder, subgraph_parts[2])
    tflite.SubGraphAddOperators(builder, subgraph_parts[3])
    subgraphs = _offsets(builder, [tflite.SubGraphEnd(builder)])
    all_codes, all_buffers = _offsets(builder, codes), _offsets(builder, buffers)
    tflite.ModelStart(builder)
    tflite.ModelAddVersion(builder, 3)
    tflite.ModelAddOperatorCodes(builder, all_codes)
    tflite.ModelAddSubgraphs(builder, subgraphs)
    tflite.ModelAddBuffers(builder, all_buffers)
    builder.Finish(tflite.ModelEnd(builder), b"TFL3")
    return bytes(builder.Output())


def _buffer(builder: Any, data: NDArray[Any] | None) -> Any:
    content = None
    if data is not None and data.size:
        builder.StartVector(1, data.nbytes, 16)  # a kernel may read it by vectors (schema.fbs: force_align 16)
        builder.head -= data.nbytes
        builder.Bytes[builder.head : builder.head + data.nbytes] = data.tobytes()
        content = builder.EndVector()
    tflite.BufferStart(builder)
    if content is not None:
        tflite.BufferAddData(builder, content)
    return tflite.BufferEnd(builder)


def _tensor(builder: Any, tensor: T, buffer: int) -> Any:
    name, shape, quantisation = builder.CreateString(tensor.name), _ints(builder, tensor.shape), None
    if tensor.quantisation is not None:
        scale, zero_point = tensor.quantisation
        scales = builder.CreateNumpyVector(np.array([scale], np.float32))
        zero_points = builder.CreateNumpyVector(np.array([zero_point], np.int64))
        tflite.QuantizationParametersStart(builder)
        tflite.QuantizationParametersAddScale(builder, scales)
        tflite.QuantizationParametersAddZeroPoint(builder, zero_points)
        quantisation = tflite.QuantizationParametersEnd(builder)
    tflite.TensorStart(builder)
    tflite.TensorAddName(builder, name)
    tflite.TensorAddShape(builder, shape)
    tflite.TensorAddType(builder, _TYPES[tensor.dtype])
    tflite.TensorAddBuffer(builder, buffer)
    if quantisation is not None:
        tflite.TensorAddQuantization(builder, quantisation)
    return tflite.TensorEnd(builder)


def _code(builder: Any, operator: Operator) -> Any:
    custom = builder.CreateString(operator.code) if isinstance(operator.code, str) else None
    code = tflite.BuiltinOperator.CUSTOM if isinstance(operator.code, str) else operator.code
    tflite.OperatorCodeStart(builder)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(builder, min(code, 127))
    tflite.OperatorCodeAddBuiltinCode(builder, code)
    tflite.OperatorCodeAddVersion(builder, operator.version)
    if custom is not None:
        tflite.OperatorCodeAddCustomCode(builder, custom)
    return tflite.OperatorCodeEnd(builder)


def _node(builder: Any, number: int, operator: Operator) -> Any:
    inputs, outputs = _ints(builder, operator.inputs), _ints(builder, operator.outputs)
    options, kind = _options(builder, operator.options)
    tflite.OperatorStart(builder)
    tflite.OperatorAddOpcodeIndex(builder, number)
    tflite.OperatorAddInputs(builder, inputs)
    tflite.OperatorAddOutputs(builder, outputs)
    if options is not None:
        tflite.OperatorAddBuiltinOptionsType(builder, kind)
        tflite.OperatorAddBuiltinOptions(builder, options)
    return tflite.OperatorEnd(builder)


def _options(builder: Any, which: str) -> tuple[Any, int]:
    if which == "pool":
        tflite.Pool2DOptionsStart(builder)
        tflite.Pool2DOptionsAddPadding(builder, tflite.Padding.VALID)
        for add in (
            tflite.Pool2DOptionsAddStrideW,
            tflite.Pool2DOptionsAddStrideH,
            tflite.Pool2DOptionsAddFilterWidth,
            tflite.Pool2DOptionsAddFilterHeight,
        ):
            add(builder, 2)
        return tflite.Pool2DOptionsEnd(builder), tflite.BuiltinOptions.Pool2DOptions
    if which == "dense":
        tflite.FullyConnectedOptionsStart(builder)
        return tflite.FullyConnectedOptionsEnd(builder), tflite.BuiltinOptions.FullyConnectedOptions
    return None, tflite.BuiltinOptions.NONE


def _ints(builder: Any, values: Sequence[int]) -> Any:
    return builder.CreateNumpyVector(np.array(list(values), np.int32))


def _offsets(builder: Any, made: Sequence[Any]) -> Any:
    builder.StartVector(4, len(made), 4)
    for offset in reversed(made):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()
