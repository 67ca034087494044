"""On an agent in this process; what is taught comes from conftest.py."""

import shutil
from pathlib import Path
from typing import Any

import live
import pytest
from told import Told

from agent import bench
from contract.results import BenchRow
from host.boards import Board, Boards
from host.errors import BoardError, DoesNotRunError, UnreachableError
from host.store import Store
from host.study import drops, measure, records
from host.study.measure import Measuring
from host.study.plan import Step
from host.study.records import OnBoard, on_board_path
from host.study.spec import CONTROL_RATE, Study


@pytest.fixture
def folder(taught_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(taught_folder, tmp_path / "study", symlinks=True))


def measured(folder: Path, study: Study, store: Store, boards: Boards, rate: float, board: str = "line-3") -> OnBoard:
    Measuring(folder, study, Step(1, rate, board), store, Told()).run(boards, interrupt=True)
    return records.read(OnBoard, on_board_path(folder, 1, rate, board))


def test_a_row_and_the_scores_behind_it(folder: Path, toy_study: Study, store: Store, boards: Boards) -> None:
    control = measured(folder, toy_study, store, boards, CONTROL_RATE)
    compressed = measured(folder, toy_study, store, boards, 0.9)
    drops.complete(store, "toy-study")
    rows = {row.requested_rate: row for row in store.rows(study="toy-study")}
    assert sorted(rows) == [0, 0.9]
    for found, rate in ((control, CONTROL_RATE), (compressed, 0.9)):
        row = rows[rate]
        assert found.row == row.id
        assert found.scores is not None
        assert row.auc == found.scores.auc
        assert (row.study, row.board, row.trial, row.model) == ("toy-study", "line-3", 1, f"toy-study-{rate:g}")
        assert (row.counted_runs, row.own_original) == (19, False)
        assert row.float_auc is not None
        assert row.macs
    assert control.scores is not None
    assert compressed.scores is not None
    assert (rows[0].auc_drop, rows[0].float_auc_drop) == (0, 0)
    assert rows[0.9].auc_drop == pytest.approx(control.scores.auc - compressed.scores.auc)
    assert (rows[0].rate, rows[0.9].rate) == (None, pytest.approx(0.9, abs=0.02))


def test_killed_after_the_row_was_stored_it_is_not_measured_again(
    folder: Path, toy_study: Study, store: Store, boards: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(records, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            measured(folder, toy_study, store, boards, CONTROL_RATE)
    [row] = store.rows()
    assert not on_board_path(folder, 1, CONTROL_RATE, "line-3").exists()
    found = measured(folder, toy_study, store, boards, CONTROL_RATE)
    assert [row.id for row in store.rows()] == [row.id] == [found.row]
    assert found.scores is not None
    assert found.scores.auc == row.auc
    assert not list(folder.rglob("*.scores.json"))


def test_a_board_that_nobody_knows_is_a_row(folder: Path, toy_study: Study, store: Store, boards: Boards) -> None:
    found = measured(folder, toy_study, store, boards, 0.9, "nowhere")
    [row] = store.rows()
    assert (row.id, row.failure_code, row.latency_ms) == (found.row, "unknown_board", None)
    assert row.float_auc is not None  # that much is known of it
    assert not measure.is_final(row)


def test_a_board_that_comes_back_is_measured_and_its_row_replaced(
    folder: Path, toy_study: Study, store: Store, boards: Boards, agent: live.Agent, home: Path
) -> None:
    boards.remove("line-3")
    boards.add(Board("line-3", "desktop", "http://127.0.0.1:9", home / "line-3.token"))
    measured(folder, toy_study, store, boards, CONTROL_RATE)
    [row] = store.rows()
    assert row.failure_code == "board_unreachable"
    boards.remove("line-3")
    boards.add(Board("line-3", "desktop", f"http://127.0.0.1:{agent.port}", home / "line-3.token"))
    found = measured(folder, toy_study, store, boards, CONTROL_RATE)
    [row] = store.rows()
    assert (row.id, row.failure) == (found.row, None)


def test_a_model_that_does_not_run_is_a_result(
    folder: Path, toy_study: Study, store: Store, boards: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise DoesNotRunError("no room for it", "compress it further", "out_of_memory")

    with monkeypatch.context() as patch:
        patch.setattr(measure, "temporarily", refused)
        found = measured(folder, toy_study, store, boards, CONTROL_RATE)
    [row] = store.rows()
    assert (row.failure_code, found.scores) == ("out_of_memory", None)
    assert row.weights
    assert row.macs
    assert measure.is_final(row)
    compressed = measured(folder, toy_study, store, boards, 0.9)
    drops.complete(store, "toy-study")
    row = store.get(compressed.row)
    assert row.float_auc_drop is not None
    assert row.auc is not None
    control = store.get(found.row)
    assert control.float_auc is not None
    assert row.auc_drop == pytest.approx(control.float_auc - row.auc)  # that one has no AUC there


def test_a_board_that_breaks_in_the_middle_leaves_its_reason(
    folder: Path, toy_study: Study, store: Store, boards: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise UnreachableError("line-3 does not answer", "look at its cable")

    monkeypatch.setattr(measure.benching, "bench", broken)
    found = measured(folder, toy_study, store, boards, 0.9)
    [row] = store.rows()
    assert (row.failure, row.failure_code) == ("line-3 does not answer", "board_unreachable")
    assert found.scores is None
    assert not list(folder.rglob("*.scores.json"))


class Served:
    """Refuses so many benches as a board does that has served a request just now."""

    def __init__(self, refusals: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refusals, self.bench, self.slept_s = refusals, measure.benching.bench, 0.0
        monkeypatch.setattr(measure.benching, "bench", self)
        monkeypatch.setattr(measure, "pause", self.pause)

    def __call__(self, *given: Any) -> list[BenchRow]:
        if self.refusals:
            self.refusals -= 1
            raise BoardError("the board served a request 56 s ago", "wait for a quiet minute", "recent_traffic")
        return self.bench(*given)

    def pause(self, seconds: float) -> None:
        self.slept_s += seconds


def test_a_board_in_use_is_waited_for(
    folder: Path, toy_study: Study, store: Store, boards: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, told = Served(1, monkeypatch), Told()
    Measuring(folder, toy_study, Step(1, CONTROL_RATE, "line-3"), store, told).run(boards, interrupt=False)
    [row] = store.rows()
    assert (row.failure, served.slept_s) == (None, 60)
    assert "line-3: waiting for a quiet minute" in told.stages
    assert "line-3: the board served a request 56 s ago" in told.notes


def test_a_board_that_stays_in_use_is_a_row(
    folder: Path, toy_study: Study, store: Store, boards: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = Served(9, monkeypatch)
    Measuring(folder, toy_study, Step(1, CONTROL_RATE, "line-3"), store, Told()).run(boards, interrupt=False)
    [row] = store.rows()
    assert (row.failure_code, served.refusals) == ("recent_traffic", 9 - 1 - measure.QUIET_WAITS)
    assert not measure.is_final(row)


def test_the_window_is_the_agents() -> None:
    assert measure.QUIET_S == bench.QUIET_S
