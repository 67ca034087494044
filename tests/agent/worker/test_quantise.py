"""Between slots and file: the numbers by the formula, the order of axes, and what is left alone."""

import tracemalloc
from typing import Any

import numpy as np
import onnx.reference
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from onnx import TensorProto, helper

from agent.worker.quantise import Converter

NCHW_TO_NHWC = [0, 2, 3, 1]


def declared(
    shape: tuple[int, ...], dtype: str = "int8", order: list[int] | None = None, by: tuple[float, int] | None = None
) -> dict[str, Any]:
    quantisation = None if by is None else {"scale": by[0], "zero_point": by[1]}
    return {"name": "t", "dtype": dtype, "shape": list(shape), "order": order or [], "quantisation": quantisation}


def converter_of(inputs: list[dict[str, Any]], outputs: list[dict[str, Any]], dtype: str = "float32") -> Converter:
    signature = {"inputs": [{"dtype": dtype}] * len(inputs), "outputs": [{"dtype": dtype}] * len(outputs)}
    return Converter({"inputs": inputs, "outputs": outputs}, signature)


def encoded(tensor: dict[str, Any], real: NDArray[Any]) -> NDArray[Any]:
    converter = converter_of([tensor], [tensor], str(real.dtype))
    ((own,), _) = converter.bound([real], [real])
    converter.encode([real])
    return np.asarray(own)


