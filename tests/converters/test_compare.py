import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from converters.compare import CHUNK, compare

floats = hnp.arrays(
    np.float32, hnp.array_shapes(max_dims=4, max_side=4), elements=st.floats(-(2.0**100), 2.0**100, width=32)
)


def one(reference: object, measured: object, dtype: str = "float32"):
    (output,) = compare([[np.array(reference, dtype)]], [[np.array(measured, dtype)]]).outputs
    return output


@pytest.mark.parametrize("decibels", [20.0, 40.0, 60.0])
def test_sqnr_is_ten_times_the_logarithm_of_the_ratio_of_powers(decibels: float) -> None:
    reference = np.ones(100)
    measured = reference + 10 ** (-decibels / 20)
    assert one(reference, measured, "float64").sqnr_db == pytest.approx(decibels)


def test_it_is_what_onnx_runtime_computes() -> None:
    from onnxruntime.quantization.qdq_loss_debug import compute_signal_to_quantization_noice_ratio

    generator = np.random.default_rng(0)
    reference = generator.standard_normal((2, 3, 5))
    measured = reference + 0.01 * generator.standard_normal((2, 3, 5))
    expected = compute_signal_to_quantization_noice_ratio(reference, measured)
    assert one(reference, measured, "float64").sqnr_db == pytest.approx(expected)


@given(array=floats)
def test_a_tensor_equals_itself(array: np.ndarray) -> None:
    output = compare([[array]], [[array.copy()]]).outputs[0]
    assert (output.max_abs_error, output.sqnr_db) == (0, math.inf)


@given(array=floats, exponent=st.integers(-60, 60))
def test_scale_does_not_change_the_sqnr(array: np.ndarray, exponent: int) -> None:
    reference, measured = array.astype(np.float64), array.astype(np.float64) * 1.01
    base = compare([[reference]], [[measured]]).sqnr_db
    scaled = compare([[reference * 2.0**exponent]], [[measured * 2.0**exponent]]).sqnr_db
    assert scaled == pytest.approx(base)


@pytest.mark.parametrize("value", [1e308, 5e-324, 1e-200])
def test_extreme_values_neither_overflow_nor_vanish(value: float) -> None:
    assert one([value, value], [value, -value], "float64").sqnr_db == pytest.approx(10 * math.log10(2 / 4))


def test_the_largest_error_is_exact() -> None:
    assert one([7, 3], [4, 3], "int64").max_abs_error == 3
    assert one([255], [0], "uint8").max_abs_error == 255
    assert one([-128], [127], "int8").max_abs_error == 255
    assert one([True, False], [False, False], "bool").max_abs_error == 1


@pytest.mark.parametrize("special", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_must_be_so_on_both_sides(special: float) -> None:
    same = one([special, 1.0], [special, 1.0])
    assert (same.max_abs_error, same.sqnr_db) == (0, math.inf)
    for reference, measured in (([special, 1.0], [0.0, 1.0]), ([0.0, 1.0], [special, 1.0])):
        broken = one(reference, measured)
        assert (broken.max_abs_error, broken.sqnr_db) == (math.inf, -math.inf)


def test_infinities_of_different_sign_differ() -> None:
    assert one([math.inf], [-math.inf]).sqnr_db == -math.inf


def test_errors_beside_a_shared_nan_still_count() -> None:
    assert one([math.nan, 1.0], [math.nan, 2.0]).sqnr_db == pytest.approx(0)


def test_a_zero_reference() -> None:
    assert one([0.0, 0.0], [0.0, 0.0]).sqnr_db == math.inf
    assert one([0.0, 0.0], [0.0, 1e-9]).sqnr_db == -math.inf


def test_each_output_has_its_worst_case_and_the_worst_output_is_told() -> None:
    good, bad, worse = np.float64([1.0]), np.float64([1.1]), np.float64([1.5])
    result = compare([[good, good], [good, good]], [[good, bad], [bad, worse]])
    assert [round(output.sqnr_db, 6) for output in result.outputs] == [20.0, round(20 * math.log10(2), 6)]
    assert result.worst == 1
    assert result.sqnr_db == result.outputs[1].sqnr_db
    assert result.max_abs_error == 0.5


def test_top1_agreement_counts_samples_over_all_cases() -> None:
    reference = [[np.float32([[0.1, 0.9]])], [np.float32([[0.8, 0.2]])]]
    measured = [[np.float32([[0.4, 0.6]])], [np.float32([[0.3, 0.7]])]]
    assert compare(reference, measured).outputs[0].top1_agreement == 0.5


@pytest.mark.parametrize(
    ("shape", "dtype", "scores"),
    [
        ((1, 10), "float32", True),
        ((3, 10, 1, 1), "float16", True),
        ((1, 1), "float32", False),
        ((10,), "float32", False),
        ((1, 3, 8, 8), "float32", False),
        ((1, 10), "int64", False),
        ((), "float32", False),
    ],
)
def test_what_looks_like_class_scores(shape: tuple[int, ...], dtype: str, scores: bool) -> None:
    array = np.zeros(shape, dtype)
    assert (compare([[array]], [[array]]).outputs[0].top1_agreement is not None) is scores


@pytest.mark.parametrize(
    ("reference", "measured"),
    [
        ([], []),
        ([[]], [[]]),
        ([[np.zeros(2)]], []),
        ([[np.zeros(2)]], [[np.zeros(2), np.zeros(2)]]),
        ([[np.zeros(2)]], [[np.zeros(3)]]),
        ([[np.zeros((2, 1))]], [[np.zeros((1, 2))]]),
    ],
)
def test_what_cannot_be_compared(reference: list, measured: list) -> None:
    with pytest.raises(ValueError, match=r"compare|shapes differ|zip\(\)"):
        compare(reference, measured)


def test_an_output_of_many_parts_is_one() -> None:
    """The largest value, on which all are scaled, is in the last part; NaN and infinity are in the second."""
    random = np.random.default_rng(0)
    reference = random.standard_normal(2 * CHUNK + 3).astype(np.float32)
    reference[-1] = 1e30
    measured = reference * np.float32(1.001)
    reference[[CHUNK, CHUNK + 1]] = measured[[CHUNK, CHUNK + 1]] = np.nan, np.inf
    result = one(reference, measured)
    assert result.sqnr_db == pytest.approx(60, abs=0.01)
    assert result.max_abs_error == pytest.approx(1e27, rel=1e-3)
    measured[CHUNK] = 0
    assert one(reference, measured).sqnr_db == -math.inf


def test_of_a_large_output_no_copy_is_made() -> None:
    reference = np.ones((1, 4, 2048, 2048), np.float32)
    measured = reference + np.float32(0.01)
    tracemalloc.start()
    try:
        compare([[reference]], [[measured]])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < reference.nbytes
