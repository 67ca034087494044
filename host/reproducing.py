"""The reproduce flow: capsules -> models at every rate -> their accuracy, latency and memory -> table and figures."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from contract.profile import Profile
from contract.results import BenchRow
from host import disk, teaching
from host.client import AgentClient
from host.errors import InputError, as_input_error
from host.progress import Progress
from host.report import reproduction as report
from host.reproduction import measuring, running
from host.reproduction.plan import Experiment, Unit
from host.reproduction.summary import RateSummary, summarise
from host.reproduction.unit import Job, Result
from host.store import Store


@dataclass(frozen=True)
class Request:
    """`data` None: synthetic capsules, as many as MVTec AD has, are drawn into the folder."""

    folder: Path
    experiment: Experiment
    data: Path | None
    processes: int


@dataclass(frozen=True)
class Outcome:
    """`written`: the files with the figures."""

    results: tuple[Result, ...]
    summaries: tuple[RateSummary, ...]
    rows: dict[Unit, BenchRow]
    written: tuple[Path, ...]


@dataclass(frozen=True)
class Board:
    """What to measure on."""

    client: AgentClient
    profile: Profile
    store: Store


def reproduce(request: Request, connected: Callable[[], Board] | None, progress: Progress) -> Outcome:
    """All of it, but what is done already. `connected` None: nothing is measured. InputError, HostError."""
    from compression.data.capsule import write_dataset
    from compression.data.mvtec import read_dataset

    folder = request.folder
    data = (request.data or folder / "data").absolute()
    with as_input_error():
        teaching.check_torch()
        running.open_folder(folder, Job(request.experiment, str(data)))
        if request.data is None:
            write_dataset(data, on_image=teaching.images_told(progress, "drawing capsules"))
        read_dataset(data)
    results = running.run(folder, request.processes, progress)
    rows = {}
    if connected:
        board = connected()
        rows = measuring.measure(folder, results, board.client, board.profile, board.store, progress)
    summaries = summarise(results)
    progress.stage("drawing")
    files = {**report.pictures(summaries, rows), "accuracy.csv": report.accuracy_csv(results).encode()}
    return Outcome(results, summaries, rows, _written(folder, files))


def _written(folder: Path, files: dict[str, bytes]) -> tuple[Path, ...]:
    try:
        for name, content in files.items():
            disk.replace(folder / name, content)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}", "make room there, and start again") from error
    return tuple(folder / name for name in files)
