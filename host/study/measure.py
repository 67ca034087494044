"""A step of a study on a board, in a process of its own: a model is deployed there, judged and benched.

    python -m host.study.measure FOLDER NAME TRIAL RATE BOARD [--interrupt]

The row in the results database is what says that it was measured: one that is there is not measured again, whenever
this process ends. What the board made of the test images is kept before the bench, so that it is not lost either.
"""

import json
import sys
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from time import sleep as pause

from contract.results import DOES_NOT_RUN, BenchRow
from host import benching, disk, places
from host.boards import Boards
from host.client import AgentClient
from host.connect import connect
from host.errors import BoardError, HostError, ResultsError
from host.progress import Lines, Progress
from host.reconstructing import answering
from host.store import Store
from host.study import records
from host.study.judging import converted, images_of, scores_of
from host.study.plan import Step, step_of
from host.study.records import ImageScores, OnBoard, Opened, Taught, model_path, on_board_path, taught_path
from host.study.spec import Study
from host.temporary import temporarily

RECENT_TRAFFIC = "recent_traffic"
"""An agent's error: its board is in use, and a bench was not told to interrupt that."""

QUIET_S = 60
"""After a request a board is in use for so long, as that error's hint has it; how much of it is left is not told."""

QUIET_WAITS = 2
"""So often it is waited for: a board that is in use even then serves others, and its row says so."""


def main() -> None:
    """FOLDER NAME TRIAL RATE BOARD [--interrupt]. ResultsError; all else that goes wrong is a row."""
    folder, step = Path(sys.argv[1]), step_of((sys.argv[3], sys.argv[4], sys.argv[5]))
    study = records.read(Opened, folder / records.STUDY_FILE).study
    boards = Boards(places.config_dir() / "boards.toml")
    Measuring(folder, study, step, Store.open(places.results()), Lines(sys.stdout)).run(
        boards, interrupt="--interrupt" in sys.argv[6:]
    )


class Measuring:
    """One model on one board."""

    def __init__(self, folder: Path, study: Study, step: Step, store: Store, progress: Progress) -> None:
        assert step.trial is not None
        assert step.rate is not None
        assert step.board is not None
        self._folder, self._study, self._store, self._progress = folder, study, store, progress
        self._trial, self._rate, self._board = step.trial, step.rate, step.board
        self._data = folder / records.DATA
        self._taught_path = taught_path(folder, self._trial, self._rate)
        self._path = on_board_path(folder, self._trial, self._rate, self._board)
        self._kept = self._path.with_suffix(".scores.json")

    def run(self, boards: Boards, *, interrupt: bool) -> None:
        """The row, then the record that names it."""
        row = measured_row(self._store, self._study.name, self._board, self._rate, self._trial)
        if row is None:
            self._kept.unlink(missing_ok=True)
            try:
                row = self._measured(boards, interrupt)
            except ResultsError:
                raise
            except HostError as error:
                row = failed_row(self._store.new_id(), self._folder, self._study, self._step, error)
                self._store.add(row)
        told = json.loads(self._kept.read_bytes()) if self._kept.exists() and row.failure is None else {}
        scores = told.get("scores") and ImageScores(**_with_tuples(told["scores"]))
        threshold = told.get("threshold")
        records.write(self._path, OnBoard(self._board, self._trial, self._rate, row.id, threshold, scores))
        self._kept.unlink(missing_ok=True)

    @property
    def _step(self) -> Step:
        return Step(self._trial, self._rate, self._board)

    def _measured(self, boards: Boards, interrupt: bool) -> BenchRow:
        board = boards.get(self._board)
        profile = board.facts()
        with connect(board) as client:
            bundle, subject = converted(model_path(self._taught_path), self._data, profile, self._progress)
            with ExitStack() as stack:
                name, activation = stack.enter_context(
                    temporarily(client, bundle, self._progress, stop_others=interrupt)
                )
                scores = None
                if subject is not None:
                    place = answering(subject, client, name, activation, self._progress)
                    images = images_of(self._data, subject, self._progress)
                    scores = scores_of(subject, place, images, self._progress)
                    kept = {"threshold": place.threshold, "scores": asdict(scores)}
                    disk.replace(self._kept, json.dumps(kept).encode())
                return self._benched(client, name, scores, interrupt)

    def _benched(self, client: AgentClient, name: str, scores: ImageScores | None, interrupt: bool) -> BenchRow:
        rested_c = self._rested_c()
        asked = benching.Request(
            name,
            self._study.runs,
            interrupt=interrupt,
            known=self._known(scores),
            looks=rested_c is None,
            rested_c=rested_c,
        )
        for _ in range(QUIET_WAITS):
            try:
                [row] = benching.bench(client, self._store, asked, self._progress)
            except BoardError as error:
                if error.code != RECENT_TRAFFIC:
                    raise
                self._progress.note(f"{self._board}: {error.message}")
                wait_for_quiet(self._board, self._progress)
            else:
                return row
        [row] = benching.bench(client, self._store, asked, self._progress)
        return row

    def _rested_c(self) -> dict[str, float] | None:
        """How cool the board was before the first of the study's benches there, which the others wait for."""
        rows = [row for row in self._store.rows(study=self._study.name, board=self._board) if row.environment]
        return rows[-1].environment.before.temperatures_c if rows and rows[-1].environment else None

    def _known(self, scores: ImageScores | None) -> benching.Known:
        """`scores`: the board's."""
        return known(self._study, self._step, records.read(Taught, self._taught_path), scores)


