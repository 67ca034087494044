"""A study from beginning to end: its folder, its tasks on an engine, a row for whatever could not be done."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from contract.results import BenchRow
from host import disk, places, teaching
from host.boards import Boards
from host.engine import lock
from host.engine import running as engine_running
from host.engine.engine import Engine
from host.engine.local import Local
from host.engine.task import Failure, Task
from host.errors import HostError, InputError, UnknownBoardError, as_input_error
from host.progress import Progress
from host.reproduction.records import digest
from host.source import read_source
from host.store import Store
from host.study import drops, records, spec
from host.study.measure import failed_row, is_final
from host.study.plan import TEACH, Step, tasks_of
from host.study.records import OnBoard, Opened, Taught, on_board_path, original_path, taught_path
from host.study.spec import Study
from host.study.status import here
from host.study.timing import Timed


def open_study(study: Study, progress: Progress) -> Opened:
    """Its folder, made where there is none. InputError where it cannot be done, or is another study's already."""
    with as_input_error():
        spec.check(study)
    path = study.folder / records.STUDY_FILE
    if path.is_file():
        return _the_same(study, records.read(Opened, path))
    for board in study.boards:
        _boards().get(board)  # one that is there no more when its turn comes is a row, a misspelt one is not
    _check_data(study)
    with as_input_error():
        model = None if study.trains_original else read_source(Path(study.model), {}, progress.stage)[0].model
        _check_floor(study, model, progress)
    progress.stage("reading the images' names")
    opened = Opened(study, digest(study.data), datetime.now(UTC))
    try:
        study.folder.mkdir(parents=True, exist_ok=True)
        link = study.folder / records.DATA
        link.unlink(missing_ok=True)
        link.symlink_to(study.data)
        if model is not None:
            disk.replace(study.folder / records.MODEL, model)
        records.write(path, opened)
    except OSError as error:
        raise InputError(f"{study.folder} cannot be written: {error.strerror}", "make room there") from error
    return opened


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
        _forget_failures(study, store)
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


def _forget_failures(study: Study, store: Store) -> None:
    """What was wrong with a board may be mended by now: its rows are measured anew, and replaced."""
    for row in store.rows(study=study.name):
        if not is_final(row) and row.requested_rate is not None:
            on_board_path(study.folder, row.trial, row.requested_rate, row.board).unlink(missing_ok=True)


def _the_same(study: Study, opened: Opened) -> Opened:
    if differ := spec.differing(study, opened.study):
        what = ", ".join(f"{key} {getattr(opened.study, key)} there, {getattr(study, key)} here" for key in differ)
        raise InputError(
            f"there is a study {study.name!r} that asks for something else: {what}",
            f"host study resume {study.name}, or take another --name",
            "other_study",
        )
    return opened


def _check_data(study: Study) -> None:
    from compression.data.mvtec import read_dataset

    if study.trains_original or (study.data / "train").is_dir():
        with as_input_error():
            read_dataset(study.data)
    elif not study.data.is_dir():
        raise InputError(f"{study.data} is no folder of images", "name one with --data")


def _check_floor(study: Study, model: bytes | None, progress: Progress) -> None:
    """BelowFloorError now, rather than when the original has been trained."""
    import numpy as np
    import onnx

    from compression.autoencoder import COLOURS, SPECS, reference_model
    from compression.compress import compress

    highest = max(study.rates)
    if highest == spec.CONTROL_RATE:
        return
    progress.stage("choosing ranks")
    if model is None:
        size = SPECS[study.model].size
        original = reference_model(SPECS[study.model], np.full((2, COLOURS, size, size), 0.5, np.float32), seed=0)
    else:
        original = onnx.load_model_from_string(model)
    compress(original, highest)


def _boards() -> Boards:
    return Boards(places.config_dir() / "boards.toml")


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
