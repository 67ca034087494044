from typing import Any

import pytest
from numpy.typing import NDArray

from contract.results import BenchRow
from host.store import Store
from host.study.drops import NO_AUC, complete, completed
from host.study.spec import CONTROL_RATE

from ..conftest import RowMaker


def of_study(make_row: RowMaker, number: int, rate: float, **changes: Any) -> BenchRow:
    aucs = {"auc": 0.9 - rate / 10, "float_auc": 0.95 - rate / 10}
    row = make_row(number, study="s", requested_rate=rate, own_original=False, **{**aucs, **changes})
    return row.model_copy(update={"trial": 1})


def test_what_is_lost_is_told_once_the_control_is_known(
    make_row: RowMaker, failed_row: RowMaker, store: Store, samples_ns: NDArray[Any]
) -> None:
    """The control's board failed, and its row is replaced later."""
    what = {"failure": "it does not answer", "failure_code": "board_unreachable"}
    failed = failed_row(1, study="s", requested_rate=CONTROL_RATE, float_auc=0.95, **what)
    store.add(failed)
    store.add(of_study(make_row, 2, 0.5), samples_ns)
    complete(store, "s")
    [row] = [each for each in store.rows() if each.requested_rate == 0.5]
    assert row.auc_drop is None
    assert row.float_auc_drop == pytest.approx(0.05)
    assert row.unmet["auc_drop"] == "the control has no AUC on desktop: it does not answer"
    store.add(of_study(make_row, 3, CONTROL_RATE))
    complete(store, "s")
    drops = {each.requested_rate: (each.auc_drop, each.float_auc_drop, each.unmet) for each in store.rows()}
    assert drops[0][:2] == (0, 0)
    assert drops[0.5][0] == 0.9 - 0.85
    assert "auc_drop" not in drops[0.5][2]
    assert (store.samples(row.id) == samples_ns).all()


def test_of_a_control_that_does_not_run_there_the_float_form_counts(make_row: RowMaker, failed_row: RowMaker) -> None:
    what = {"failure": "no room", "failure_code": "out_of_memory", "float_auc": 0.95}
    rows = [failed_row(1, study="s", requested_rate=CONTROL_RATE, **what), of_study(make_row, 2, 0.5)]
    [changed] = [each for each in completed(rows) if each.id == rows[1].id]
    assert changed.auc_drop == 0.95 - 0.85
    assert "auc_drop" not in changed.unmet


def test_the_control_is_that_of_the_same_board_and_trial(make_row: RowMaker) -> None:
    row = of_study(make_row, 1, 0.5)
    others = [
        of_study(make_row, 2, CONTROL_RATE, board="coral"),
        of_study(make_row, 3, CONTROL_RATE).model_copy(update={"trial": 2}),
    ]
    [changed] = [each for each in completed([row, *others]) if each.id == row.id]
    assert changed.unmet["auc_drop"] == "the control has no AUC on desktop: not measured yet"


def test_what_is_complete_is_left_alone(make_row: RowMaker) -> None:
    rows = [of_study(make_row, 1, 0.5), of_study(make_row, 2, CONTROL_RATE)]
    made = list(completed(rows))
    assert len(made) == len(rows)
    assert list(completed(made)) == []


def test_a_model_without_a_score_has_nothing_to_lose(make_row: RowMaker) -> None:
    [row] = completed([of_study(make_row, 1, 0.5, auc=None, float_auc=None)])
    assert (row.auc_drop, row.unmet["auc"]) == (None, NO_AUC)
    assert list(completed([row])) == []
