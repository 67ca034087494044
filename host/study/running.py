"""A study from beginning to end: its tasks on an engine, a row for whatever could not be done."""

import os
from collections.abc import Callable
from pathlib import Path

from contract.results import BenchRow
from host import teaching
from host.deploying import NEEDS_BOARD, TAKEN
from host.engine import lock
from host.engine import running as engine_running
from host.engine.engine import Engine
from host.engine.local import Local
from host.engine.task import Failure, Task
from host.errors import HostError, InputError, as_input_error
from host.progress import Progress
from host.reproduction.records import digest
from host.store import Store
from host.study import drops, records
from host.study.measure import RECENT_TRAFFIC, failed_row, is_final
from host.study.plan import TEACH, Step, steps_of, tasks_of
from host.study.records import OnBoard, Opened, Taught, on_board_path, original_path, taught_path
from host.study.spec import Study
from host.study.status import here
from host.study.timing import Timed


def run(opened: Opened, engine: Engine, store: Store, progress: Progress, *, interrupt: bool) -> None:
    """All of it that is not done. InputError where another process is at it, or the images are others by now.

    What fails leaves rows with the reason, and the rest goes on. An interrupt ends it; the same call goes on with it.
    """
    study, folder = opened.study, opened.study.folder
    store.check_writable()
    with lock.held(folder):
        progress.stage("looking at the images")
        if not (folder / records.DATA).exists() or digest(study.data) != opened.data_sha256:
            raise InputError(
                f"the images in {study.data} are not those that the study {study.name!r} began with",
                "bring them back, or begin another study: --name",
            )
        _forget_unmeasured(opened, store)
        drops.complete(store, study.name)
        tasks = tasks_of(study, here(study), interrupt=interrupt)
        if isinstance(engine, Local) and any(
            task.module == TEACH and not task.is_done(folder) for _, task in tasks.values()
        ):
            with as_input_error():
                teaching.check_torch()  # one error, rather than one of each step
        progress.stage(study.name)
        engine_running.run(
            folder,
            [task for _, task in tasks.values()],
            Timed(engine, folder),
            progress,
            _on_done(tasks, study, store, progress),
            _on_failed(tasks, study, store, progress),
        )
    _tell_failures(study, store, progress)


def _tell_failures(study: Study, store: Store, progress: Progress) -> None:
    """What another try may measure, and how."""
    failed = [row for row in store.rows(study=study.name) if not is_final(row)]
    if not failed:
        return
    served = any(row.failure_code in (RECENT_TRAFFIC, NEEDS_BOARD, TAKEN) for row in failed)
    progress.note(
        f"{len(failed)} measurements have failed: host study resume {study.name} tries them again"
        + (", with --interrupt also on boards that serve others" if served else "")
    )


def _on_done(
    tasks: dict[str, tuple[Step, Task]], study: Study, store: Store, progress: Progress
) -> Callable[[Task], None]:
    def on_done(task: Task) -> None:
        step = tasks[task.name][0]
        if step.board is not None:
            drops.complete(store, study.name, step.board)
        progress.note(_told(study.folder, study, step, store))

    return on_done


def _on_failed(
    tasks: dict[str, tuple[Step, Task]], study: Study, store: Store, progress: Progress
) -> Callable[[Task, Failure], None]:
    def on_failed(task: Task, failure: Failure) -> None:
        step = tasks[task.name][0]
        progress.note(f"{task.name}: not done: {failure.message}")
        if step.board is not None:
            error = HostError(failure.message, failure.hint, failure.code)
            store.add(failed_row(store.new_id(), study.folder, study, step, error))

    return on_failed


def _forget_unmeasured(opened: Opened, store: Store) -> None:
    """Records whose rows are not there, or only say what was wrong with a board: it is measured anew, and its row
    replaced. InputError where there are rows of another study of this name, whose folder is gone.
    """
    study, rows = opened.study, store.rows(study=opened.study.name)
    if any(row.measured_at < opened.created_at for row in rows):
        raise InputError(
            f"{store.name} has rows of another study {study.name!r}, from before this one was begun",
            "begin it under another --name",
            "other_study",
        )
    final = {row.id for row in rows if is_final(row)}
    for step in steps_of(study):
        if step.trial is not None and step.rate is not None and step.board is not None:
            path = on_board_path(study.folder, step.trial, step.rate, step.board)
            if path.is_file() and records.read(OnBoard, path).row not in final:
                path.unlink()


def _told(folder: Path, study: Study, step: Step, store: Store) -> str:
    """What a step has come to, in a line."""
    if step.board is not None:
        assert step.trial is not None
        assert step.rate is not None
        row = store.get(records.read(OnBoard, on_board_path(folder, step.trial, step.rate, step.board)).row)
        return f"{step.name}: {_of_row(row)}"
    path = original_path(folder, step.trial) if step.rate is None else taught_path(folder, step.trial or 1, step.rate)
    taught = records.read(Taught, path)
    auc = "" if taught.scores is None else f", AUC {taught.scores.auc:.3f}"
    return f"{step.name}: {taught.weights:,} weights{auc}"


def _of_row(row: BenchRow) -> str:
    if row.latency_ms is None:
        return f"no figure: {row.failure}"
    auc = "" if row.auc is None else f", AUC {row.auc:.3f}"
    return f"mean {row.latency_ms.mean:.4g} ms{auc}, stored as {row.id}"


def default_processes() -> int:
    """One for each core that this process may use."""
    return len(os.sched_getaffinity(0))
