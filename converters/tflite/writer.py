"""The bytes of a TFLite file: the schema's own builder functions, as the package `tflite` (Apache-2.0) has them.

Source: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/lite/schema/schema.fbs
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import flatbuffers
import numpy as np
import tflite

from converters.tflite.quantising import Call, Contents, Stored

_TYPES = {"int8": "INT8", "uint8": "UINT8", "int32": "INT32"}
_SCHEMA_VERSION = 3
_ALIGNMENT = 16
"""Of the schema's Buffer.data: kernels read vectors from it."""
_OLD_CODES = 127
"""Codes up to it stand in a field of one byte as well, all that old readers look at (the schema's OperatorCode)."""

_OPTIONS = {
    "ADD": "AddOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "CONCATENATION": "ConcatenationOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "MUL": "MulOptions",
    "PAD": "PadOptions",
    "PADV2": "PadV2Options",
    "QUANTIZE": "QuantizeOptions",
    "RESHAPE": "ReshapeOptions",
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "SLICE": "SliceOptions",
    "SOFTMAX": "SoftmaxOptions",
    "SPLIT": "SplitOptions",
    "SUB": "SubOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
}
"""The table of the schema that each operator has its options in; the others have none."""


def write(contents: Contents) -> bytes:
    """The file: the same contents give the same bytes."""
    return _Writer().write(contents)


class _Writer:
    def __init__(self) -> None:
        self._builder = flatbuffers.Builder(1 << 20)

    def write(self, contents: Contents) -> bytes:
        builder = self._builder
        kinds = list(dict.fromkeys((call.builtin, call.version) for call in contents.calls))
        constants = [tensor.data for tensor in contents.tensors if tensor.data is not None]
        buffers = [self._buffer(data) for data in (b"", *constants)]
        numbers = iter(range(1, len(buffers)))
        tensors = [self._tensor(tensor, next(numbers) if tensor.data is not None else 0) for tensor in contents.tensors]
        calls = [self._call(call, kinds.index((call.builtin, call.version))) for call in contents.calls]
        graph = self._table(
            "SubGraph",
            Tensors=self._offsets(tensors),
            Inputs=self._integers(contents.inputs),
            Outputs=self._integers(contents.outputs),
            Operators=self._offsets(calls),
            Name=builder.CreateString("main"),
        )
        root = self._table(
            "Model",
            Version=_SCHEMA_VERSION,
            OperatorCodes=self._offsets([self._code(*kind) for kind in kinds]),
            Subgraphs=self._offsets([graph]),
            Description=builder.CreateString("boardfit"),
            Buffers=self._offsets(buffers),
        )
        builder.Finish(root, b"TFL3")
        return bytes(builder.Output())

    def _code(self, builtin: str, version: int) -> int:
        code = int(getattr(tflite.BuiltinOperator, builtin))
        return self._table(
            "OperatorCode", DeprecatedBuiltinCode=min(code, _OLD_CODES), Version=version, BuiltinCode=code
        )

    def _buffer(self, data: bytes) -> int:
        return self._table("Buffer", Data=self._bytes(data)) if data else self._table("Buffer")

    def _tensor(self, tensor: Stored, buffer: int) -> int:
        quantisation = {}
        if tensor.scales:
            quantisation["Quantization"] = self._table(
                "QuantizationParameters",
                Scale=self._builder.CreateNumpyVector(np.array(tensor.scales, "<f4")),
                ZeroPoint=self._builder.CreateNumpyVector(np.array(tensor.zero_points, "<i8")),
                QuantizedDimension=tensor.axis,
            )
        return self._table(
            "Tensor",
            Shape=self._integers(tensor.shape),
            Type=getattr(tflite.TensorType, _TYPES[tensor.dtype]),
            Buffer=buffer,
            Name=self._builder.CreateString(tensor.name),
            **quantisation,
        )

    def _call(self, call: Call, opcode: int) -> int:
        options = {}
        if call.builtin in _OPTIONS:
            table = _OPTIONS[call.builtin]
            options["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, table)
            options["BuiltinOptions"] = self._options(table, call.options)
        return self._table(
            "Operator",
            OpcodeIndex=opcode,
            Inputs=self._integers(call.inputs),
            Outputs=self._integers(call.outputs),
            **options,
        )

    def _options(self, table: str, options: Mapping[str, Any]) -> int:
        fields = {
            "".join(word.capitalize() for word in name.split("_")): (
                self._integers(value) if isinstance(value, Sequence) else value
            )
            for name, value in options.items()
        }
        return self._table(table, **fields)

    def _table(self, name: str, **fields: Any) -> int:
        """A table of the schema with these fields; vectors, texts and tables in it have to be there already."""
        module = import_module(f"tflite.{name}")
        add: dict[str, Callable[..., None]] = {field: getattr(module, f"{name}Add{field}") for field in fields}
        getattr(module, f"{name}Start")(self._builder)
        for field, value in fields.items():
            add[field](self._builder, value)
        return int(getattr(module, f"{name}End")(self._builder))

    def _integers(self, values: Sequence[int]) -> int:
        return int(self._builder.CreateNumpyVector(np.array(values, "<i4")))

    def _offsets(self, offsets: Sequence[int]) -> int:
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())

    def _bytes(self, data: bytes) -> int:
        """What Builder.CreateByteVector does, at the alignment that the schema asks for."""
        builder = self._builder
        builder.StartVector(1, len(data), _ALIGNMENT)
        builder.head -= len(data)
        builder.Bytes[builder.head : builder.head + len(data)] = data
        return int(builder.EndVector())
