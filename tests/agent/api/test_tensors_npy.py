"""Tensors as .npy: every type comes back bit for bit, and whatever else is sent is an error that says why."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from arrays import Array, every_dtype, on_a_busy_machine, refusal, signature, small_shapes, some, spec
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from agent.api import tensors
from contract.tensors import ITEM_BYTES, TensorSpec


def read_npy(content: bytes, *specs: TensorSpec) -> bytes:
    (view,) = tensors.read_npy(content, signature(*specs or (spec(),)))
    return bytes(view)


def npy(array: Array, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version)
    return file.getvalue()


@every_dtype
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_every_dtype_is_exact(dtype: str, version: tuple[int, int]) -> None:
    assert read_npy(npy(some(dtype), version), spec(dtype)) == some(dtype).tobytes()


@every_dtype
def test_either_byte_order(dtype: str) -> None:
    array = some(dtype)
    assert read_npy(npy(array.astype(array.dtype.newbyteorder(">"))), spec(dtype)) == array.tobytes()


@every_dtype
def test_fortrans_order(dtype: str) -> None:
    array = some(dtype, (2, 3, 4))
    content = npy(np.asfortranarray(array))
    assert b"'fortran_order': True" in content
    assert read_npy(content, spec(dtype, (2, 3, 4))) == array.tobytes()


def test_fortrans_order_and_big_endian() -> None:
    array = np.arange(24, dtype="float32").reshape(2, 3, 4)
    assert read_npy(npy(np.asfortranarray(array.astype(">f4"))), spec(shape=(2, 3, 4))) == array.tobytes()


def test_a_scalar() -> None:
    assert read_npy(npy(np.array(2.5, np.float32)), spec(shape=())) == struct.pack("<f", 2.5)


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_bits_of_a_nan(order: str) -> None:
    bits = np.array([0x7FC00001, 0xFFFFFFFF, 0x7F800001, 0x7F800000, 0x80000000, 1], np.uint32)
    content = npy(bits.astype(f"{order}u4").view(f"{order}f4").reshape(2, 3))
    assert read_npy(content) == bits.astype("<u4").tobytes()


@pytest.mark.parametrize("dtype", ["float64", "int32", "uint8", "complex64", "U1", "S4", "M8[s]", "V4", "f4,f4", []])
def test_another_dtype(dtype: Any) -> None:
    error = refusal(read_npy, npy(np.zeros((2, 3), dtype)))
    assert np.dtype(dtype).name in error.message
    assert error.hint == "the model takes float32"


def test_no_pickle() -> None:
    assert "object" in refusal(read_npy, npy(np.array([[print] * 3] * 2))).message


@pytest.mark.parametrize("shape", [(3, 2), (6,), (1, 2, 3), (), (0,), (2, 3, 0)])
def test_another_shape(shape: tuple[int, ...]) -> None:
    assert str(list(shape)) in refusal(read_npy, npy(np.zeros(shape, np.float32))).message


@pytest.mark.parametrize("more", [-1, -4, 1, 4, 1000])
def test_more_or_less_data_than_the_header_says(more: int) -> None:
    content = npy(some("float32"))
    content = content[:more] if more < 0 else content + bytes(more)
    assert refusal(read_npy, content).message == f"the .npy file has {24 + more} bytes of data, its header says 24"


def test_a_header_that_promises_too_much_takes_no_memory() -> None:
    """numpy's own reader would take 40 TB for it, or try."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (10**13,)})
    assert "[10000000000000]" in refusal(read_npy, file.getvalue()).message


def test_a_model_of_several_inputs_takes_another_form() -> None:
    error = refusal(read_npy, npy(some("float32")), spec(), spec(name="y"))
    assert error.message == "the model has 2 inputs, this form carries one"
    assert "application/json" in error.hint


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{}",
        b"[]",
        b"{'descr': '<f4'}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': 1}",
        b"{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3)}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': [2, 3]}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': ('2', 3)}",
        b"{'descr': '<q9', 'fortran_order': False, 'shape': (2, 3)}",
        b"{'descr': [('a',)], 'fortran_order': False, 'shape': (2, 3)}",
        b"{'descr': __import__('os').system('false'), 'fortran_order': False, 'shape': (2, 3)}",
        b"{[]: 1}",
        b"{'a': " * 200,
        b"(" * 5000,
        b"-" * 9000 + b"1",
        b"1 + " * 2000 + b"1",
        b"'" + b"a" * 20_000 + b"'",
        b"'''",
        b"\\",
        b"\xff\x00",
    ],
)
@pytest.mark.parametrize("version", [1, 2, 3])
def test_broken_headers(header: bytes, version: int) -> None:
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    content = b"\x93NUMPY" + bytes([version, 0]) + length + header + bytes(24)
    assert "not a .npy file" in refusal(read_npy, content).message


@pytest.mark.parametrize("cut", range(0, 128, 5))
def test_cut_in_the_header(cut: int) -> None:
    assert "not a .npy file" in refusal(read_npy, npy(some("float32"))[:cut]).message


@on_a_busy_machine
@given(st.binary())
def test_arbitrary_bytes(content: bytes) -> None:
    refusal(read_npy, content)


@pytest.mark.filterwarnings("ignore:Reading `.npy`")
def test_a_header_of_python_2() -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L)}"
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + some("float32").tobytes()
    assert read_npy(content) == some("float32").tobytes()


@pytest.mark.filterwarnings("ignore:Reading `.npy`")  # of Python 2
@on_a_busy_machine
@given(header=st.text("{}[]()'\"\\:,. <f48descrfortran_ordershapeTrueFalse0123L-+\n\t#", max_size=120))
def test_arbitrary_headers(header: str) -> None:
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(24)
    refusal(read_npy, content)


@on_a_busy_machine
@given(st.data())
def test_what_was_written_is_read_again(data: st.DataObject) -> None:
    array = data.draw(hnp.arrays(data.draw(st.sampled_from(sorted(ITEM_BYTES))), small_shapes))
    wanted = signature(spec(array.dtype.name, array.shape))
    content = tensors.write_npy([memoryview(array.tobytes())], wanted)
    np.testing.assert_array_equal(np.load(io.BytesIO(content)), array)
    assert bytes(tensors.read_npy(content, wanted)[0]) == array.tobytes()
