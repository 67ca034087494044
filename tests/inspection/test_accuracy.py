from statistics import NormalDist

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from inspection.accuracy import (
    Decisions,
    auc,
    auc_by_kind,
    auc_estimate,
    decisions,
    roc_curve,
    threshold_from_good,
)
from inspection.errors import InputMismatchError, NonFiniteError, TooFewImagesError
from inspection.score import decide


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40))
def test_auc_counts_the_pairs_in_the_right_order_and_ties_half(images: list[tuple[int, bool]]) -> None:
    good = [value for value, defective in images if not defective]
    bad = [value for value, defective in images if defective]
    scores, labels = zip(*images, strict=True)
    if not good or not bad:
        with pytest.raises(TooFewImagesError, match="undefined"):
            auc(scores, labels)
        return
    pairs = [1.0 if b > g else 0.5 if b == g else 0.0 for b in bad for g in good]
    assert auc(scores, labels) == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)


def test_auc_at_its_ends() -> None:
    assert auc([1, 2, 3, 4], [False, False, True, True]) == 1.0
    assert auc([4, 3, 2, 1], [False, False, True, True]) == 0.0
    assert auc([7, 7, 7, 7], [False, True, False, True]) == 0.5


def test_auc_of_nothing_is_undefined() -> None:
    with pytest.raises(TooFewImagesError, match="0 good and 0 defective"):
        auc([], [])


def test_each_score_needs_a_label() -> None:
    with pytest.raises(InputMismatchError, match="2 scores, 1 labels"):
        auc([1, 2], [True])


def test_a_nan_is_never_ranked() -> None:
    with pytest.raises(NonFiniteError, match="score 1 is nan"):
        auc([1, float("nan")], [True, False])
    with pytest.raises(NonFiniteError, match="score 0 is inf"):
        threshold_from_good([float("inf")])


def test_a_few_good_images_set_the_threshold_to_their_largest_score() -> None:
    assert threshold_from_good([0.2, 0.9, 0.1]) == 0.9


def test_many_good_images_allow_the_rate() -> None:
    scores = np.random.default_rng(0).permutation(np.arange(1.0, 200.0))  # 1..199: rank 198 of 200
    assert threshold_from_good(scores, 0.01) == 198.0
    assert threshold_from_good(scores, 0.10) == 180.0


def test_the_false_alarm_rate_is_kept() -> None:
    rng = np.random.default_rng(0)
    alarms = [rng.gamma(2) > threshold_from_good(rng.gamma(2, size=19), 0.1) for _ in range(4000)]
    assert np.mean(alarms) == pytest.approx(0.1, abs=0.015)


def test_no_good_image_means_no_threshold() -> None:
    with pytest.raises(TooFewImagesError) as caught:
        threshold_from_good([])
    assert caught.value.code == "too_few_images"


SCORES = [1, 3, 2, 4, 6, 5]
KINDS = ["good", "good", "crack", "poke", "crack", "good"]
DEFECTIVE = [kind != "good" for kind in KINDS]


def test_an_interval_surrounds_its_auc_and_counts_its_images() -> None:
    estimate = auc_estimate(SCORES, DEFECTIVE)
    assert estimate.auc == auc(SCORES, DEFECTIVE) == pytest.approx(6 / 9)
    assert (estimate.good, estimate.defective) == (3, 3)
    assert 0 <= estimate.low < estimate.auc < estimate.high <= 1


