"""What the steps of a study leave in its folder: each a JSON file, written whole when the step is done.

study.json                              Opened        what was asked, of which images, and when
original.json, trial-T/original.json    Taught        of the original that all trials share, or of each trial's own
trial-T/rate-R.json                     Taught        of a compressed model, or of the control (rate 0)
trial-T/rate-R.BOARD.json               OnBoard       of that model on a board

The model of a Taught lies beside it, .onnx for .json. The bench of an OnBoard is a row of the results database.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from host import disk
from host.errors import InputError
from host.study.spec import Study
from inspection.score import Method

STUDY_FILE = "study.json"
DATA, MODEL = "data", "model.onnx"
"""In the folder: a link to the images; the user's own model, self-contained, where there is one."""

Record = TypeVar("Record")


@dataclass(frozen=True)
class Opened:
    """A study that was begun; `data_sha256` of the images' files and their names, `model_sha256` of the user's own."""

    study: Study
    data_sha256: str
    created_at: datetime
    model_sha256: str | None = None


@dataclass(frozen=True)
class ImageScores:
    """Of the test images, in the order of `images`: their paths in the data set. By the model's own score, `method`."""

    method: Method
    images: tuple[str, ...]
    defective: tuple[bool, ...]
    scores: tuple[float, ...]

    @property
    def auc(self) -> float:
        from inspection.accuracy import auc

        return auc(self.scores, self.defective)


@dataclass(frozen=True)
class Taught:
    """A model that was trained, or compressed and retrained, and what its float form makes of the test images.

    `rate`: reached; `requested_rate` None of an original. `epochs` were run, `kept_epoch` is the one kept, counted from
    1; None of a model that nobody here has trained. `optimistic`: it was chosen by
    the test images. `held_out_error`: mean squared error of the held-out training images. `macs` None where they are
    not known, `scores` of a model that reconstructs nothing.
    """

    trial: int
    requested_rate: float | None
    rate: float
    weights: int
    macs: int | None
    seed: int
    epochs: int | None
    kept_epoch: int | None
    optimistic: bool
    held_out_error: float | None
    threshold: float | None
    scores: ImageScores | None


@dataclass(frozen=True)
class OnBoard:
    """A model on a board: the row of its bench, and what the artifact there makes of the test images.

    `scores` and `threshold` (the artifact's own, found there) are None where it does not run, or has no score.
    """

    board: str
    trial: int
    requested_rate: float
    row: str
    threshold: float | None
    scores: ImageScores | None


def original_path(folder: Path, trial: int | None) -> Path:
    """`trial` None: the original that all trials share."""
    return folder / "original.json" if trial is None else folder / f"trial-{trial}" / "original.json"


def taught_path(folder: Path, trial: int, rate: float) -> Path:
    """`rate` as requested."""
    return folder / f"trial-{trial}" / f"rate-{rate:g}.json"


def on_board_path(folder: Path, trial: int, rate: float, board: str) -> Path:
    """`rate` as requested."""
    return folder / f"trial-{trial}" / f"rate-{rate:g}.{board}.json"


def model_path(record: Path) -> Path:
    """The model of an original or a Taught."""
    return record.with_suffix(".onnx")


def write(path: Path, record: Any) -> None:
    """Whole or not at all. OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    disk.replace(path, json.dumps(asdict(record), default=str, indent=1).encode())


def read(kind: type[Record], path: Path) -> Record:
    """InputError where it is damaged, or another version of boardfit wrote it."""
    try:
        record: Record = _adapter(cast("Any", kind)).validate_json(path.read_bytes())
        return record
    except (OSError, ValidationError) as error:
        raise InputError(
            f"{path} is no record of this version of boardfit: {error}",
            "remove it, and `host study resume` makes it anew; if it is study.json, begin another study",
        ) from error


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    """Made once: it takes longer than to read a record."""
    return TypeAdapter(kind)


def read_all(kind: type[Record], paths: Mapping[Any, Path]) -> dict[Any, Record]:
    """Those that are there, by the same keys."""
    return {key: read(kind, path) for key, path in paths.items() if path.is_file()}
