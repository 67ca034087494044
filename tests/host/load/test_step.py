from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.load.step import BUSY_SHARE, Step, misses_allowed
from host.statistics import summarise

MS = 1_000_000


def step(
    latency_ms: list[float], deadline_ms: float = 50, *, answered: list[bool] | None = None, **changes: Any
) -> Step:
    count = len(latency_ms)
    fields: dict[str, Any] = {
        "per_s": 20.0,
        "deadline_ns": round(deadline_ms * MS),
        "requests": count,
        "answered": np.ones(count, bool) if answered is None else np.array(answered),
        "latency_ns": np.round(np.array(latency_ms) * MS).astype(np.int64),
        "host_ns": np.zeros(count, np.int64),
        "host_cpu_share": 0.0,
        **changes,
    }
    return Step(**fields)


LATENCIES = st.integers(459, 700).flatmap(
    lambda count: st.tuples(st.integers(0, 2**32 - 1), st.just(count), st.integers(0, 20))
)


@given(LATENCIES, st.integers(1, 100))
def test_within_is_p99_within(drawn: tuple[int, int, int], deadline_ms: int) -> None:
    seed, count, late = drawn
    latency_ms = np.random.default_rng(seed).permutation([10.0] * (count - late) + [90.0] * late)
    taken = step(list(latency_ms), deadline_ms)
    p99_ms = summarise(taken.latency_ns).p99
    assert p99_ms is not None
    assert taken.p99_ms() == p99_ms
    assert taken.within == (p99_ms <= deadline_ms)


@given(st.integers(1, 10**6))
def test_at_most_one_in_a_hundred_may_miss(requests: int) -> None:
    assert misses_allowed(requests) == requests // 100


def test_a_request_without_an_answer_is_later_than_any_other() -> None:
    refused = step([1.0] * 459, answered=[False] * 5 + [True] * 454)
    assert (refused.missed, refused.refused, refused.within) == (5, 5, False)
    assert refused.p99_ms() is None
    assert len(refused.samples_ns()) == 454
    assert step([1.0] * 459, answered=[False] * 4 + [True] * 455).within


def test_misses_are_those_later_than_the_deadline_and_those_refused() -> None:
    taken = step([49.9, 50.0, 50.1, 1.0, 99.0], answered=[True, True, True, False, False])
    assert taken.missed == 3
    load = taken.load()
    assert (load.offered_per_s, load.deadline_ms, load.missed, load.missed_share) == (20.0, 50.0, 3, 0.6)
    assert load.highest_parts_per_minute is None
    assert taken.load(20.0).highest_parts_per_minute == 1200.0


def test_what_was_broken_off_has_kept_nothing() -> None:
    broken = step([1.0] * 500, requests=999)
    assert (broken.sent, broken.missed, broken.within) == (500, 0, False)


def test_too_few_for_p99() -> None:
    assert step([1.0] * 458).p99_ms() is None
    assert step([1.0] * 459).p99_ms() == 1.0


class TestTheHost:
    """Its own lateness, of which the board is not guilty."""

    def test_in_time(self) -> None:
        taken = step([10.0] * 500)
        assert not taken.host_was_late
        assert not taken.fails_by_the_host

    def test_late_by_more_than_a_tenth_of_the_deadline(self) -> None:
        few = step([10.0] * 500, host_ns=np.array([6 * MS] * 5 + [0] * 495))
        many = step([10.0] * 500, host_ns=np.array([6 * MS] * 6 + [4 * MS] * 494))
        assert (few.host_was_late, many.host_was_late) == (False, True)
        assert many.within
        assert not many.fails_by_the_host

    @pytest.mark.parametrize(("own_ms", "guilty"), [(20, True), (5, False)])
    def test_a_deadline_that_would_have_been_kept_but_for_it(self, own_ms: int, guilty: bool) -> None:
        taken = step([60.0] * 500, host_ns=np.full(500, own_ms * MS))
        assert not taken.within
        assert taken.fails_by_the_host == guilty

    def test_a_refusal_is_the_boards(self) -> None:
        taken = step([1.0] * 500, answered=[False] * 500, host_ns=np.full(500, MS), host_cpu_share=1.0)
        assert not taken.fails_by_the_host

    @pytest.mark.parametrize(("share", "busy"), [(BUSY_SHARE, False), (BUSY_SHARE + 0.01, True)])
    def test_busy_it_has_missed_the_deadline_though_it_sent_in_time(self, share: float, busy: bool) -> None:
        failed, kept = (step([latency_ms] * 500, host_cpu_share=share) for latency_ms in (60.0, 10.0))
        assert (failed.host_was_late, failed.fails_by_the_host) == (busy, busy)
        assert (kept.host_was_late, kept.fails_by_the_host) == (busy, False)

    def test_busy_it_is_not_guilty_of_what_the_board_refuses(self) -> None:
        refused, slow = [False] * 5 + [True] * 454, [False] * 4 + [True] * 455
        assert not step([60.0] * 459, answered=refused, host_cpu_share=1.0).fails_by_the_host
        assert step([60.0] * 459, answered=slow, host_cpu_share=1.0).fails_by_the_host
