import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from host.choosing.pareto import front

COSTS = st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=12)


def test_equal_ones_are_both_on_the_front() -> None:
    assert front([(1, 2), (1, 2), (2, 2), (0, 3)]) == [0, 1, 3]
    assert front([]) == []


@settings(deadline=None, max_examples=60)
@given(COSTS)
def test_it_is_what_brute_force_finds(costs: list[tuple[int, ...]]) -> None:
    beaten = {
        place
        for (place, own), other in itertools.product(enumerate(costs), costs)
        if other != own and all(theirs <= mine for theirs, mine in zip(other, own, strict=True))
    }
    assert front(costs) == [place for place in range(len(costs)) if place not in beaten]
