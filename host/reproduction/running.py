"""The units of an experiment, so many processes at a time, one thread each; what is done is never done again."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from host.errors import HostError, InputError
from host.progress import Progress
from host.reproduction.plan import Unit, units_of
from host.reproduction.unit import JOB_FILE, Job, Result

POLL_EVERY_S = 0.2
LOG_TAIL = 20  # lines
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass
class _Running:
    unit: Unit
    process: "subprocess.Popen[bytes]"
    log: Path


def open_folder(folder: Path, job: Job) -> None:
    """Claimed for `job`. InputError where it is for another one, or has something else in it."""
    if (folder / JOB_FILE).is_file():
        if Job.read(folder) != job:
            raise InputError(
                f"{folder} has an experiment of other options: {(folder / JOB_FILE).read_text(encoding='utf-8')}",
                "name another folder, or give those options",
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there and is not empty", "name another folder")
    try:
        job.write(folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}", "name another folder") from error


def run(folder: Path, processes: int, progress: Progress) -> tuple[Result, ...]:
    """The results of all units, in their order. An interrupt ends the processes; HostError where one fails."""
    units = units_of(Job.read(folder).experiment)
    waiting = [unit for unit in units if not _result_file(folder, unit).exists()]
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
    return tuple(Result.read(_result_file(folder, unit)) for unit in units)


def _ready(folder: Path, waiting: list[Unit]) -> list[Unit]:
    return [unit for unit in waiting if unit.needs is None or _result_file(folder, unit.needs).exists()]


def _started(folder: Path, unit: Unit) -> _Running:
    """In a session of its own: Ctrl-C reaches this process alone, which ends the others."""
    log = folder / f"{unit.name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "host.reproduction.unit", str(folder), unit.name],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **_ONE_THREAD},
            start_new_session=True,
        )
    return _Running(unit, process, log)


def _told(folder: Path, ended: _Running) -> str:
    if ended.process.returncode:
        tail = ended.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL:]
        raise HostError(
            f"{ended.unit.name} ended with {ended.process.returncode}:\n" + "\n".join(tail),
            f"what is done is kept; the whole log is {ended.log}",
        )
    ended.log.unlink()
    result = Result.read(_result_file(folder, ended.unit))
    return (
        f"{ended.unit.name}: {result.weights:,} weights, held-out error {result.held_out_error:.4g}, "
        f"{result.cpu_s:.0f} s of CPU"
    )


def _names(running: list[_Running]) -> str:
    return ", ".join(each.unit.name for each in running)


def _result_file(folder: Path, unit: Unit) -> Path:
    return folder / f"{unit.name}.json"
