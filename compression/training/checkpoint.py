"""The state of a training, on disk: one file, replaced as a whole, without pickle.

A zip of arrays as numpy writes it, and one text in it: what the state belongs to, which epochs are done.
"""

import hashlib
import json
import os
import time
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compression.errors import CheckpointError
from compression.training.pace import Pace
from compression.training.recipe import Epoch

SHARE = 0.1
"""Of the time of training that goes into writing, at most: a large model does not write after every epoch."""

_TEXT, _START = "about", "start"


@dataclass(frozen=True)
class State:
    """After an epoch: `arrays` by name (parameters, moments, the best parameters) and all epochs of the stage so far.

    A training in several stages is in number `stage`, which began with the serialized model `start`; b"" in the first,
    whose model is what the training was called with.
    """

    stage: int
    start: bytes
    pace: Pace
    history: tuple[Epoch, ...]
    best: Epoch
    arrays: Mapping[str, NDArray[Any]]


def fingerprint(*parts: bytes | str | NDArray[Any]) -> str:
    """sha256 of what a training begins with: model and images."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        header = part.shape if isinstance(part, np.ndarray) else len(content)
        digest.update(f"{header};".encode())
        digest.update(np.ascontiguousarray(content).data if isinstance(content, np.ndarray) else content)
    return digest.hexdigest()


class Checkpoint:
    """The file of one training; `belongs_to` is the `fingerprint` of what it began with, `options` how it was asked for
    by name, of which a training that goes on must be given the same.
    """

    def __init__(self, path: Path, belongs_to: str, options: Mapping[str, Any] | None = None) -> None:
        self.path, self._belongs_to = path, belongs_to
        self._options = {name: repr(value) for name, value in (options or {}).items()}
        self._cost_s, self._written_at = 0.0, time.monotonic()

    def is_due(self) -> bool:
        """Whether writing now keeps to `SHARE`."""
        return time.monotonic() - self._written_at >= self._cost_s / SHARE

    def write(self, state: State) -> None:
        """OSError where it cannot be written; the state before is then still there."""
        began = time.monotonic()
        about = {
            "belongs_to": self._belongs_to,
            "options": self._options,
            "stage": state.stage,
            "pace": asdict(state.pace),
            "history": [asdict(epoch) for epoch in state.history],
            "best": asdict(state.best),
        }
        texts = {_TEXT: np.array(json.dumps(about)), _START: np.frombuffer(state.start, np.uint8)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_name(f".{self.path.name}.part")
        try:
            with unfinished.open("wb") as file:
                np.savez(file, **state.arrays, **texts)  # type: ignore[arg-type]  # none is called allow_pickle
                file.flush()
                os.fsync(file.fileno())  # or a power cut could leave the name with nothing behind it
            unfinished.replace(self.path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        self._written_at = time.monotonic()
        self._cost_s = self._written_at - began

    def read(self) -> State | None:
        """None where there is none yet. CheckpointError where it is another training's, or broken."""
        try:
            with self.path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                about = json.loads(str(file[_TEXT]))
                self._check(about["belongs_to"], about["options"])
                return State(
                    about["stage"],
                    file[_START].tobytes(),
                    Pace(**about["pace"]),
                    tuple(Epoch(**row) for row in about["history"]),
                    Epoch(**about["best"]),
                    {name: file[name] for name in file.files if name not in (_TEXT, _START)},
                )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise CheckpointError(f"{self.path} is no checkpoint: {error}", "give --restart to train anew") from error

    def _check(self, belongs_to: str, options: Mapping[str, str]) -> None:
        """CheckpointError names what differs."""
        differing = [
            f"{name.replace('_', ' ')} {options.get(name)}, not {self._options.get(name)}"
            for name in {**options, **self._options}
            if options.get(name) != self._options.get(name)
        ]
        if belongs_to != self._belongs_to:
            differing.append("other images or another model")
        if differing:
            raise CheckpointError(
                f"{self.path} is of a training with {'; '.join(differing)}",
                "give those again to go on with it, or --restart to train anew",
            )

    def remove(self) -> None:
        """Also where there is none."""
        self.path.unlink(missing_ok=True)
