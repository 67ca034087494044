import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.choosing.knee import knee


def test_the_example_of_the_paper() -> None:
    """Figure 2 of Satopaa et al. as the library `kneed` has it: the knee of 5 - 1 / (x + 0.1) is at 0.22."""
    x = np.linspace(0, 1, 10)
    y = -1 / (x + 0.1) + 5
    assert x[knee(x.tolist(), y.tolist()) or 0] == pytest.approx(2 / 9)


def test_a_curve_with_a_corner_has_its_knee_there() -> None:
    assert knee([1, 2, 3, 4, 5], [0.5, 0.7, 0.9, 0.91, 0.92]) == 2
    assert knee([5, 4, 3, 2, 1], [0.92, 0.91, 0.9, 0.7, 0.5]) == 2


def test_an_auc_that_is_highest_by_chance_does_not_cut_the_curve_off_there() -> None:
    costs, aucs = [24.0, 10.7, 6.8, 5.2, 4.8, 4.6], [0.925, 0.926, 0.924, 0.927, 0.89, 0.78]
    assert knee(costs, aucs) == 3


@pytest.mark.parametrize(
    ("costs", "gains"),
    [
        ([], []),
        ([1], [1]),
        ([1, 2], [1, 2]),
        ([1, 2, 3], [1, 2, 3]),  # a straight line
        ([1, 2, 3], [1, 1.1, 3]),  # bent the other way
        ([1, 1, 1], [1, 2, 3]),
        ([1, 2, 3], [3, 2, 1]),  # the cheapest is the best
        ([2, 2, 2], [2, 2, 2]),
    ],
)
def test_no_knee(costs: list[float], gains: list[float]) -> None:
    assert knee(costs, gains) is None


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=3, max_size=12),
    st.sampled_from([0.25, 1, 8]),
    st.integers(-5, 5),
)
def test_units_do_not_matter_and_the_knee_is_beaten_by_none(
    points: list[tuple[int, int]], scale: float, shift: int
) -> None:
    costs, gains = [float(cost) for cost, _ in points], [float(gain) for _, gain in points]
    place = knee(costs, gains)
    assert knee([scale * cost + shift for cost in costs], [gain / scale - shift for gain in gains]) == place
    if place is not None:
        assert not any(
            cost <= costs[place] and gain >= gains[place] and (cost, gain) != (costs[place], gains[place])
            for cost, gain in points
        )
