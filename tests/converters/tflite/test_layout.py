import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.tflite.layout import places, reshaped, same_elements, stored


@st.composite
def shapes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Two shapes of as many elements, and an order of the first."""
    primes = draw(st.lists(st.sampled_from([2, 2, 3, 5]), max_size=4))

    def shape() -> tuple[int, ...]:
        """The factors, in this order, dealt out to axes."""
        axes = draw(st.integers(1, 4))
        ends = sorted(draw(st.lists(st.integers(0, len(primes)), min_size=axes - 1, max_size=axes - 1)))
        parts = zip([0, *ends], [*ends, len(primes)], strict=True)
        return tuple(int(np.prod(primes[start:end], dtype=int)) for start, end in parts)

    before, after = shape(), shape()
    return before, after, tuple(draw(st.permutations(range(len(before)))))


@settings(deadline=None, database=None, max_examples=300)
@given(shapes())
def test_a_reshape_is_either_an_order_of_the_new_axes_or_none_is_told(
    drawn: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]],
) -> None:
    before, after, order = drawn
    elements = np.arange(int(np.prod(before)))
    memory = elements.reshape(before).transpose(order).ravel()
    found = reshaped(before, after, order)
    if found is not None:
        assert sorted(found) == list(range(len(after)))
        assert np.array_equal(elements.reshape(after).transpose(found).ravel(), memory)
    elif len(after) <= 3:
        orders = itertools.permutations(range(len(after)))
        assert not any(np.array_equal(elements.reshape(after).transpose(one).ravel(), memory) for one in orders)


@given(st.permutations(range(4)), st.permutations(range(4)))
def test_axes_of_one_element_lie_anywhere(one: list[int], other: list[int]) -> None:
    shape = (1, 3, 1, 2)
    same = np.array_equal(places(shape, tuple(one)), places(shape, tuple(other)))
    assert same_elements(shape, tuple(one), tuple(other)) == same
    assert sorted(stored(shape, tuple(one))) == sorted(shape)
