import numpy as np
import pytest

from host.choosing.choice import Request
from host.choosing.choose import choose
from host.report.html.series import INVALID, NOT_MEASURED, NOT_TRIED, as_judged, by_board_and_rate, series_of

from ..studies import changed, study_results

RESULTS = study_results()
THROTTLED = changed(
    study_results(("desktop",)),
    lambda row: {"flags": ("throttled",)} if row.requested_rate == 0.99 or row.trial == 2 else {},
)
"""Of 99 % all trials, of the other rates one."""


def test_a_point_is_the_mean_of_its_trials_with_their_t_interval() -> None:
    series = series_of(by_board_and_rate(RESULTS), "latency_ms.mean")
    for point in series.points:
        trials = [
            row.latency_ms.mean
            for row in RESULTS.rows
            if (row.board, row.requested_rate) == (point.board, point.rate) and row.latency_ms
        ]
        assert list(point.trials) == trials
        assert point.mean == pytest.approx(np.mean(trials))
        assert point.interval is not None
        assert point.interval[1] - point.mean == pytest.approx(4.302653 * np.std(trials, ddof=1) / np.sqrt(3), rel=1e-5)


def test_every_board_and_rate_is_a_point_or_has_a_reason() -> None:
    rows = by_board_and_rate(RESULTS)
    series = series_of(rows, "latency_ms.mean")
    assert {(each.board, each.rate) for each in (*series.points, *series.missing)} == set(rows)
    [missing] = series.missing
    assert (missing.board, missing.rate, missing.code) == ("coral", 0.0, "out_of_memory")
    assert "320.0 MiB are free" in missing.reason


def test_one_trial_has_no_interval() -> None:
    points = series_of(by_board_and_rate(study_results(trials=1)), "latency_ms.mean").points
    assert {each.interval for each in points} == {None}


def test_a_figure_that_the_bench_could_not_take_has_the_reason_of_the_row() -> None:
    missing = series_of(by_board_and_rate(RESULTS), "energy_mj.per_run").missing
    assert ("desktop", NOT_MEASURED, "no power rail of Bench PC can be read") in {
        (each.board, each.code, each.reason) for each in missing
    }


def test_what_was_not_tried_yet_is_missing_too() -> None:
    results = changed(RESULTS, lambda row: None if (row.board, row.requested_rate) == ("desktop", 0.99) else {})
    missing = series_of(by_board_and_rate(results), "latency_ms.mean").missing
    assert [(each.board, each.rate) for each in missing if each.code == NOT_TRIED] == [("desktop", 0.99)]


def test_invalid_rows_are_in_no_figure() -> None:
    series = series_of(by_board_and_rate(THROTTLED), "latency_ms.mean")
    assert {len(each.trials) for each in series.points} == {2}
    [missing] = series.missing
    assert (missing.rate, missing.code, missing.reason) == (0.99, INVALID, "throttled")


def test_figures_are_of_the_rows_that_the_choice_was_made_by() -> None:
    for allow in (False, True):
        choice = choose(THROTTLED, Request(allow_different_environment=allow))
        rows = as_judged(by_board_and_rate(THROTTLED), choice)
        points = {each.rate: each for each in series_of(rows, "latency_ms.mean").points}
        assert {rate: (point.mean, len(point.trials)) for rate, point in points.items()} == {
            each.rate: (each.candidate.mean("latency_ms.mean"), len(each.candidate.rows))
            for each in choice.boards["desktop"].candidates
            if each.candidate.rows
        }
        assert (0.99 in points) == allow


def test_the_reason_of_a_rate_is_that_of_its_model_before_that_of_its_board() -> None:
    codes = {1: "board_busy", 2: "out_of_memory", 3: "board_busy"}
    failed = changed(RESULTS, lambda row: {"failure_code": codes[row.trial], "failure": f"trial {row.trial}"})
    rows = by_board_and_rate(failed)
    missing = series_of(rows, "latency_ms.mean").missing
    assert {(each.code, each.reason) for each in missing} == {("out_of_memory", "trial 2")}
    assert {(each.absence, each.reason) for each in rows.values()} == {("does not run", "trial 2")}
    assert rows["desktop", 0.9].failed_trials == {f"trial {trial}": (trial,) for trial in (1, 2, 3)}


def test_the_float_model_has_its_auc_where_no_bench_counts() -> None:
    series = series_of(by_board_and_rate(THROTTLED), "float_auc")
    assert not series.missing
    assert {each.rate: len(each.trials) for each in series.points}[0.99] == 3