def decoded(tensor: dict[str, Any], integers: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    converter = converter_of([tensor], [tensor], "float32" if tensor["quantisation"] else tensor["dtype"])
    real = np.full(shape, 77, np.float32)
    (_, (own,)) = converter.bound([real], [real])
    own[...] = integers
    converter.decode([real])
    return real


@settings(deadline=None, max_examples=50)
@given(
    real=arrays.arrays(np.float32, (2, 3, 4, 5), elements=st.floats(-1000, 1000, width=32)),
    scale=st.floats(2**-13, 10, width=32),
    dtype=st.sampled_from(["int8", "uint8"]),
    data=st.data(),
)
def test_integers_are_those_of_onnx_in_the_file_s_order(
    real: NDArray[np.float32], scale: float, dtype: str, data: st.DataObject
) -> None:
    limits = np.iinfo(dtype)
    zero_point = data.draw(st.integers(int(limits.min), int(limits.max)))
    tensor = declared((2, 4, 5, 3), dtype, NCHW_TO_NHWC, (scale, zero_point))
    expected = _quantize_linear(real, scale, np.asarray(zero_point, dtype))
    np.testing.assert_array_equal(encoded(tensor, real), expected.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_every_integer_becomes_scale_times_its_distance(dtype: str) -> None:
    limits = np.iinfo(dtype)
    integers = np.arange(limits.min, limits.max + 1).astype(dtype).reshape(1, 8, 16, 2)
    scale, zero_point = 0.0235, 17
    real = decoded(declared(integers.shape, dtype, NCHW_TO_NHWC, (scale, zero_point)), integers, (1, 2, 8, 16))
    exact = np.float64(np.float32(scale)) * (integers.astype(np.float64) - zero_point)
    np.testing.assert_array_equal(real, exact.astype(np.float32).transpose(0, 3, 1, 2))


def test_what_is_decoded_is_encoded_to_the_same() -> None:
    integers = np.arange(-128, 128).astype(np.int8).reshape(1, 8, 16, 2)
    tensor = declared(integers.shape, "int8", NCHW_TO_NHWC, (0.0371, -9))
    np.testing.assert_array_equal(encoded(tensor, decoded(tensor, integers, (1, 2, 8, 16))), integers)


def test_a_tie_goes_to_the_even_one() -> None:
    real = np.array([[-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]], np.float32)
    assert encoded(declared((1, 6), by=(1.0, 0)), real).tolist() == [[-2, -2, 0, 0, 2, 2]]


@pytest.mark.filterwarnings("error")
def test_what_is_no_number_or_out_of_range_is_a_number_in_range() -> None:
    real = np.array([[np.nan, np.inf, -np.inf, 1e30, -1e30]], np.float32)
    assert encoded(declared((1, 5), by=(0.5, 3)), real).tolist() == [[-128, 127, -128, 127, -128]]
    assert encoded(declared((1, 5), "uint8", by=(0.5, 3)), real).tolist() == [[0, 255, 0, 255, 0]]


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_without_a_scale_the_axes_alone_change(dtype: str) -> None:
    real = np.arange(24).reshape(1, 2, 3, 4).astype(dtype)
    tensor = declared((1, 3, 4, 2), dtype, NCHW_TO_NHWC)
    np.testing.assert_array_equal(encoded(tensor, real), real.transpose(0, 2, 3, 1))
    converter = converter_of([tensor], [tensor])
    back = np.zeros_like(real)
    (_, (own,)) = converter.bound([real], [back])
    own[...] = real.transpose(0, 2, 3, 1)
    converter.decode([back])
    np.testing.assert_array_equal(back, real)


@pytest.mark.parametrize("order", [[], [1, 0]])
def test_int64_where_the_file_has_int32(order: list[int]) -> None:
    tensor = declared((3, 2), "int32", order)
    real = np.array([[-(2**40), -1], [0, 7], [2**31 - 1, 2**31]], np.int64)
    slot = real.T.copy() if order else real
    converter = converter_of([tensor], [tensor], "int64")
    back = np.zeros_like(slot)
    ((taken,), (given,)) = converter.bound([slot], [back])
    assert taken.dtype == given.dtype == np.int32
    converter.encode([slot])
    np.testing.assert_array_equal(taken, np.clip(real, -(2**31), 2**31 - 1))
    given[...] = [[1, 2], [3, 4], [-5, 6]]
    converter.decode([back])
    np.testing.assert_array_equal(back.T if order else back, given)


@pytest.mark.parametrize("order", [[], [0, 1]])
def test_one_that_is_the_same_on_both_sides_is_not_copied(order: list[int]) -> None:
    same, other = declared((2, 3), "float32", order), declared((2, 3), by=(1.0, 0))
    converter = converter_of([same, other], [other, same])
    slot = [np.zeros((2, 3), np.float32) for _ in range(4)]
    (given_same, given_other), (taken_other, taken_same) = converter.bound(slot[:2], slot[2:])
    assert given_same is slot[0]
    assert taken_same is slot[3]
    assert given_other.dtype == taken_other.dtype == np.int8
    slot[0][...] = slot[1][...] = 5
    taken_other[...] = 7
    converter.encode(slot[:2])
    converter.decode(slot[2:])
    assert (given_other == 5).all()
    assert (slot[2] == 7).all()
    assert (slot[0] == 5).all()
    assert (slot[3] == 0).all()


def test_slots_share_the_file_s_arrays() -> None:
    converter = converter_of([declared((1, 4), by=(1.0, 0))], [declared((1, 4), by=(1.0, 0))])
    slots = [([np.zeros((1, 4), np.float32)], [np.zeros((1, 4), np.float32)]) for _ in range(2)]
    (first, _), (second, _) = (converter.bound(*slot) for slot in slots)
    assert first[0] is second[0]


def test_scalars() -> None:
    assert encoded(declared((), by=(0.5, 1)), np.array(2.0, np.float32)).tolist() == 5
    assert decoded(declared((), by=(0.5, 1)), np.array(5, np.int8), ()).tolist() == 2.0


def test_a_conversion_allocates_next_to_nothing() -> None:
    real = np.ones((1, 3, 256, 256), np.float32)
    tensor = declared((1, 256, 256, 3), "int8", NCHW_TO_NHWC, (0.01, 4))
    converter = converter_of([tensor], [tensor])
    converter.encode([real])
    converter.decode([real])
    tracemalloc.start()
    try:
        converter.encode([real])
        converter.decode([real])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50_000 < real.nbytes  # numpy casts by pieces of 8192 elements


def _quantize_linear(real: NDArray[np.float32], scale: float, zero_point: NDArray[Any]) -> NDArray[Any]:
    kind = helper.np_dtype_to_tensor_dtype(zero_point.dtype)
    graph = helper.make_graph(
        [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])],
        "q",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, real.shape),
            helper.make_tensor_value_info("s", TensorProto.FLOAT, []),
            helper.make_tensor_value_info("z", kind, []),
        ],
        [helper.make_tensor_value_info("y", kind, real.shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    fed = {"x": real, "s": np.float32(scale), "z": zero_point}
    (integers,) = onnx.reference.ReferenceEvaluator(model).run(None, fed)
    return np.asarray(integers)
