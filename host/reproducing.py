"""The reproduce flow: capsules -> models at every rate -> their accuracy, latency and memory -> table and figures."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from contract.results import BenchRow
from host import disk, teaching
from host.errors import InputError, as_input_error
from host.progress import Progress
from host.report import reproduction as report
from host.reproduction import measuring, running
from host.reproduction.measuring import Board
from host.reproduction.plan import Experiment, Unit
from host.reproduction.records import Job, Result
from host.reproduction.summary import RateSummary, summarise


@dataclass(frozen=True)
class Request:
    """`data` None: synthetic capsules, as many as MVTec AD has, are drawn into the folder.

    `interrupt`: measure also on a board that serves requests."""

    folder: Path
    experiment: Experiment
    data: Path | None
    processes: int
    interrupt: bool


@dataclass(frozen=True)
class Outcome:
    """`written`: the files with the figures."""

    results: tuple[Result, ...]
    summaries: tuple[RateSummary, ...]
    rows: dict[Unit, BenchRow]
    written: tuple[Path, ...]


def reproduce(request: Request, connected: Callable[[], Board] | None, progress: Progress) -> Outcome:
    """All of it, but what is done already. `connected` None: nothing is measured. InputError, HostError."""
    folder = request.folder
    with as_input_error():
        teaching.check_torch()
        _check_rates(request.experiment, progress)
        data = request.data or _drawn(folder, request.experiment, progress)
        running.open_folder(folder, Job.of(request.experiment, folder, data))
    results = running.run(folder, request.processes, progress)
    summaries = summarise(results)
    accuracy = {**report.pictures(summaries, {}), "accuracy.csv": report.accuracy_csv(results).encode()}
    written = _written(folder, accuracy)
    if connected is None:
        return Outcome(results, summaries, {}, written)
    rows = measuring.measure(folder, results, connected(), request.interrupt, progress)
    progress.stage("drawing")
    pictures = report.pictures(summaries, rows)
    return Outcome(results, summaries, rows, tuple({*written, *_written(folder, pictures)}))


def _check_rates(experiment: Experiment, progress: Progress) -> None:
    """BelowFloorError now, rather than when the first original has been trained."""
    import numpy as np

    from compression.autoencoder import COLOURS, SPECS, reference_model
    from compression.compress import compress

    progress.stage("choosing ranks")
    spec = SPECS[experiment.model]
    grey = np.full((2, COLOURS, spec.size, spec.size), 0.5, np.float32)
    compress(reference_model(spec, grey, seed=0), max(experiment.rates))


def _drawn(folder: Path, experiment: Experiment, progress: Progress) -> Path:
    """Capsules in the folder. InputError where there is something else in it, or it cannot be written."""
    from compression.autoencoder import SPECS
    from compression.data.capsule import write_dataset

    running.check_folder(folder)
    drawing = teaching.images_told(progress, "drawing capsules")
    try:
        write_dataset(folder / "data", size=SPECS[experiment.model].size, on_image=drawing)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}", "name another folder") from error
    return folder / "data"


def _written(folder: Path, files: dict[str, bytes]) -> tuple[Path, ...]:
    try:
        for name, content in files.items():
            disk.replace(folder / name, content)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}", "make room there, and start again") from error
    return tuple(folder / name for name in files)
