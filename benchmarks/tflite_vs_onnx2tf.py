"""Our int8 TFLite files beside onnx2tf's: how near to the float model, in how many operators, how fast, in what memory.

    python -m benchmarks.tflite_vs_onnx2tf

The two trained models of the demo; for speed alone the reference autoencoder of 18.7 M weights, untrained. Each side
calibrates on the same 64 photographs of good capsules and is compared with ONNX Runtime on 32 others, half of them with
defects, by LiteRT without delegates. Whole processes in turn. Of onnx2tf the newest version, and the last for this
Python, which is TensorFlow's converter; they are installed here first, 3.3 GB. Bars: SQNR of at least 40 dB and not
below onnx2tf's; at most 1/10 of its time; less than 1 GB of memory. What could not be compared is said, and is a miss.
"""

import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from benchmarks.agents import scratch
from benchmarks.onnx2tf_environments import SAMPLES, VERSIONS, NotInstalledError, Onnx2tf
from benchmarks.process_cost import Cost, FailedError, cost_of
from benchmarks.tflite_nearness import nearness, onnx_outputs
from benchmarks.verdict import machine, spread, tell
from compression.autoencoder import SPECS, reference_model
from compression.data.capsule import DEFECTS, photograph
from compression.example import MODELS, SIZE
from converters.anatomy.inspect import inspect_file

CALIBRATION, TEST, SAMPLE = 64, 32, 20
ROUNDS = 3
LEAST_SQNR_DB, MOST_SHARE, MOST_BYTES = 40.0, 0.1, 10**9
# Other photographs than the demo's and those of any data set: compression/example.py.
CALIBRATION_SERIES, TEST_SERIES = 200, 201
ROOT = Path(__file__).parents[1]
MB = 10**6

Floats = NDArray[np.float32]


class Ours:
    """Our side, in the form of an `Onnx2tf`."""

    name = "boardfit"
    path = ROOT

    def command(self, model: Path, _input_name: str, images: Path, out: Path) -> Sequence[str]:
        script = ROOT / "benchmarks" / "bare_conversion.py"
        return [sys.executable, str(script), str(model), str(images), str(self.file(model, out))]

    def file(self, model: Path, out: Path) -> Path:
        return out / f"{model.stem}.tflite"


OURS = Ours()


@dataclass
class Made:
    """A side's file of a model and what it cost, each time the same; or why there is none."""

    file: Path | None = None
    costs: list[Cost] = field(default_factory=list)
    failure: str | None = None

    @property
    def wall_s(self) -> list[float]:
        return [cost.wall_s for cost in self.costs]

    @property
    def peak_bytes(self) -> int:
        return max(cost.peak_bytes for cost in self.costs)


def main() -> bool:
    print(f"int8 TFLite by boardfit and by onnx2tf, {CALIBRATION} calibration images. {machine()}, {_load()}")
    others = [version for version in VERSIONS if _prepared(version)]
    with scratch() as folder:
        images = _photographs(CALIBRATION_SERIES, [None] * CALIBRATION)
        np.save(folder / "images.npy", np.moveaxis(images, 1, -1))
        untrained = folder / "reference.onnx"
        untrained.write_bytes(reference_model(SPECS["medium"], images, seed=0).SerializeToString())
        passed = [_of_trained(ROOT / "compression" / "models" / name, others, folder) for name in MODELS]
        passed.append(_cheap(untrained, _in_turn(untrained, others, folder)))
    print(f"  at the end {_load()}")
    return all(passed) and len(others) == len(VERSIONS)


def _prepared(version: Onnx2tf) -> bool:
    try:
        version.prepare()
    except NotInstalledError as error:
        return tell(f"not compared with {version.name}, which cannot be installed: {error}", False)
    return True


def _of_trained(model: Path, others: Sequence[Onnx2tf], folder: Path) -> bool:
    made = _in_turn(model, others, folder)
    return _cheap(model, made) & _near(model, made)


def _in_turn(model: Path, others: Sequence[Onnx2tf], folder: Path) -> dict[str, Made]:
    """By name, the order turned round from round to round. FailedError where it is ours that fails."""
    sides: list[Ours | Onnx2tf] = [OURS, *others]
    made = {side.name: Made() for side in sides}
    input_name = onnx.load(model).graph.input[0].name
    for turn in range(ROUNDS):
        for side in sides if turn % 2 == 0 else reversed(sides):
            out = folder / f"{model.stem}-{side.name}-{turn}"
            out.mkdir()
            np.save(out / SAMPLES, np.load(folder / "images.npy")[:SAMPLE])
            try:
                cost = cost_of(side.command(model, input_name, folder / "images.npy", out), out, side.path)
            except FailedError as error:
                if side is OURS:
                    raise
                made[side.name].failure = str(error)
            else:
                made[side.name].file = side.file(model, out)
                made[side.name].costs.append(cost)
    return made


def _cheap(model: Path, made: Mapping[str, Made]) -> bool:
    """Prints and judges time and memory."""
    for name, one in made.items():
        if one.failure is None:
            print(f"  {model.stem}, {name}: {spread(one.wall_s, ' s', 2)}, at most {one.peak_bytes / MB:.0f} MB")
    ours = made[OURS.name]
    passed = tell(
        f"{ours.peak_bytes / MB:.0f} MB of memory, less than {MOST_BYTES / MB:.0f}", ours.peak_bytes < MOST_BYTES
    )
    for name, their in made.items():
        if their is ours:
            continue
        if their.failure is not None:
            passed = tell(f"not compared with {name}, which {their.failure}", False)
            continue
        share = statistics.median(a / b for a, b in zip(ours.wall_s, their.wall_s, strict=True))
        passed &= tell(f"{share:.3f} of {name}'s time, at most {MOST_SHARE:g}", share <= MOST_SHARE)
    return passed


def _near(model: Path, made: Mapping[str, Made]) -> bool:
    """Prints and judges how near the files are, of those that were made."""
    kinds = sorted(DEFECTS)
    images = _photographs(TEST_SERIES, [kinds[number % len(kinds)] if number % 2 else None for number in range(TEST)])
    wanted = onnx_outputs(model, images)
    sqnr_db = {}
    for name, one in made.items():
        if one.failure is None and one.file is not None:
            near = nearness(one.file, images, wanted)
            sqnr_db[name] = near.sqnr_db
            operators = sum(each.count for each in inspect_file(one.file).operators)
            found = f"{near.sqnr_db:.2f} dB, error at most {near.greatest:.4f}, {operators} operators"
            print(f"  {model.stem}, {name}: {found}")
    ours = sqnr_db.pop(OURS.name)
    passed = tell(f"{ours:.2f} dB, at least {LEAST_SQNR_DB:g}", ours >= LEAST_SQNR_DB)
    for name, their in sqnr_db.items():
        passed &= tell(f"{ours:.2f} dB, not below {name}'s {their:.2f}", ours >= their)
    return passed


def _photographs(series: int, defects: Sequence[str | None]) -> Floats:
    """As the models take them: float32 (n,3,height,width) from 0 to 1."""
    pictures = [photograph((0, series, number), defect, SIZE) for number, defect in enumerate(defects)]
    return np.stack([np.asarray(picture, np.float32).transpose(2, 0, 1) / 255 for picture in pictures])


def _load() -> str:
    return f"load {os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
