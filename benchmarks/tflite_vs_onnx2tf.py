"""Our int8 TFLite files beside onnx2tf's: how near to the float model, in how many operators, how fast, in what memory.

    python -m benchmarks.tflite_vs_onnx2tf

The two trained models of the demo, and the reference autoencoder of 18.7 M weights, untrained, for speed alone. Both
sides calibrate on the same 64 photographs and are compared with ONNX Runtime on 32 others, half of them of defects, by
LiteRT without delegates. Whole processes in turn. onnx2tf is its last version that is TensorFlow's converter and its
newest, each in an environment of its own that is made here: 3.3 GB in all. Bars: at least 40 dB (SQNR), and not below
onnx2tf's; at most 1/10 of its time; less than 1 GB of memory. What cannot be compared is said, and counts as a miss.
"""

import itertools
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from benchmarks.agents import scratch
from benchmarks.onnx2tf_environments import LAST_OF_TENSORFLOW, NEWEST, SAMPLES, NotInstalledError, Onnx2tf
from benchmarks.process_cost import Cost, FailedError, cost_of
from benchmarks.verdict import machine, spread, tell
from compression.autoencoder import SPECS, reference_model
from compression.data.capsule import DEFECTS, photograph
from compression.example import MODELS, SIZE

CALIBRATION, TEST, SAMPLE = 64, 32, 20
PAIRS = 3
LEAST_SQNR_DB, MOST_SHARE, MOST_BYTES = 40.0, 0.1, 10**9
# Others than those of the demo and of any data set: see compression/example.py.
CALIBRATION_SERIES, TEST_SERIES = 200, 201
OURS = "boardfit"
ROOT = Path(__file__).parents[1]

Floats = NDArray[np.float32]
Side = Onnx2tf | None
"""None is ours."""


@dataclass(frozen=True)
class Made:
    """A side's file of a model, and what each time it was made did cost."""

    content: bytes
    costs: Sequence[Cost]

    @property
    def wall_s(self) -> Sequence[float]:
        return [cost.wall_s for cost in self.costs]

    @property
    def peak_bytes(self) -> int:
        return max(cost.peak_bytes for cost in self.costs)


@dataclass(frozen=True)
class Nearness:
    """Of a file's outputs to ONNX Runtime's."""

    sqnr_db: float
    greatest: float
    operators: int


def main() -> bool:
    print(f"int8 TFLite of boardfit and of onnx2tf, {CALIBRATION} calibration images. {machine()}, {_load()}")
    others, missing = _prepared()
    with scratch() as folder:
        photos = folder / "photos.npy"
        np.save(photos, _photographs(CALIBRATION_SERIES, CALIBRATION))
        (folder / "medium.onnx").write_bytes(_reference(np.load(photos)).SerializeToString())
        trained = [_compared(ROOT / "compression" / "models" / name, others, photos, folder, True) for name in MODELS]
        speed = _compared(folder / "medium.onnx", others, photos, folder, False)
    print(f"  at the end {_load()}")
    return all([*trained, speed]) and not missing


def _prepared() -> tuple[list[Onnx2tf], bool]:
    """Those that are there, and whether one is not."""
    there = []
    for other in (LAST_OF_TENSORFLOW, NEWEST):
        try:
            other.prepare()
        except NotInstalledError as error:
            tell(f"without {other.name}, which cannot be installed, so that nothing is compared with it: {error}", False)
        else:
            there.append(other)
    return there, len(there) < 2


def _compared(model: Path, others: Sequence[Onnx2tf], photos: Path, folder: Path, trained: bool) -> bool:
    """Prints and judges; SQNR of trained models alone, for an untrained one has no signal."""
    made: dict[str, Made] = {}
    passed = True
    pairs: dict[str, list[float]] = {}
    for other in others:
        try:
            ours, theirs = _in_turn(model, other, photos, folder)
        except FailedError as error:
            passed = tell(f"{model.stem}: nothing to compare with, {other.name} {error}", False)
            continue
        made[OURS] = Made(ours.content, [*(made[OURS].costs if OURS in made else ()), *ours.costs])
        made[other.name] = theirs
        pairs[other.name] = [a / b for a, b in zip(ours.wall_s, theirs.wall_s, strict=True)]
    if OURS not in made:
        made[OURS] = Made(*_run(model, None, photos, folder))
    ...
    return passed


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
