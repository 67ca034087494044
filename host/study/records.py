"""What the steps of a study leave in its folder: each a JSON file, written whole when the step is done.

original.json, trial-T/original.json    Taught        of the original that all trials share, or of each trial's own
trial-T/rate-R.json                     Taught        of a compressed model, or of the control (rate 0)
trial-T/rate-R.BOARD.json               OnBoard       of that model on a board

The model of a Taught lies beside it, .onnx for .json. The bench of an OnBoard is a row of the results database.
"""

from dataclasses import dataclass
from pathlib import Path

from inspection.score import Method


@dataclass(frozen=True)
class ImageScores:
    """Of the test images, in the order of `images`: their paths in the data set. By the model's own score, `method`."""

    method: Method
    images: tuple[str, ...]
    defective: tuple[bool, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Taught:
    """A model that was trained, or compressed and retrained, and what its float form makes of the test images.

    `rate`: reached; `requested_rate` None of an original. `epochs` were run, `kept_epoch` is the one kept, counted from
    1. `optimistic`: it was chosen by the test images. `held_out_error`: mean squared error of the held-out training
    images. `macs` None where they are not known.
    """

    trial: int
    requested_rate: float | None
    rate: float
    weights: int
    macs: int | None
    seed: int
    epochs: int
    kept_epoch: int
    optimistic: bool
    held_out_error: float
    threshold: float | None
    scores: ImageScores


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
