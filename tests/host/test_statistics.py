import math
import statistics
import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from host.statistics import runs_needed, steady_state, summarise, trial_interval

MS = 1_000_000
Samples = npt.NDArray[np.int64]


def samples(*values_ms: float) -> Samples:
    return np.array([round(value * MS) for value in values_ms], np.int64)


def noise(runs: int, level_ms: float = 5.0, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).lognormal(math.log(level_ms * MS), 0.02, runs).astype(np.int64)


counted = st.lists(st.integers(1, 10**12), min_size=1, max_size=600).map(lambda values: np.array(values, np.int64))


@pytest.mark.parametrize(("percentile", "runs"), [(90, 44), (95, 90), (99, 459), (99.9, 4603)])
def test_runs_needed_at_99_percent(percentile: float, runs: int) -> None:
    assert runs_needed(percentile) == runs


@settings(deadline=None)  # the machine may be busy
@given(st.floats(50, 99.99), st.sampled_from([0.9, 0.95, 0.99]))
def test_runs_needed_is_the_smallest_number_that_will_do(percentile: float, confidence: float) -> None:
    runs, p = runs_needed(percentile, confidence), percentile / 100
    assert 1 - p**runs >= confidence - 1e-12
    assert 1 - p ** (runs - 1) < confidence + 1e-12


def test_summarise_by_hand() -> None:
    latency = summarise(samples(*range(100, 0, -1)))
    assert (latency.mean, latency.median, latency.min, latency.max) == (50.5, 50.5, 1, 100)
    assert (latency.p90, latency.p95, latency.p99) == (90, 95, None)
    assert latency.std == pytest.approx(math.sqrt(100 * 101 / 12))  # of 1..n: sqrt(n (n + 1) / 12)


def test_summarise_odd_count_and_rank_rounded_up() -> None:
    latency = summarise(samples(*range(1, 46)))
    assert (latency.median, latency.p90) == (23, 41)  # 0.9 * 45 = 40.5 -> rank 41


def test_one_run_has_no_spread() -> None:
    latency = summarise(samples(4.5))
    assert (latency.mean, latency.median, latency.min, latency.max, latency.std) == (4.5, 4.5, 4.5, 4.5, None)


@pytest.mark.parametrize(
    ("runs", "supported"),
    [
        (43, []),
        (44, ["p90"]),
        (89, ["p90"]),
        (90, ["p90", "p95"]),
        (458, ["p90", "p95"]),
        (459, ["p90", "p95", "p99"]),
    ],
)
def test_no_percentile_that_the_sample_cannot_support(runs: int, supported: list[str]) -> None:
    latency = summarise(noise(runs))
    assert [name for name in ("p90", "p95", "p99") if getattr(latency, name) is not None] == supported


@settings(deadline=None)  # the machine may be busy
@given(counted)
def test_summarise_agrees_with_the_definitions(values: Samples) -> None:
    latency = summarise(values)
    assert latency.mean == pytest.approx(sum(values.tolist()) / len(values) / MS)
    assert latency.median == pytest.approx(float(np.percentile(values, 50)) / MS)
    assert (latency.min, latency.max) == (min(values.tolist()) / MS, max(values.tolist()) / MS)
    if len(values) > 1:
        assert latency.std == pytest.approx(statistics.stdev(values.tolist()) / MS)
    for percentile, value in ((90, latency.p90), (95, latency.p95), (99, latency.p99)):
        if value is not None:  # the least sample that at least p % of all do not exceed
            not_above = [v for v in values.tolist() if np.count_nonzero(values <= v) * 100 >= percentile * len(values)]
            assert value == min(not_above) / MS


@settings(deadline=None)  # the machine may be busy
@given(counted)
def test_summarise_neither_minds_the_order_nor_changes_it(values: Samples) -> None:
    before = values.copy()
    assert summarise(values) == summarise(np.sort(values)[::-1])
    assert np.array_equal(values, before)


@pytest.mark.parametrize(
    "bad", [np.empty(0, np.int64), np.ones((2, 2), np.int64), np.ones(3, np.float64), np.ones(3, np.int32)]
)
def test_samples_of_the_wrong_kind_are_a_bug(bad: npt.NDArray[np.int64]) -> None:
    with pytest.raises(ValueError, match="int64 of shape"):
        summarise(bad)
    with pytest.raises(ValueError, match="int64 of shape"):
        steady_state(bad)


def test_steady_from_the_start() -> None:
    assert [steady_state(noise(999, seed=seed)) for seed in range(20)] == [0] * 20


def test_all_runs_alike_are_steady() -> None:
    assert steady_state(np.full(1000, 5_123_457, np.int64)) == 0


@pytest.mark.parametrize("warm_up_runs", [5, 100, 400])
def test_a_slower_start_is_found(warm_up_runs: int) -> None:
    values = noise(999)
    values[:warm_up_runs] *= 2
    start = steady_state(values)
    assert start is not None
    assert warm_up_runs <= start <= warm_up_runs + 25


def test_a_decaying_start_is_found_where_little_of_it_is_left() -> None:
    start = steady_state((noise(999) * (1 + 0.5 * np.exp(-np.arange(999) / 40))).astype(np.int64))
    assert start is not None
    assert 80 <= start <= 250


def test_interrupted_runs_are_not_a_phase() -> None:
    values = noise(999)
    values[[30, 217, 500, 990]] *= 20
    assert steady_state(values) == 0


def test_slowed_down_late_is_not_steady() -> None:
    values = noise(999)
    values[700:] = (values[700:] * 1.3).astype(np.int64)
    assert steady_state(values) is None


def test_a_drift_is_not_steady() -> None:
    assert steady_state((noise(999) * np.linspace(1, 1.2, 999)).astype(np.int64)) is None


def test_too_few_runs_to_tell() -> None:
    assert steady_state(noise(99)) is None
    assert steady_state(np.full(100, 5, np.int64)) == 0


def test_trial_interval_by_hand() -> None:
    trials = trial_interval([1.0, 2.0, 3.0])
    assert (trials.count, trials.mean, trials.std) == (3, 2.0, 1.0)
    half = 4.302652729911275 / math.sqrt(3)  # t of 2 degrees of freedom at 97.5 %
    assert trials.interval == pytest.approx((2 - half, 2 + half))


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.floats(0.01, 1e4), min_size=2, max_size=20), st.sampled_from([0.9, 0.95, 0.99]))
def test_trial_interval_agrees_with_scipy(means: list[float], confidence: float) -> None:
    trials = trial_interval(means, confidence)
    error = float(np.std(means, ddof=1)) / math.sqrt(len(means))
    assert trials.interval is not None
    if error:
        expected = scipy.stats.t.interval(confidence, len(means) - 1, np.mean(means), error)
        assert trials.interval == pytest.approx(expected)
    else:
        assert trials.interval == (trials.mean, trials.mean)


def test_one_trial_says_nothing_of_others() -> None:
    trials = trial_interval([12.5])
    assert (trials.count, trials.mean, trials.std, trials.interval) == (1, 12.5, None, None)


def test_no_trials_are_a_bug() -> None:
    with pytest.raises(ValueError, match="no trials"):
        trial_interval([])


def test_scipy_is_imported_only_for_an_interval() -> None:
    code = "import sys, host.statistics; sys.exit(any(name.startswith('scipy') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
