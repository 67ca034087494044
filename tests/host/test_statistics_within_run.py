import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.statistics import INTERVAL_RUNS, STEADY_RUNS, steady_state, summarise, within_run

MS = 1_000_000
Samples = npt.NDArray[np.int64]


def noise(runs: int = 999, level_ms: float = 5.0, seed: int = 0, spread: float = 0.02) -> Samples:
    return np.random.default_rng(seed).lognormal(math.log(level_ms * MS), spread, runs).astype(np.int64)


def in_modes(sojourn: int, runs: int = 999) -> Samples:
    """15 % apart, so many runs in each in turn."""
    return (noise(runs) * np.where(np.arange(runs) // sojourn % 2, 1.15, 1)).astype(np.int64)


# The warm-up


def test_steady_from_the_start() -> None:
    assert [steady_state(noise(seed=seed)) for seed in range(20)] == [0] * 20


@pytest.mark.parametrize("warm_up_runs", [5, 33, 107, 298, 400])
@pytest.mark.parametrize("factor", [0.9, 1.1, 3])
def test_a_start_on_another_level_is_found(warm_up_runs: int, factor: float) -> None:
    values = noise(seed=1)
    values[:warm_up_runs] = (values[:warm_up_runs] * factor).astype(np.int64)
    start = steady_state(values)
    assert start is not None
    assert abs(start - warm_up_runs) <= 20


@pytest.mark.parametrize(("runs", "factor"), [(10, 5), (30, 3), (60, 1.5)])
def test_a_warm_up_in_two_steps_is_found_to_its_end(runs: int, factor: float) -> None:
    values = noise()
    values[:runs] = (values[:runs] * factor).astype(np.int64)
    values[runs:210] = (values[runs:210] * 1.1).astype(np.int64)
    start = steady_state(values)
    assert start is not None
    assert abs(start - 210) <= 20


def test_a_decaying_start_is_found_where_little_of_it_is_left() -> None:
    start = steady_state((noise() * (1 + 0.5 * np.exp(-np.arange(999) / 20))).astype(np.int64))
    assert start is not None
    assert 40 <= start <= 85  # 7 % is left after 40 runs, 0.7 % after 85


def test_interrupted_runs_are_not_a_phase() -> None:
    values = noise()
    values[[30, 217, 500, 990]] *= 20
    found = within_run(values)
    assert (found.steady_from, found.unstable) == (0, False)


def test_slowed_down_late_is_not_steady() -> None:
    values = noise()
    values[700:] = (values[700:] * 1.3).astype(np.int64)
    assert steady_state(values) is None


# Stability


@pytest.mark.parametrize("sojourn", [100, 250])
def test_modes_that_last_are_unstable(sojourn: int) -> None:
    found = within_run(in_modes(sojourn))
    assert (found.steady_from, found.steady_ms, found.interval_ms, found.unstable) == (None, None, None, True)


@pytest.mark.parametrize("sojourn", [1, 3, 10])
def test_modes_that_alternate_are_stable(sojourn: int) -> None:
    found = within_run(in_modes(sojourn))
    assert (found.steady_from, found.unstable) == (0, False)
    assert found.interval_ms is not None


@pytest.mark.parametrize("rise", [0.9, 1.1, 1.2])
def test_a_drift_is_unstable(rise: float) -> None:
    found = within_run((noise() * np.linspace(1, rise, 999)).astype(np.int64))
    assert (found.steady_from, found.interval_ms, found.unstable) == (None, None, True)


def test_what_shifts_latency_by_less_than_a_hundredth_is_let_pass() -> None:
    quiet = noise(spread=0.0001)
    late = quiet + np.where(np.arange(999) > 700, 20_000, 0)  # ns, of 5 ms
    found = within_run(late)
    assert found.unstable is False
    assert found.interval_ms is not None
    assert within_run(quiet + np.where(np.arange(999) > 700, 200_000, 0)).unstable


# The interval


def test_the_interval_is_students_t_of_ten_batch_means() -> None:
    values = noise(1000)
    means = values.reshape(10, 100).mean(axis=1) / MS
    half = 2.2621571628 * np.std(means, ddof=1) / math.sqrt(10)  # t of 9 degrees of freedom at 97.5 %
    found = within_run(values)
    assert found.interval_ms == pytest.approx((np.mean(means) - half, np.mean(means) + half))
    assert found.steady_ms == pytest.approx(np.mean(means))


def test_a_warm_up_neither_widens_the_interval_nor_leaves_it() -> None:
    values = noise()
    calm = within_run(values)
    values[:100] = (values[:100] * 1.2).astype(np.int64)
    found, mean_ms = within_run(values), summarise(values).mean
    assert calm.interval_ms is not None
    assert found.interval_ms is not None
    assert sum(found.interval_ms) / 2 == pytest.approx(mean_ms)
    assert found.interval_ms[1] - found.interval_ms[0] < 2 * (calm.interval_ms[1] - calm.interval_ms[0])
    assert found.steady_ms == pytest.approx(values[found.steady_from :].mean() / MS)


def test_correlated_runs_have_a_wider_interval_than_as_many_independent_ones() -> None:
    def width(values: Samples) -> float:
        interval = within_run(values).interval_ms
        assert interval is not None
        return interval[1] - interval[0]

    by_fives = np.repeat(noise(200, spread=0.05), 5)
    assert width(by_fives) > 1.3 * width(np.random.default_rng(1).permutation(by_fives))


def test_all_runs_alike_have_an_interval_of_no_width() -> None:
    found = within_run(np.full(1000, 5 * MS, np.int64))
    assert (found.steady_from, found.steady_ms, found.interval_ms, found.unstable) == (0, 5, (5, 5), False)


def test_too_few_runs_to_tell() -> None:
    few, some = within_run(noise(STEADY_RUNS - 1)), within_run(noise(STEADY_RUNS))
    assert (few.steady_from, few.steady_ms, few.interval_ms, few.unstable) == (None, None, None, None)
    assert (some.steady_from, some.interval_ms, some.unstable) == (0, None, False)
    assert within_run(noise(INTERVAL_RUNS)).interval_ms is not None


@settings(deadline=None, max_examples=50)  # the machine may be busy
@given(st.integers(1, 700), st.integers(0, 2**32), st.sampled_from([1, 1000, MS, 10**12]), st.floats(0, 3))
def test_whatever_the_samples_it_says_what_holds_together(runs: int, seed: int, scale: int, skew: float) -> None:
    values = (np.random.default_rng(seed).lognormal(0, skew, runs) * scale).astype(np.int64)
    before = values.copy()
    found = within_run(values)
    assert np.array_equal(values, before)
    assert (found.unstable is None) == (runs < STEADY_RUNS)
    assert (found.steady_from is None) == (found.unstable is not False) == (found.steady_ms is None)
    if found.steady_from is not None:
        assert 0 <= found.steady_from <= runs / 2
        assert (found.interval_ms is not None) == (runs - found.steady_from >= INTERVAL_RUNS)
    if found.interval_ms is not None:
        assert found.interval_ms[0] <= values.mean() / MS <= found.interval_ms[1]


@settings(deadline=None, max_examples=25)  # the machine may be busy
@given(st.integers(0, 2**32), st.integers(2, 1000))
def test_the_unit_does_not_matter(seed: int, factor: int) -> None:
    values = noise(600, seed=seed)
    one, other = within_run(values), within_run(values * factor)
    assert (one.steady_from, one.unstable) == (other.steady_from, other.unstable)
    if one.interval_ms is not None:
        assert other.interval_ms == pytest.approx([end * factor for end in one.interval_ms])
