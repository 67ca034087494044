"""What is measured, and what each option makes of it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import zoo
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper, parser

from converters.int8_options import Int8Options
from converters.tflite.calibration import Difference, mean_errors, ranges_of
from converters.tflite.program import Weights
from converters.tflite.quantising import grid_of, rounding_of

NEGATED = parser.parse_model(
    '<ir_version: 8, opset_import: ["": 13]> g (float[1,2] x) => (float[1,2] y) { a = Neg(x) y = Relu(a) }'
)


def cases(*rows: tuple[float, float]) -> list[list[np.ndarray]]:
    return [[np.array([row], np.float32)] for row in rows]


def test_the_least_and_the_largest_value_over_all_cases_and_zero() -> None:
    found = ranges_of(NEGATED, ["x", "a", "y"], cases((1, 2), (3, 0.5)), Int8Options())
    assert found == {"x": (0, 3), "a": (-3, 0), "y": (0, 0)}


def test_one_case_is_asked_for_at_a_time() -> None:
    held: list[int] = []

    class Folder:
        """Reads a case when it is asked for it."""

        def __iter__(self) -> Iterator[list[np.ndarray]]:
            for number in range(5):
                held.append(number)
                yield [np.full((1, 2), number, np.float32)]

    for how, passes in (("minmax", 1), ("percentile", 2), ("squared_error", 2)):
        held.clear()
        ranges_of(NEGATED, ["x"], Folder(), Int8Options(how))  # type: ignore[arg-type]  # all that is used of it
        assert held == [*range(5)] * passes


@pytest.mark.parametrize("how", ["percentile", "squared_error"])
def test_a_few_values_far_outside_are_clipped(how: Any) -> None:
    values = np.random.default_rng(0).standard_normal((1, 200_000)).astype(np.float32)
    values[0, :2] = -60, 50
    made = zoo.identity((1, 200_000))
    low, high = ranges_of(made, ["x"], [[values]], Int8Options(how))["x"]
    assert -50 < low < -3
    assert 3 < high < 45
    assert ranges_of(made, ["x"], [[values]], Int8Options())["x"] == (-60, 50)


@pytest.mark.parametrize("how", ["percentile", "squared_error"])
@pytest.mark.parametrize("value", [0.0, 2.5, -1.0])
def test_tensors_of_one_value_keep_it(how: Any, value: float) -> None:
    given = [[np.full((1, 3), value, np.float32)]]
    low, high = ranges_of(zoo.identity((1, 3)), ["x"], given, Int8Options(how))["x"]
    assert low <= value <= high
    assert (low, high) == pytest.approx((min(value, 0), max(value, 0)), abs=1e-2)


@pytest.mark.parametrize("how", ["percentile", "squared_error"])
def test_what_is_never_negative_is_not_after_it(how: Any) -> None:
    values = np.abs(np.random.default_rng(0).standard_normal((1, 5000))).astype(np.float32)
    assert ranges_of(zoo.identity((1, 5000)), ["x"], [[values]], Int8Options(how))["x"][0] == 0


@settings(deadline=None, database=None)
@given(st.floats(-1e6, 1e6, width=32), st.floats(-1e6, 1e6, width=32))
def test_a_grid_meets_zero_and_reaches_either_end(one: float, other: float) -> None:
    low, high = min(one, other, 0.0), max(one, other, 0.0)
    grid = grid_of(one, other) if one <= other else grid_of(other, one)
    assert -128 <= grid.zero_point <= 127
    ends = [(integer - grid.zero_point) * grid.scale for integer in (-128, 127)]
    assert ends[0] <= low + grid.scale
    assert ends[1] >= high - grid.scale
    if low == 0 < high:
        assert grid.zero_point == -128  # so that saturation is a Relu


def test_rounding_is_told_in_the_order_of_onnx() -> None:
    kernel = np.random.default_rng(0).standard_normal((2, 3, 1, 2)).astype(np.float32)
    weights = Weights(
        "w", kernel, lambda values: np.pad(values.transpose(0, 2, 3, 1), ((0, 0), (0, 1), (0, 0), (0, 0))), 0
    )
    scales = np.array([0.5, 0.25])
    steps = scales.reshape(2, 1, 1, 1)
    assert np.allclose(rounding_of(weights, scales), np.round(kernel / steps) * steps - kernel, atol=1e-6)


def test_the_mean_error_of_each_channel() -> None:
    made = zoo.model(
        [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Conv", ["a", "w"], ["y"])],
        [zoo.tensor("x", (1, 2, 3, 3))],
        [zoo.tensor("y", None)],
        [zoo.weights("w", 4, 2, 1, 1)],
    )
    before = made.SerializeToString()
    difference = np.zeros((4, 2, 1, 1), np.float32)
    difference[1, 0] = 0.5
    layer = Difference("Conv", "a", {}, difference, 1)
    found = mean_errors(made, {"bias": layer}, [[np.full((1, 2, 3, 3), value, np.float32)] for value in (-1, 2, 4)])
    assert found["bias"].tolist() == [0, 1, 0, 0]
    assert made.SerializeToString() == before


def test_bias_correction_takes_the_mean_error_away(trial: Any) -> None:
    """Weights rounded all in one direction: without it every output is too low."""
    kernel = np.full((4, 32, 1, 1), 0.4, np.float32)
    kernel[:, 0] = 127  # a step is 1: 0.4 becomes 0
    made = zoo.model(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        [zoo.tensor("x", (1, 32, 6, 6))],
        [zoo.tensor("y", None)],
        [numpy_helper.from_array(kernel, "w")],
    )
    image = np.random.default_rng(0).random((1, 32, 6, 6), dtype=np.float32)
    image[:, 0] = 0.02
    plain, corrected = (trial(made, image, options=Int8Options(bias_correction=how)) for how in (False, True))
    assert plain.comparison.max_abs_error > 6
    assert corrected.comparison.max_abs_error < 2.5


@pytest.mark.parametrize("operator", ["Conv", "ConvTranspose", "depthwise", "MatMul", "Gemm", "BatchNormalization"])
def test_bias_correction_of_each_layer(trial: Any, operator: str) -> None:
    generator = np.random.default_rng(3)
    kernels = {"Conv": (3, 4, 3, 3), "ConvTranspose": (4, 3, 3, 3), "depthwise": (4, 1, 3, 3), "MatMul": (4, 6)}
    shape = (1, 4) if operator in ("MatMul", "Gemm") else (1, 4, 6, 6)
    if operator == "BatchNormalization":
        given = [np.abs(generator.standard_normal(4)).astype(np.float32) + 0.1 for _ in range(4)]
    else:
        given = [generator.standard_normal(kernels.get(operator, (4, 6))).astype(np.float32)]
    names = [f"c{index}" for index in range(len(given))]
    node = helper.make_node(
        {"depthwise": "Conv"}.get(operator, operator),
        ["x", *names],
        ["y"],
        **({"group": 4} if operator == "depthwise" else {}),
    )
    made = zoo.model(
        [node],
        [zoo.tensor("x", shape)],
        [zoo.tensor("y", None)],
        [numpy_helper.from_array(value, name) for name, value in zip(names, given, strict=True)],
    )
    plain, corrected = (trial(made, cases=3, options=Int8Options(bias_correction=how)) for how in (False, True))
    assert corrected.sqnr_db > 30
    assert corrected.sqnr_db > plain.sqnr_db - 1.5
