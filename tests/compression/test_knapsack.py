from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compression.knapsack import Knapsack, along_hull, front_of


@given(st.integers(0, 500))
@settings(max_examples=30, deadline=None)
def test_steps_along_the_hull_are_optimal_for_what_they_cost(seed: int) -> None:
    """At the budget of a hull's corner nothing does better: the theorem behind the allocation."""
    rng = np.random.default_rng(seed)
    items = [
        along_hull(np.sort(rng.choice(1000, 12, replace=False)) + 1, np.sort(rng.random(12))[::-1]) for _ in range(3)
    ]
    steps = sorted((key, index) for index, item in enumerate(items) for key in item.keys)
    places = [0, 0, 0]
    for _, index in steps[: rng.integers(len(steps))]:
        places[index] += 1
    corner = [int(item.way[place]) for item, place in zip(items, places, strict=True)]
    budget = sum(int(item.costs[option]) for item, option in zip(items, corner, strict=True))
    best = min(
        sum(float(item.losses[option]) for item, option in zip(items, each, strict=True))
        for each in product(range(12), repeat=3)
        if sum(int(item.costs[option]) for item, option in zip(items, each, strict=True)) <= budget
    )
    found = Knapsack(items).fill(budget, whole=3000)
    assert sum(float(item.losses[option]) for item, option in zip(items, found, strict=True)) == pytest.approx(best)


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50)), min_size=1, max_size=30))
def test_the_front_has_what_nothing_beats(points: list[tuple[int, int]]) -> None:
    costs, losses = (np.array(column) for column in zip(*points, strict=True))
    front = front_of(costs, losses.astype(float))
    assert (np.diff(costs[front]) > 0).all()
    assert (np.diff(losses[front]) < 0).all()
    for cost, points_loss in points:
        assert any(costs[place] <= cost and losses[place] <= points_loss for place in front)
