import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inspection.accuracy import auc, auc_estimate
from inspection.accuracy_difference import auc_drop_interval, auc_interval
from inspection.errors import InputMismatchError, NonFiniteError, TooFewImagesError

DEFECTIVE = np.arange(60) >= 20
Trials = list[NDArray[np.float64]]


def scores(trials: int, apart: float = 2, of_trial: float = 0.0, seed: int = 0) -> Trials:
    """Of images that are as hard in every trial; each trial adds a little noise of its own."""
    hard = np.random.default_rng(99).standard_normal(DEFECTIVE.size)
    rng = np.random.default_rng(seed)
    apart_by_trial = apart + of_trial * rng.standard_normal(trials)
    return [hard + each * DEFECTIVE + 0.2 * rng.standard_normal(DEFECTIVE.size) for each in apart_by_trial]


whole = st.integers(0, 5)


@settings(deadline=None)  # the machine may be busy
@given(st.integers(1, 4), st.data())
def test_the_drop_is_the_difference_of_the_mean_aucs(trials: int, data: st.DataObject) -> None:
    labels = np.array([False, True, *data.draw(st.lists(st.booleans(), max_size=8))])
    images = st.lists(whole, min_size=labels.size, max_size=labels.size)
    control, candidate = (data.draw(st.lists(images, min_size=trials, max_size=trials)) for _ in range(2))
    found = auc_drop_interval(control, candidate, labels, resamples=50)
    before, after = (np.mean([auc(each, labels) for each in side]) for side in (control, candidate))
    assert found.drop == pytest.approx(before - after, abs=1e-12)
    assert -1 <= found.low <= found.high <= 1


def test_pairing_makes_the_interval_narrow() -> None:
    control, candidate = scores(1), scores(1, 1.8, seed=1)
    paired = auc_drop_interval(control, candidate, DEFECTIVE)
    order = np.concatenate((np.random.default_rng(2).permutation(20), 20 + np.random.default_rng(3).permutation(40)))
    other_images = auc_drop_interval(control, [candidate[0][order]], DEFECTIVE)
    assert paired.drop == pytest.approx(other_images.drop)
    assert paired.high - paired.low < 0.6 * (other_images.high - other_images.low)


def test_trials_that_differ_widen_it_and_more_of_them_narrow_it() -> None:
    def width(trials: int, of_trial: float) -> float:
        candidate = scores(trials, 1.8, of_trial, seed=1)
        found = auc_drop_interval(scores(trials), candidate, DEFECTIVE)
        return found.high - found.low

    assert width(4, 0.5) > 1.5 * width(4, 0.0)
    assert width(20, 0.5) < 0.7 * width(4, 0.5)


def test_one_control_is_that_of_every_trial() -> None:
    [control], candidate = scores(1), scores(3, 1.8, seed=1)
    assert auc_drop_interval([control], candidate, DEFECTIVE) == auc_drop_interval([control] * 3, candidate, DEFECTIVE)


def test_turned_round_it_is_a_gain() -> None:
    control, candidate = scores(3), scores(3, 1.7, seed=1)
    lost, gained = auc_drop_interval(control, candidate, DEFECTIVE), auc_drop_interval(candidate, control, DEFECTIVE)
    assert lost.drop == pytest.approx(-gained.drop)
    assert (lost.low, lost.high) == (pytest.approx(-gained.high, abs=5e-3), pytest.approx(-gained.low, abs=5e-3))


def test_equal_seeds_give_equal_intervals() -> None:
    sides = scores(2), scores(2, 1.8, seed=1)
    assert auc_drop_interval(*sides, DEFECTIVE, seed=1) == auc_drop_interval(*sides, DEFECTIVE, seed=1)
    assert auc_drop_interval(*sides, DEFECTIVE, seed=1) != auc_drop_interval(*sides, DEFECTIVE, seed=2)


def test_the_same_scores_lose_nothing() -> None:
    assert auc_drop_interval(scores(2), scores(2), DEFECTIVE) == (0, 0, 0)


def test_where_no_pair_tells_them_apart_the_number_of_images_does() -> None:
    labels = [False, False, True, True, True]
    found = auc_drop_interval([[1, 2, 3, 4, 5]], [[1, 1, 3, 3, 3]], labels)
    assert found == pytest.approx((0, -(1 - 0.025**0.5), 1 - 0.025**0.5))


def test_pairs_that_cancel_out_are_not_divided_by() -> None:
    """Each image loses as often as it gains: none has an influence of its own."""
    found = auc_drop_interval([[0, 1, 0.5, 1.5]], [[1, 0, 1.5, 0.5]], [False, False, True, True])
    assert found.low <= found.drop <= found.high


def test_it_covers_as_often_as_it_says() -> None:
    """benchmarks/honest_auc.py does so at length."""
    rng, hits = np.random.default_rng(5), 0
    for _ in range(60):
        hard = rng.standard_normal(DEFECTIVE.size)
        sides = [
            [hard + apart * DEFECTIVE + 0.5 * rng.standard_normal(DEFECTIVE.size) for _ in range(3)] for apart in (2, 2)
        ]
        found = auc_drop_interval(*sides, DEFECTIVE, resamples=500)
        hits += found.low <= 0 <= found.high
    assert hits >= 54


def test_the_auc_of_one_trial_is_that_of_auc_estimate() -> None:
    [values] = scores(1)
    alone = auc_estimate(values, DEFECTIVE, seed=3)
    assert auc_interval([values], DEFECTIVE, seed=3) == (alone.auc, alone.low, alone.high)
    perfect = auc_estimate(DEFECTIVE.astype(float), DEFECTIVE)
    assert auc_interval([DEFECTIVE.astype(float)] * 2, DEFECTIVE) == pytest.approx(
        (perfect.auc, perfect.low, perfect.high)
    )


def test_the_auc_of_trials_that_differ_is_less_sure() -> None:
    alike, unlike = scores(3, 1.5), scores(3, 1.5, of_trial=0.5)
    one, other = auc_interval(alike, DEFECTIVE), auc_interval(unlike, DEFECTIVE)
    assert other.auc == pytest.approx(np.mean([auc(each, DEFECTIVE) for each in unlike]))
    assert 0 <= other.low < other.auc < other.high <= 1
    assert other.high - other.low > one.high - one.low


def test_what_does_not_pair_is_refused() -> None:
    with pytest.raises(InputMismatchError, match="2 trials of the control, 3 of the candidate"):
        auc_drop_interval(scores(2), scores(3), DEFECTIVE)
    with pytest.raises(InputMismatchError, match="no trial"):
        auc_interval([], DEFECTIVE)
    with pytest.raises(InputMismatchError, match="59 scores, 60 labels"):
        auc_drop_interval(scores(1), [scores(1)[0][:-1]], DEFECTIVE)
    with pytest.raises(TooFewImagesError):
        auc_interval([[1, 2]], [True, True])
    with pytest.raises(NonFiniteError):
        auc_drop_interval([[1, 2]], [[1, float("nan")]], [False, True])
