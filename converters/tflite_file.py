"""What a TFLite file consists of, whoever wrote it: its tensors and operators as plain values.

Field numbers are those of the schema, which only ever grows at its tables' ends:
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
"""

from dataclasses import dataclass
from functools import cache
from math import prod

from converters.errors import ConversionError
from converters.flatbuffer import BrokenFlatbufferError, Flatbuffer, Table

_CUSTOM_CODE = 32
_MOST_ELEMENTS = 2**63 - 1
_IDENTIFIER = b"TFL3"
_BITS = {
    "FLOAT32": 32,
    "FLOAT16": 16,
    "INT32": 32,
    "UINT8": 8,
    "INT64": 64,
    "BOOL": 8,
    "INT16": 16,
    "COMPLEX64": 64,
    "INT8": 8,
    "FLOAT64": 64,
    "COMPLEX128": 128,
    "UINT64": 64,
    "UINT32": 32,
    "UINT16": 16,
    "INT4": 4,
    "BFLOAT16": 16,
}
"""How large an element is, by the schema's TensorType; strings and resources have no size of their own."""


class NotTfliteError(ConversionError):
    """The file is something else, truncated, or damaged."""

    code = "not_tflite"


@dataclass(frozen=True)
class Tensor:
    """One tensor; `scales` and `zero_points` have one value, one per channel, or none where it is not quantised.

    shape  sizes; -1 where the file leaves one open
    bits   of an element; None where it has no fixed size
    buffer number of the file's buffer that `data` lies in: tensors may share one
    data   a constant's bytes; empty where the tensor is computed
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    bits: int | None
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    buffer: int
    data: memoryview

    @property
    def is_constant(self) -> bool:
        return len(self.data) > 0

    @property
    def elements(self) -> int | None:
        """None where a size is left open."""
        return prod(self.shape) if min(self.shape, default=1) >= 0 else None

    @property
    def size_bytes(self) -> int | None:
        return None if self.elements is None or self.bits is None else -(-self.elements * self.bits // 8)


@dataclass(frozen=True)
class Operator:
    """One operator; `inputs` and `outputs` are places in the file's tensors, -1 an input that is left out.

    name     of the schema's BuiltinOperator, or a custom operator's own
    options  a custom operator's bytes
    """

    name: str
    version: int
    custom: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: memoryview


@dataclass(frozen=True)
class TfliteFile:
    """The main graph; `bodies` counts the others, those of WHILE, IF and CALL_ONCE, which are not read."""

    schema_version: int
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    input_places: tuple[int, ...]
    output_places: tuple[int, ...]
    bodies: int


def is_tflite(content: bytes) -> bool:
    """Whether the bytes say that they are TFLite."""
    return content[4:8] == _IDENTIFIER


def read_tflite(content: bytes) -> TfliteFile:
    """NotTfliteError for anything that is none; constants stay views of `content`."""
    try:
        return _read(content)
    except BrokenFlatbufferError as error:
        raise NotTfliteError(
            f"this is no TFLite file, or it is cut off or damaged: {error}",
            "compare its size with the original's, and copy or convert it again",
        ) from error


def _read(content: bytes) -> TfliteFile:
    model = Flatbuffer(content, _IDENTIFIER).root
    buffers = [_constant(buffer, content) for buffer in model.tables(4)]
    codes = [_code(code) for code in model.tables(1)]
    graphs = [*model.tables(2)]
    if not graphs:
        raise BrokenFlatbufferError("it has no graph")
    main = graphs[0]
    tensors = tuple(_tensor(tensor, buffers) for tensor in main.tables(0))
    operators = tuple(_operator(operator, codes, len(tensors)) for operator in main.tables(3))
    inputs, outputs = main.wholes(1, "i"), main.wholes(2, "i")
    _check_places((*inputs, *outputs), 0, len(tensors))
    return TfliteFile(
        model.whole(0, "I"),
        tensors,
        operators,
        tuple(tensors[place] for place in inputs),
        tuple(tensors[place] for place in outputs),
        inputs,
        outputs,
        len(graphs) - 1,
    )


def _constant(buffer: Table, content: bytes) -> memoryview:
    """Its bytes in the buffer or, in files beyond 2 GB, behind the whole flatbuffer (0 and 1 stand for neither)."""
    offset, size = buffer.whole(1, "Q"), buffer.whole(2, "Q")
    if offset <= 1:
        return buffer.blob(0)
    if offset + size > len(content):
        raise BrokenFlatbufferError(f"a constant's {size:,} bytes at {offset:,} are not there")
    return memoryview(content)[offset : offset + size]


def _code(code: Table) -> tuple[str, int, bool]:
    """Name, version, whether custom. A number above 127 is in the newer field alone, others are in both."""
    number = max(code.whole(0, "b"), code.whole(3, "i"))
    custom = number == _CUSTOM_CODE
    return code.text(1) if custom else operator_name(number), code.whole(2, "i", 1), custom


def _tensor(tensor: Table, buffers: list[memoryview]) -> Tensor:
    buffer, quantisation = tensor.whole(2, "I"), tensor.table(4)
    _check_places((buffer,), 0, max(len(buffers), 1))
    dtype = _type_name(tensor.whole(1, "b"))
    signature = tensor.wholes(7, "i")  # has -1 where `shape` has a 1 that stands for any size
    shape = signature or tensor.wholes(0, "i")
    _check_shape(shape)
    return Tensor(
        tensor.text(3),
        dtype.lower(),
        shape,
        _BITS.get(dtype),
        tuple(float(scale) for scale in quantisation.numbers(2, "f")) if quantisation else (),
        quantisation.wholes(3, "q") if quantisation else (),
        buffer,
        buffers[buffer] if buffers else memoryview(b""),
    )


def _operator(operator: Table, codes: list[tuple[str, int, bool]], tensors: int) -> Operator:
    code = operator.whole(0, "I")
    _check_places((code,), 0, len(codes))
    name, version, custom = codes[code]
    inputs, outputs = operator.wholes(1, "i"), operator.wholes(2, "i")
    _check_places(inputs, -1, tensors)
    _check_places(outputs, 0, tensors)
    return Operator(name, version, custom, inputs, outputs, operator.blob(5))


def _check_shape(shape: tuple[int, ...]) -> None:
    """TFLite refuses a tensor whose elements it cannot count, too (core/subgraph.cc: BytesRequired)."""
    elements = 1
    for size in shape:
        elements *= max(size, 1)
        if elements > _MOST_ELEMENTS:
            raise BrokenFlatbufferError(f"a tensor has more than {_MOST_ELEMENTS:,} elements")


def _check_places(places: tuple[int, ...], least: int, end: int) -> None:
    for place in places:
        if not least <= place < end:
            raise BrokenFlatbufferError(f"number {place} of {end} is asked for")


def operator_name(number: int) -> str:
    """Of the schema's BuiltinOperator; OPERATOR_999 where the schema that is at hand has none of that number."""
    return _names("BuiltinOperator").get(number, f"OPERATOR_{number}")


def _type_name(number: int) -> str:
    return _names("TensorType").get(number, f"TYPE_{number}")


@cache
def _names(enum: str) -> dict[int, str]:
    """The names of one of the schema's enums."""
    import tflite  # a tenth of a second, for whoever reads TFLite alone

    return {number: name for name, number in vars(getattr(tflite, enum)).items() if isinstance(number, int)}
