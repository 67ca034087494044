import math
from collections.abc import Callable

import numpy as np
import pytest
import zoo
from hypothesis import given
from hypothesis import strategies as st

from converters.convert import Converted
from converters.errors import DataDependentShapeError, NotFiniteError
from converters.golden import MAX_BYTES, golden_inputs, make_golden, pack
from converters.noise import noise
from converters.reference import OnnxReference
from converters.signature import DTYPES, Signature, TensorSpec

Convert = Callable[..., Converted]

specs = st.builds(
    TensorSpec,
    name=st.just("x"),
    dtype=st.sampled_from(sorted(DTYPES)),
    shape=st.lists(st.integers(1, 5), max_size=4).map(tuple),
)


def signature(*shape: int, dtype: str = "float32") -> Signature:
    return Signature((TensorSpec("x", dtype, shape),), (TensorSpec("y", dtype, shape),))


@given(wanted=st.lists(specs, min_size=1, max_size=4), seed=st.integers(0, 2**31))
def test_noise_has_the_type_and_shape_asked_for_and_is_repeatable(wanted: list[TensorSpec], seed: int) -> None:
    tensors, again = noise(wanted, seed), noise(wanted, seed)
    assert [(str(tensor.dtype), tensor.shape) for tensor in tensors] == [(spec.dtype, spec.shape) for spec in wanted]
    assert all(np.array_equal(a, b) for a, b in zip(tensors, again, strict=True))


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [("float16", 0, 1), ("float32", 0, 1), ("float64", 0, 1), ("uint8", 0, 255), ("int8", -128, 127)]
    + [(dtype, 0, 1) for dtype in ("int16", "int32", "int64", "uint16", "uint32", "uint64", "bool")],
)
def test_the_range_of_noise(dtype: str, low: int, high: int) -> None:
    (tensor,) = noise([TensorSpec("x", dtype, (100, 100))], 0)
    if tensor.dtype.kind == "f":
        assert 0 <= tensor.min() < 0.01
        assert 0.99 < tensor.max() < 1
    else:
        assert (tensor.min(), tensor.max()) == (low, high)


def test_eight_different_cases_by_default() -> None:
    cases = golden_inputs(signature(1, 3, 4, 4))
    assert len({case[0].tobytes() for case in cases}) == len(cases) == 8


def test_the_seed_changes_the_noise() -> None:
    assert not np.array_equal(golden_inputs(signature(9))[0][0], golden_inputs(signature(9), seed=100)[0][0])


@pytest.mark.parametrize(("side", "count"), [(512, 8), (1024, 4), (2048, 1), (4096, 1)])
def test_huge_tensors_get_fewer_cases_but_one(side: int, count: int) -> None:
    assert len(golden_inputs(signature(1, side, side))) == count
    assert count == 1 or count * 2 * 4 * side * side <= MAX_BYTES


def test_images_come_first_and_as_many_as_there_are() -> None:
    images = [[np.full((1, 2), index, np.float32)] for index in range(10)]
    assert [case[0][0, 0] for case in golden_inputs(signature(1, 2), images)] == list(range(8))
    assert len(golden_inputs(signature(1, 2), images[:3])) == 3


@pytest.mark.parametrize("image", [np.zeros((1, 3), np.float32), np.zeros((1, 2), np.uint8)])
def test_images_that_do_not_fit(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"'x' is float32\(1, 2\), not"):
        golden_inputs(signature(1, 2), [[image]])


def test_tensors_of_a_model_of_several_inputs() -> None:
    several = Signature((TensorSpec("a", "float32", (2,)), TensorSpec("b", "float32", (2,))), ())
    case = [np.zeros(2, np.float32), np.ones(2, np.float32)]
    golden = make_golden(several, lambda case: [], [case], source="tensors")
    assert (golden.count, golden.source) == (1, "tensors")
    assert golden.inputs == b"".join(tensor.tobytes() for tensor in case)
    with pytest.raises(ValueError, match="zip"):
        golden_inputs(several, [case[:1]])


def test_no_case_is_no_proof() -> None:
    with pytest.raises(ValueError, match="count is 0"):
        golden_inputs(signature(2), count=0)


def test_the_bytes_are_the_tensors_of_each_case_in_order(convert_model: Convert) -> None:
    converted = convert_model(zoo.mixed())
    golden = make_golden(converted.signature, OnnxReference(converted.model), count=2, seed=5)
    assert (golden.count, golden.source) == (2, "noise")
    cases = golden_inputs(converted.signature, count=2, seed=5)
    assert golden.inputs == b"".join(tensor.tobytes() for case in cases for tensor in case)
    outputs = [[-case[0], *case[1:]][::-1] for case in cases]
    assert golden.outputs == b"".join(tensor.tobytes() for case in outputs for tensor in case)
    assert len(golden.inputs) == 2 * converted.signature.input_bytes
    assert len(golden.outputs) == 2 * converted.signature.output_bytes


def test_golden_images_are_marked_as_such(convert_model: Convert) -> None:
    converted = convert_model(zoo.convolution())
    image = np.full((1, 3, 8, 8), 0.5, np.float32)
    golden = make_golden(converted.signature, OnnxReference(converted.model), [[image]])
    assert (golden.count, golden.source, golden.inputs) == (1, "images", image.tobytes())


def test_an_output_that_changes_its_size_after_all() -> None:
    with pytest.raises(DataDependentShapeError, match="'y'"):
        make_golden(signature(2), lambda case: [np.zeros(3, np.float32)])


def test_an_output_without_a_finite_value_proves_nothing() -> None:
    """The same NaN in the same place is no difference: every board would pass."""
    for value in (np.nan, np.inf):
        with pytest.raises(NotFiniteError, match="'y' has no finite value for any of the golden inputs") as caught:
            make_golden(signature(2), lambda case, value=value: [np.full(2, value, np.float32)])  # type: ignore[misc]  # it is called with the case alone
        assert "--calibrate" in caught.value.hint


def test_an_output_that_is_partly_not_finite_is_told() -> None:
    golden = make_golden(signature(2), lambda case: [np.array([np.nan, 1], np.float32)], count=3)
    assert golden.notices == ("of the output 'y', 3 of 6 golden values are NaN or infinite",)
    assert not make_golden(signature(2), lambda case: [np.ones(2, np.float32)]).notices


@given(spec=specs)
def test_packing_is_row_major_little_endian_and_without_padding(spec: TensorSpec) -> None:
    (tensor,) = noise([spec], 1)
    packed = pack([np.asfortranarray(tensor).reshape(tensor.shape, order="A")], [spec])
    assert len(packed) == spec.size_bytes == math.prod(spec.shape) * tensor.itemsize
    back = np.frombuffer(packed, np.dtype(spec.dtype).newbyteorder("<")).reshape(spec.shape)
    np.testing.assert_array_equal(back, tensor)
