"""What a study asks."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from compression.training.recipe import Select
from contract.manifest import MODEL_NAME
from host import places
from host.errors import InputError

CONTROL_RATE = 0.0
"""Of the control: the original, nothing removed, trained on for as long as the compressed models are retrained."""

STUDY_FILE = "study.json"


@dataclass(frozen=True)
class Study:
    """`model`: a key of `compression.autoencoder.SPECS`, which is trained here, or the path of an .onnx file.

    `rates` ascend, and the first is CONTROL_RATE. A trial compresses and retrains anew with a seed of its own (`seed` +
    trial - 1, trials counted from 1); `own_original`: it also trains its original anew, else all trials share one.
    `epochs` of the original, where it is trained here; `retrain_epochs` of every rate, the control included. `select`:
    how an epoch is chosen, the same way for all of them; by the test images it is optimistic. `runs` of each bench.
    """

    name: str
    data: Path
    model: str
    rates: tuple[float, ...]
    trials: int
    boards: tuple[str, ...]
    epochs: int = 200
    retrain_epochs: int = 200
    select: Select = "validation"
    seed: int = 0
    own_original: bool = False
    runs: int = 1000
    device: Literal["cpu", "cuda"] = "cpu"

    @property
    def folder(self) -> Path:
        """Where its records and models are."""
        return folder_of(self.name)


def folder_of(name: str) -> Path:
    """The folder of a study, there or not. InputError where it is no name for one."""
    if not re.fullmatch(MODEL_NAME, name):
        raise InputError(
            f"{name!r} is no name for a study", "take letters, digits, dot, dash and underscore; 64 at most"
        )
    return places.data_dir() / "studies" / name
