import numpy as np
import pytest

from host.report.html.series import NOT_MEASURED, NOT_TRIED, by_board_and_rate, series_of

from ..studies import study_results

RESULTS = study_results()


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
    rows = {**by_board_and_rate(RESULTS), ("desktop", 0.99): []}
    missing = series_of(rows, "latency_ms.mean").missing
    assert [(each.board, each.rate) for each in missing if each.code == NOT_TRIED] == [("desktop", 0.99)]
