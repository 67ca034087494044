"""A TFLite file read by the schema's field numbers, against the readers that the schema's own compiler generated."""

import struct

import flatbuffers
import numpy as np
import pytest
import tflite
import tflite_models
from edge_tpu_files import source
from tflite_models import Operator, T

from converters.flatbuffer import BrokenFlatbufferError, Flatbuffer
from converters.tflite_file import NotTfliteError, is_tflite, read_tflite


def test_the_same_as_the_generated_readers_say() -> None:
    content = source()
    file, model = read_tflite(content), tflite.Model.GetRootAs(content)
    graph = model.Subgraphs(0)
    assert file.schema_version == model.Version() == 3
    assert len(file.tensors) == graph.TensorsLength() == 6
    for index, tensor in enumerate(file.tensors):
        wanted = graph.Tensors(index)
        buffer = model.Buffers(wanted.Buffer())
        assert tensor.name == wanted.Name().decode()
        assert getattr(tflite.TensorType, tensor.dtype.upper()) == wanted.Type()
        assert tensor.shape == tuple(wanted.ShapeAsNumpy())
        assert tensor.scales == tuple(wanted.Quantization().ScaleAsNumpy())
        assert tensor.zero_points == tuple(wanted.Quantization().ZeroPointAsNumpy())
        assert bytes(tensor.data) == (buffer.DataAsNumpy().tobytes() if buffer.DataLength() else b"")
    assert [(operator.name, operator.version) for operator in file.operators] == [
        ("CONV_2D", 3),
        ("RELU", 2),
        ("LOGISTIC", 2),
    ]
    assert file.operators[0].inputs == (0, 1, 2)
    assert [tensor.name for tensor in (*file.inputs, *file.outputs)] == ["x", "y"]
    assert (file.input_places, file.output_places, file.bodies) == ((0,), (5,), 0)


def test_a_custom_operator_has_its_own_name() -> None:
    file = read_tflite(tflite_models.for_edge_tpu(T("x", "int8", (1, 4), (0.5, 3)), "acme"))
    assert [(operator.name, operator.custom) for operator in file.operators] == [("acme", True)]


def test_an_input_that_is_left_out() -> None:
    assert read_tflite(tflite_models.product(4, 2)).operators[0].inputs == (0, 1, -1)


def test_sizes_in_bytes() -> None:
    x, y, z = (T(name, dtype, (2, 3)) for name, dtype in (("x", "int8"), ("y", "float32"), ("z", "bool")))
    file = read_tflite(tflite_models.make([x, y, z], [Operator(0, (0, 1), (2,))], [0, 1], [2]))
    assert [tensor.size_bytes for tensor in file.tensors] == [6, 24, 6]


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\0\0\0\0TFL3", b"\xff\xff\xff\xffTFL3" + b"\xff" * 40, b"x" * 99])
def test_what_is_none(content: bytes) -> None:
    with pytest.raises(NotTfliteError, match="no TFLite file, or it is cut off or damaged"):
        read_tflite(content)


def test_a_place_that_is_not_there() -> None:
    x = T("x", "int8", (2,))
    with pytest.raises(NotTfliteError, match="number 7 of 1 is asked for"):
        read_tflite(tflite_models.make([x], [Operator(0, (7,), (0,))], [0], [0]))


def test_offsets_to_one_place_end() -> None:
    """A vector of 10,000 tables that are one, each with a vector of 10,000 numbers: a hundred million reads."""
    builder = flatbuffers.Builder(1024)
    numbers = builder.CreateNumpyVector(np.zeros(10_000, np.int32))
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, numbers, 0)
    one = builder.EndObject()
    builder.StartVector(4, 10_000, 4)
    for _ in range(10_000):
        builder.PrependUOffsetTRelative(one)
    many = builder.EndVector()
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, many, 0)
    builder.Finish(builder.EndObject())
    root = Flatbuffer(bytes(builder.Output())).root
    with pytest.raises(BrokenFlatbufferError, match="over and over"):
        [table.wholes(0, "i") for table in root.tables(0)]


def test_one_table_two_million_times_ends() -> None:
    """A file of 8 MB whose every buffer is one and the same: nothing but offsets, and no byte of it is large."""
    count = 2_000_000
    content = bytearray(36)
    struct.pack_into("<I4s", content, 0, 24, b"TFL3")
    struct.pack_into("<HH5H", content, 8, 14, 8, 0, 0, 0, 0, 4)  # a model's vtable: buffers alone, at its byte 4
    struct.pack_into("<iII", content, 24, 16, 4, count)
    content += np.arange(4 * count + 4, 4, -4, dtype="<u4").tobytes()  # each to what is behind the last, and its vtable
    content += struct.pack("<HHi", 4, 4, 4)  # a vtable without fields, and a buffer that has it
    with pytest.raises(NotTfliteError, match="over and over"):
        read_tflite(bytes(content))


def test_bytes_that_are_not_looked_at_may_be_as_many_as_they_like() -> None:
    kernel = np.zeros((1, 100_000_000), np.int8)
    x, w, y = T("x", "int8", (1, 4)), T("w", "int8", kernel.shape, (0.5, 0), kernel), T("y", "int8", (1, 1))
    file = read_tflite(tflite_models.make([x, w, y], [Operator(9, (0, 1), (2,))], [0], [2]))
    assert len(file.tensors[1].data) == 100_000_000


def test_a_model_of_many_layers_is_read() -> None:
    tensors = [T(f"layer/{number}/batch_normalisation", "int8", (1, 4, 4, 8), (0.5, 3)) for number in range(2001)]
    operators = [Operator(0, (number, number), (number + 1,), 2) for number in range(2000)]
    assert len(read_tflite(tflite_models.make(tensors, operators, [0], [2000])).operators) == 2000


@pytest.mark.parametrize("shape", [(2**31 - 1,) * 3, (2**31 - 1,) * 1000, (-1, 2**31 - 1, 2**31 - 1, 4)])
def test_a_size_that_nothing_can_count(shape: tuple[int, ...]) -> None:
    """Its elements would have thousands of digits, which Python does not even print."""
    with pytest.raises(NotTfliteError, match="a tensor has more than"):
        read_tflite(tflite_models.make([T("x", "int8", shape)], [Operator(0, (0,), (0,))], [0], [0]))


def test_it_says_what_it_is() -> None:
    assert is_tflite(source())
    assert not is_tflite(b"\x08\x08onnx")