def wait_for_quiet(board: str, progress: Progress) -> None:
    """As long as a board is in use after a request; interrupted, it leaves at once: nothing is held."""
    progress.stage(f"{board}: waiting for a quiet minute")
    for second in range(QUIET_S):
        progress.advance(second, QUIET_S, "seconds")
        pause(1)


def measured_row(store: Store, study: str, board: str, rate: float, trial: int) -> BenchRow | None:
    """The row of that model on that board, if it was measured; not one that only says what was wrong with the board."""
    rows = store.rows(study=study, board=board)
    found = [row for row in rows if (row.requested_rate, row.trial) == (rate, trial)]
    return next((row for row in found if is_final(row)), None)


def is_final(row: BenchRow) -> bool:
    """Whether another try would say the same: it was measured, or the model does not run there."""
    return row.failure is None or row.failure_code in DOES_NOT_RUN


def known(study: Study, step: Step, taught: Taught | None, scores: ImageScores | None = None) -> benching.Known:
    """Of a step on a board; `scores`: the board's. What is lost of the control's AUCs, drops.py fills in."""
    float_scores = None if taught is None else taught.scores
    return benching.Known(
        auc=None if scores is None else scores.auc,
        float_auc=None if float_scores is None else float_scores.auc,
        study=study.name,
        requested_rate=step.rate,
        own_original=study.own_original,
        trial=step.trial,
        model=f"{study.name}-{step.rate:g}",
    )


def failed_row(row_id: str, folder: Path, study: Study, step: Step, error: HostError) -> BenchRow:
    """That there is no measurement, and why. What the agent was given is not known here: there may be no bundle, nor a
    model.
    """
    assert step.trial is not None
    assert step.rate is not None
    path = taught_path(folder, step.trial, step.rate)
    taught = records.read(Taught, path) if path.is_file() else None
    row = BenchRow(
        id=row_id,
        session=row_id,
        trial=step.trial,
        measured_at=datetime.now(UTC),
        board=step.board or "",
        model="",
        bundle="",
        source_name=model_path(path).name,
        precision="",
        through="worker",
        requested_runs=study.runs,
        inputs="golden",
        weights=taught and taught.weights,
        macs=taught and taught.macs,
        rate=taught and (taught.rate or None),
        failure=error.message,
        failure_code=error.code,
    )
    return row.model_copy(update=known(study, step, taught).columns())


def _with_tuples(told: dict) -> dict:  # type: ignore[type-arg]  # JSON
    return {key: tuple(value) if isinstance(value, list) else value for key, value in told.items()}


if __name__ == "__main__":
    main()
