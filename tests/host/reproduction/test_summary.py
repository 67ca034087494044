import math

import pytest
from scipy import stats

from host.reproduction.summary import auc_of, control_of, summarise

from .results import experiment, result


def test_the_control_is_the_better_by_held_out_error_though_its_auc_is_lower() -> None:
    results = experiment()
    assert control_of(results, 0).unit.kind == "continued"
    assert control_of(results, 1).unit.kind == "ordinary"


def test_means_and_differences_are_over_the_seeds() -> None:
    control, rate, narrow = summarise(experiment())
    assert [(each.kind, each.rate, each.weights) for each in (control, rate, narrow)] == [
        ("control", 0.0, 100),
        ("rate", 0.9, 11),
        ("narrow", 0.9, 11),
    ]
    assert control.auc["smoothed"].mean == pytest.approx((1 + 0.75) / 2)
    assert rate.auc["smoothed"].mean == pytest.approx((0.75 + 1) / 2)
    assert rate.difference["smoothed"].mean == pytest.approx(0)
    assert narrow.difference["normalised"].mean == pytest.approx((-1 - 0.75) / 2)


def test_the_bound_is_students_one_sided() -> None:
    _, rate, _ = summarise(experiment())
    values = [0.75 - 1, 1 - 0.75]
    half = stats.t.ppf(0.95, 1) * stats.tstd(values) / math.sqrt(2)
    bound = rate.difference["smoothed"].at_least
    assert bound == pytest.approx(-half)
    one_seed = summarise([each for each in experiment() if each.unit.seed == 0])
    assert one_seed[1].difference["smoothed"].at_least is None


def test_the_published_number_of_images_is_taken_in_turn_from_the_kinds() -> None:
    good, bad = [float(number) for number in range(40)], [0.0] * 109 + [100.0] * 91
    many = result(0, "ordinary", None, good, bad)
    assert auc_of(many, "smoothed", published_set=True) == pytest.approx(0.5 / 23)
    assert auc_of(many, "smoothed") > 0.4
