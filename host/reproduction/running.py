"""The units of an experiment, so many processes at a time, one thread each; what is done is never done again."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from host.errors import HostError, InputError
from host.progress import Progress
from host.reproduction.plan import Unit, units_of
from host.reproduction.records import JOB_FILE, Job, Result

POLL_EVERY_S = 0.2
LOG_TAIL = 20  # lines
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass
class _Running:
    unit: Unit
    process: "subprocess.Popen[bytes]"
    log: Path


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
    try:
        with FileLock(folder / ".lock", timeout=0):
            return _run(folder, processes, progress)
    except Timeout as error:
        raise InputError(f"another process is at work in {folder}", "wait for it, or name another folder") from error


def _run(folder: Path, processes: int, progress: Progress) -> tuple[Result, ...]:
    units = units_of(Job.read(folder).experiment)
    waiting = [unit for unit in units if not Result.path(folder, unit).exists()]
    running: list[_Running] = []
    progress.stage(f"training, {processes} at a time")
    try:
        while waiting or running:
            progress.advance(len(units) - len(waiting) - len(running), len(units), _names(running))
            for ready in _ready(folder, waiting)[: processes - len(running)]:
                waiting.remove(ready)
                running.append(_started(folder, ready))
            time.sleep(POLL_EVERY_S)
            for each in [each for each in running if each.process.poll() is not None]:
                running.remove(each)
                progress.note(_told(folder, each))
    finally:
        for each in running:
            each.process.send_signal(signal.SIGTERM)
        for each in running:
            each.process.wait()
    return tuple(Result.read(folder, unit) for unit in units)


def _ready(folder: Path, waiting: list[Unit]) -> list[Unit]:
    return [unit for unit in waiting if unit.needs is None or Result.path(folder, unit.needs).exists()]


def _started(folder: Path, unit: Unit) -> _Running:
    """In a session of its own: Ctrl-C reaches this process alone, which ends the others."""
    log = folder / f"{unit.name}.log"
    with _opened(log) as file:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "host.reproduction.unit", str(folder), unit.name],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **_ONE_THREAD},
            start_new_session=True,
        )
    return _Running(unit, process, log)


def _opened(log: Path) -> BinaryIO:
    try:
        return log.open("wb")
    except OSError as error:
        raise InputError(f"{log} cannot be written: {error.strerror}", "make room, and start again") from error


def _told(folder: Path, ended: _Running) -> str:
    if ended.process.returncode:
        tail = ended.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL:]
        raise HostError(
            f"{ended.unit.name} ended with {ended.process.returncode}:\n" + "\n".join(tail),
            f"what is done is kept; the whole log is {ended.log}",
        )
    ended.log.unlink()
    result = Result.read(folder, ended.unit)
    return (
        f"{ended.unit.name}: {result.weights:,} weights, held-out error {result.held_out_error:.4g}, "
        f"{result.cpu_s:.0f} s of CPU"
    )


def _names(running: list[_Running]) -> str:
    return ", ".join(each.unit.name for each in running)


def _in_words(job: Job) -> str:
    did = job.experiment
    return f"{did.model}, {len(did.seeds)} seeds, {did.epochs} and {did.retrain_epochs} epochs, {job.data}"
