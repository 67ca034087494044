import math
import statistics
import subprocess
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from host.statistics import (
    Estimate,
    runs_needed,
    speed_up,
    speed_up_unpaired,
    summarise,
    t_quantile,
    trial_interval,
    within_run,
)

MS = 1_000_000
Samples = npt.NDArray[np.int64]


def samples(*values_ms: float) -> Samples:
    return np.array([round(value * MS) for value in values_ms], np.int64)


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
    latency = summarise(np.arange(1, runs + 1))
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
        within_run(bad)


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


def test_speed_up_by_hand() -> None:
    found = speed_up([(2.0, 1.0), (4.0, 1.0), (8.0, 1.0)])
    half = 4.302652729911275 / math.sqrt(3)  # of the logarithms to base 2, which are 1, 2, 3
    assert (found.ratio, found.count) == (pytest.approx(4), 3)
    assert (found.low, found.high) == pytest.approx((2 ** (2 - half), 2 ** (2 + half)))
    assert not found.distinguishable


def test_what_slows_down_both_of_a_pair_falls_out() -> None:
    pairs = [(2.0 * slow, 1.01 * slow * noise) for slow, noise in ((1, 1.001), (3, 0.999), (2, 1.0))]
    assert speed_up(pairs).distinguishable
    assert not speed_up_unpaired(*zip(*pairs, strict=True)).distinguishable


figures = st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=8)


@settings(deadline=None)  # the machine may be busy
@given(figures, figures)
def test_unpaired_speed_up_agrees_with_scipys_welch(before: list[float], after: list[float]) -> None:
    found = speed_up_unpaired(before, after)
    logs = [np.log(side) for side in (before, after)]
    assert found.ratio == pytest.approx(np.exp(np.mean(logs[0]) - np.mean(logs[1])))
    assert found.count == min(len(before), len(after))
    assert found.low is not None
    assert found.high is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of sides that are nearly all alike
        theirs = scipy.stats.ttest_ind(*logs, equal_var=False).confidence_interval(0.95)
    if math.isnan(theirs.low):  # of sides that are all alike
        theirs = SimpleNamespace(low=math.log(found.ratio), high=math.log(found.ratio))
    assert (math.log(found.low), math.log(found.high)) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.tuples(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3)), min_size=2, max_size=8))
def test_a_speed_up_turned_round_is_its_inverse(pairs: list[tuple[float, float]]) -> None:
    def ends(found: Estimate) -> tuple[float, ...]:
        assert found.low is not None
        assert found.high is not None
        return tuple(map(math.log, (found.low, found.ratio, found.high)))

    turned = [(after, before) for before, after in pairs]
    for one, other in (
        (speed_up(pairs), speed_up(turned)),
        (speed_up_unpaired(*zip(*pairs, strict=True)), speed_up_unpaired(*zip(*turned, strict=True))),
    ):
        assert ends(one) == pytest.approx([-end for end in reversed(ends(other))], abs=1e-9)
        assert one.distinguishable == other.distinguishable


@pytest.mark.parametrize(
    "found", [speed_up([(3.0, 2.0)]), speed_up_unpaired([3.0], [2.0, 2.0]), speed_up_unpaired([3.0, 3.0], [2.0])]
)
def test_one_trial_of_a_side_gives_a_ratio_and_no_interval(found: Estimate) -> None:
    assert (found.ratio, found.low, found.high, found.count) == (pytest.approx(1.5), None, None, 1)
    assert not found.distinguishable


def test_trials_that_are_all_alike_differ_for_certain() -> None:
    assert speed_up_unpaired([3.0, 3.0], [2.0, 2.0]).distinguishable
    assert not speed_up_unpaired([3.0, 3.0], [3.0, 3.0]).distinguishable


@pytest.mark.parametrize("odd", [0.0, -1.0, math.nan, math.inf])
def test_a_ratio_of_what_is_not_above_0_is_a_bug(odd: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        speed_up([(1.0, odd)])
    with pytest.raises(ValueError, match="above 0"):
        speed_up_unpaired([odd], [1.0])


def test_no_trials_of_a_side_are_a_bug() -> None:
    with pytest.raises(ValueError, match="no trials"):
        speed_up([])
    with pytest.raises(ValueError, match="no trials"):
        speed_up_unpaired([1.0], [])


def test_scipy_is_imported_only_for_an_interval() -> None:
    code = "import sys, host.statistics; sys.exit(any(name.startswith('scipy') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@settings(deadline=None)
@given(st.floats(1, 1e5), st.floats(0.01, 0.999))
def test_the_quantile_of_student_s_t_is_scipy_s(degrees: float, confidence: float) -> None:
    assert t_quantile(degrees, confidence) == pytest.approx(scipy.stats.t.ppf((1 + confidence) / 2, degrees), rel=1e-7)


@pytest.mark.parametrize(("degrees", "confidence"), [(0.9, 0.95), (math.nan, 0.95), (9, 0), (9, 1), (9, 0.9999)])
def test_a_quantile_that_is_not_known_is_none(degrees: float, confidence: float) -> None:
    with pytest.raises(ValueError, match="no quantile of Student's t"):
        t_quantile(degrees, confidence)
