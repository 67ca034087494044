import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.accuracy import auc, threshold_from_good
from inspection.errors import InputMismatchError, NonFiniteError, TooFewImagesError


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
