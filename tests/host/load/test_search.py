import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from host.load.search import (
    CLOSE_ENOUGH,
    MOST_TIMES_EXPECTED,
    START_SHARE,
    TRIES,
    WIDEST,
    next_rate,
    search,
    seconds_expected,
)
from host.load.step import Step

STARTS = st.floats(0.01, 1000.0)


@given(STARTS, st.floats(1.01 / WIDEST, WIDEST / 1.5))
def test_a_limit_is_found_from_below_within_two_percent(start: float, share: float) -> None:
    limit = start * share
    tried: list[float] = []

    def holds(rate: float) -> bool:
        tried.append(rate)
        return rate <= limit

    found = search(start, holds)
    assert found is not None
    assert found <= limit < found * CLOSE_ENOUGH * (1 + 1e-9)
    assert len(tried) < 40
    above = {rate for rate in tried if rate > limit}
    assert len(tried) == len(set(tried) - above) + TRIES * len(above)


@given(STARTS)
def test_a_limit_far_below_is_not_looked_for_for_ever(start: float) -> None:
    tried: list[float] = []
    assert search(start, lambda rate: bool(tried.append(rate))) is None
    assert min(tried) >= start / WIDEST
    assert len(tried) == TRIES * len(set(tried))


@given(STARTS, st.floats(1.0, 2000.0))
def test_no_limit_ends_at_the_most(start: float, most: float) -> None:
    tried: list[float] = []
    found = search(start, lambda rate: not tried.append(rate), most=most)
    assert found == max(tried)
    assert found <= min(most, start * WIDEST * (1 + 1e-9))
    assert found == most or found * math.sqrt(2) > start * WIDEST


@given(STARTS, st.floats(0.1, 10.0))
def test_it_ends_when_its_time_is_over(start: float, share: float) -> None:
    tried: list[float] = []

    def holds(rate: float) -> bool:
        tried.append(rate)
        return rate <= start * share

    found = search(start, holds, lambda _: len(tried) < 3)
    assert len(tried) < 3 + TRIES
    kept = [rate for rate in tried if rate <= start * share]
    assert found == max(kept, default=None)


def test_a_single_hiccup_is_no_limit() -> None:
    tried: list[float] = []

    def holds(rate: float) -> bool:
        tried.append(rate)
        return len(tried) % 2 == 0 and rate <= 100.0  # every other try is disturbed

    found = search(20.0, holds)
    assert found is not None
    assert found <= 100.0 < found * CLOSE_ENOUGH


@given(STARTS, st.floats(CLOSE_ENOUGH + 0.001, 100.0))
def test_between_is_the_geometric_mean(low: float, ratio: float) -> None:
    rate = next_rate(1.0, low, low * ratio)
    assert rate is not None
    assert low < rate < low * ratio
    assert math.isclose(rate / low, low * ratio / rate)


@given(STARTS, st.integers(459, 10_000))
def test_the_time_expected_is_of_all_the_steps(start: float, requests: int) -> None:
    seconds = seconds_expected(start, requests)
    assert seconds > requests / start
    assert seconds * MOST_TIMES_EXPECTED > TRIES * requests / start  # the first is always tried
    assert np.isclose(seconds_expected(start * 2, requests), seconds / 2)


def simulated(per_s: float, service_s: float, places: int, deadline_s: float, requests: int = 459) -> Step:
    """A board that serves one request after the other, each in a fixed time, and refuses what finds its queue full."""
    done_s: list[float] = []
    answered, latency_s = [], []
    for number in range(requests):
        due = number / per_s
        waiting = sum(end > due for end in done_s)
        answered.append(waiting < places)
        if waiting < places:
            done_s = [*done_s[-places:], max(due, done_s[-1] if done_s else 0.0) + service_s]
        latency_s.append(done_s[-1] - due if answered[-1] else 0.0)
    return Step(
        per_s,
        round(deadline_s * 1e9),
        requests,
        np.array(answered),
        np.round(np.array(latency_s) * 1e9).astype(np.int64),
        np.zeros(requests, np.int64),
        0.0,
    )


def test_a_queue_with_a_fixed_time_of_service_takes_as_many_as_it_can_serve() -> None:
    """D/D/1: without a wait up to its capacity, full soon above it."""
    capacity = 1 / 0.02
    for places, deadline_s in ((8, 0.5), (1, 0.5), (8, 0.021)):
        found = search(
            START_SHARE * capacity * 0.8,
            lambda per_s, places=places, deadline_s=deadline_s: simulated(per_s, 0.02, places, deadline_s).within,
        )
        assert found is not None
        assert capacity / CLOSE_ENOUGH < found < capacity * 1.03


def test_a_deadline_below_the_time_of_service_is_kept_at_no_rate() -> None:
    assert search(25.0, lambda per_s: simulated(per_s, 0.02, 8, 0.019).within) is None
