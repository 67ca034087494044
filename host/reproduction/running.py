"""The units of an experiment, so many processes at a time, one thread each; what is done is never done again."""

from pathlib import Path

from host.engine import lock
from host.engine import running as engine
from host.engine.local import Local
from host.engine.task import Task
from host.errors import InputError
from host.progress import Progress
from host.reproduction.plan import Unit, units_of
from host.reproduction.records import JOB_FILE, Job, Result


def check_folder(folder: Path) -> None:
    """InputError where it is neither new nor that of an experiment."""
    if (folder / JOB_FILE).is_file() or not folder.exists():
        return
    if not folder.is_dir() or {path.name for path in folder.iterdir()} - {"data"}:
        raise InputError(f"{folder} is there and is not empty", "name another folder")


def open_folder(folder: Path, job: Job) -> None:
    """Claimed for `job`. InputError where it is for another one, or has something else in it."""
    check_folder(folder)
    if (folder / JOB_FILE).is_file():
        if Job.read(folder) != job:
            raise InputError(
                f"{folder} has another experiment, or one on other images: {_in_words(Job.read(folder))}",
                "name another folder",
            )
        return
    try:
        job.write(folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}", "name another folder") from error


def run(folder: Path, processes: int, progress: Progress) -> tuple[Result, ...]:
    """The results of all units, in their order. An interrupt ends the processes; HostError where one fails."""
    units = {unit.name: unit for unit in units_of(Job.read(folder).experiment)}

    def told(task: Task) -> None:
        result = Result.read(folder, units[task.name])
        progress.note(
            f"{task.name}: {result.weights:,} weights, held-out error {result.held_out_error:.4g}, "
            f"{result.cpu_s:.0f} s of CPU"
        )

    with lock.held(folder):
        progress.stage(f"training, {processes} at a time")
        engine.run(folder, [_task(unit) for unit in units.values()], Local(processes), progress, told)
    return tuple(Result.read(folder, unit) for unit in units.values())


def _task(unit: Unit) -> Task:
    needs = () if unit.needs is None else (unit.needs.name,)
    return Task(unit.name, "host.reproduction.unit", (f"{unit.name}.onnx", f"{unit.name}.json"), needs)


def _in_words(job: Job) -> str:
    did = job.experiment
    return f"{did.model}, {len(did.seeds)} seeds, {did.epochs} and {did.retrain_epochs} epochs, {job.data}"
