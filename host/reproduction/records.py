"""What a folder of an experiment has: what it is for, and a result for each unit that is done."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from host import disk
from host.errors import InputError
from host.reproduction.plan import Experiment, Unit

JOB_FILE = "experiment.json"
Scores = tuple[float, ...]


@dataclass(frozen=True)
class Job:
    """An experiment on a data set in MVTec AD's layout: its path, relative to the folder where it lies in it, and the
    sha256 of its files.
    """

    experiment: Experiment
    data: str
    data_sha256: str

    @classmethod
    def of(cls, experiment: Experiment, folder: Path, data: Path) -> "Job":
        inside = data.resolve().is_relative_to(folder.resolve())
        path = data.resolve().relative_to(folder.resolve()) if inside else data.resolve()
        return cls(experiment, str(path), digest(data))

    @classmethod
    def read(cls, folder: Path) -> "Job":
        """InputError where another version of boardfit wrote it: its units were trained otherwise."""
        told = json.loads((folder / JOB_FILE).read_text(encoding="utf-8"))
        if told.keys() != {field.name for field in fields(cls)} or told["experiment"].keys() != {
            field.name for field in fields(Experiment)
        }:
            raise InputError(f"{folder} has an experiment of another version of boardfit", "name another folder")
        return cls(Experiment(**_with_tuples(told["experiment"])), told["data"], told["data_sha256"])

    def folder_of(self, folder: Path) -> Path:
        """Where the data set is."""
        return folder / self.data

    def write(self, folder: Path) -> None:
        disk.replace(folder / JOB_FILE, json.dumps(asdict(self), indent=1).encode())


@dataclass(frozen=True)
class Result:
    """Of one unit. Scores are of the test images, in the order of `images`: their paths in the data set. `cpu_s` counts
    from the last start: of a unit that was interrupted it is only a part.
    """

    unit: Unit
    weights: int
    rate: float
    held_out_error: float
    epochs: int
    cpu_s: float
    images: tuple[str, ...]
    defective: tuple[bool, ...]
    smoothed: Scores
    normalised: Scores
    threshold: float

    @staticmethod
    def path(folder: Path, unit: Unit) -> Path:
        return folder / f"{unit.name}.json"

    @classmethod
    def read(cls, folder: Path, unit: Unit) -> "Result":
        told = json.loads(cls.path(folder, unit).read_text(encoding="utf-8"))
        return cls(**{**_with_tuples(told), "unit": Unit(**told["unit"])})

    def write(self, folder: Path) -> None:
        disk.replace(self.path(folder, self.unit), json.dumps(asdict(self)).encode())


def _with_tuples(told: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in told.items()}


def digest(data: Path) -> str:
    """The sha256 of the files of a data set, and of their paths in it."""
    sha256 = hashlib.sha256()
    for path in sorted(path for path in data.rglob("*") if path.is_file()):
        sha256.update(os.fsencode(f"{path.relative_to(data)};{path.stat().st_size};"))
        sha256.update(path.read_bytes())
    return sha256.hexdigest()
