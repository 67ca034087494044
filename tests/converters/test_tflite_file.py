"""A TFLite file read by the schema's field numbers, against the readers that the schema's own compiler generated."""

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


def test_it_says_what_it_is() -> None:
    assert is_tflite(source())
    assert not is_tflite(b"\x08\x08onnx")