def normal_scores(rng: np.random.Generator, good: int, bad: int, true_auc: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores of unit normal distributions whose AUC is `true_auc` = Phi(distance / sqrt(2))."""
    distance = NormalDist().inv_cdf(true_auc) * 2**0.5
    return np.concatenate((rng.normal(size=good), rng.normal(distance, 1, bad))), np.arange(good + bad) >= good


def test_a_seed_is_an_interval() -> None:
    images = normal_scores(np.random.default_rng(0), 20, 30, 0.9)
    assert auc_estimate(*images, seed=1) == auc_estimate(*images, seed=1)
    assert auc_estimate(*images, seed=1) != auc_estimate(*images, seed=2)


def test_the_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    estimates = [auc_estimate(*normal_scores(rng, 23, 22, 0.93)) for _ in range(150)]
    covered = np.mean([estimate.low <= 0.93 <= estimate.high for estimate in estimates])
    assert covered == pytest.approx(0.95, abs=0.05)
    assert np.mean([estimate.high - estimate.low for estimate in estimates]) < 0.2


def test_agrees_with_scipys_bca_interval() -> None:
    scores, defective = normal_scores(np.random.default_rng(3), 40, 60, 0.85)

    def of_two(good: np.ndarray, bad: np.ndarray) -> float:
        return auc(np.concatenate((good, bad)), np.arange(good.size + bad.size) >= good.size)

    theirs = scipy.stats.bootstrap(
        (scores[~defective], scores[defective]), of_two, n_resamples=2000, method="BCa", vectorized=False, rng=0
    ).confidence_interval
    ours = auc_estimate(scores, defective)
    assert (ours.low, ours.high) == (pytest.approx(theirs.low, abs=0.01), pytest.approx(theirs.high, abs=0.01))


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([1, 1, 2, 2, 2], (1.0, 0.025**0.5, 1.0)),
        ([2, 2, 1, 1, 1], (0.0, 0.0, 1 - 0.025**0.5)),
        ([7, 7, 7, 7, 7], (0.5, 0.025**0.5 / 2, 1 - 0.025**0.5 / 2)),
    ],
)
def test_where_resampling_sees_no_doubt_the_number_of_images_does(
    scores: list[float], expected: tuple[float, float, float]
) -> None:
    estimate = auc_estimate(scores, [False, False, True, True, True])
    assert (estimate.auc, estimate.low, estimate.high) == pytest.approx(expected)


@given(
    good=st.lists(st.integers(0, 3), min_size=1, max_size=8), bad=st.lists(st.integers(0, 3), min_size=1, max_size=8)
)
def test_every_interval_is_one(good: list[int], bad: list[int]) -> None:
    estimate = auc_estimate([*good, *bad], [False] * len(good) + [True] * len(bad))
    assert 0 <= estimate.low <= estimate.high <= 1


def test_each_kind_is_compared_with_all_good_images() -> None:
    kinds = auc_by_kind(SCORES, KINDS)
    assert list(kinds) == ["crack", "poke"]
    assert kinds["crack"] == auc_estimate([1, 3, 2, 6, 5], [False, False, True, True, False])
    assert (kinds["poke"].auc, kinds["poke"].good, kinds["poke"].defective) == (pytest.approx(2 / 3), 3, 1)


@pytest.mark.parametrize("kinds", [["good"] * 6, ["crack"] * 6])
def test_one_class_has_no_kinds(kinds: list[str]) -> None:
    with pytest.raises(TooFewImagesError, match="undefined"):
        auc_by_kind(SCORES, kinds)


def test_kinds_need_a_score_each() -> None:
    with pytest.raises(InputMismatchError, match="6 scores, 2 labels"):
        auc_by_kind(SCORES, ["good", "crack"])


def test_a_roc_curve_by_hand() -> None:
    curve = roc_curve([1, 2, 2, 3], [False, False, True, True])
    assert curve.thresholds.tolist() == [3, 2, 1, -np.inf]
    assert curve.false_reject_rate.tolist() == [0, 0, 0.5, 1]
    assert curve.detection_rate.tolist() == [0, 0.5, 1, 1]


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40))
def test_the_area_under_the_roc_curve_is_the_auc_and_each_point_what_the_threshold_does(
    images: list[tuple[int, bool]],
) -> None:
    scores, labels = zip(*images, strict=True)
    if len(set(labels)) < 2:
        return
    curve = roc_curve(scores, labels)
    assert np.trapezoid(curve.detection_rate, curve.false_reject_rate) == pytest.approx(auc(scores, labels))
    for rejected, detected, threshold in zip(
        curve.false_reject_rate, curve.detection_rate, curve.thresholds, strict=True
    ):
        counted = decisions(scores, labels, threshold)
        assert (counted.false_reject_rate, 1 - counted.miss_rate) == (pytest.approx(rejected), pytest.approx(detected))


def test_decisions_are_those_of_the_score() -> None:
    scores = [0.1, 0.5, 0.6, 0.5, 0.2, 0.9]
    labels = [False, False, False, True, True, True]
    counted = decisions(scores, labels, 0.5)
    made = [decide(value, 0.5) for value in scores]
    assert made == ["good", "good", "defective", "good", "good", "defective"]
    assert counted == Decisions(missed=2, defective=3, rejected=1, good=3)
    assert (counted.miss_rate, counted.false_reject_rate) == (pytest.approx(2 / 3), pytest.approx(1 / 3))


def test_a_miss_rate_without_defective_images_is_undefined() -> None:
    with pytest.raises(TooFewImagesError):
        decisions([1.0], [False], 0.5)
