"""A complete example to try boardfit with: a trained inspection model, its compressed form, photographs for them.

Both models are files of this package, made once with

    host dataset capsule capsules --variation studio
    host train --data capsules -o autoencoder.onnx --model tiny --epochs 100 --select validation --weight-decay 2
    host compress autoencoder.onnx --rate 0.95 --data capsules -o autoencoder-95.onnx --retrain-epochs 100 \\
        --select validation

The photographs are others than those: equal seeds give equal ones.
"""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from compression.data.capsule import DEFECTS, STUDIO, photograph

SIZE = 128
GOOD_COUNT, DEFECTIVE_COUNT = 8, 5
MODELS = ("autoencoder.onnx", "autoencoder-95.onnx")
# Each photograph's seed is (seed, series, number): no series shares an image with another, or with a data set.
GOOD_SERIES, DEFECTIVE_SERIES = 100, 101


@dataclass(frozen=True)
class ExamplePaths:
    """What `write_example` wrote: the model and its form with 5 % of the weights, images."""

    model: Path
    compressed: Path
    good: tuple[Path, ...]
    defective: tuple[Path, ...]


def write_example(folder: Path, seed: int = 0) -> ExamplePaths:
    """Write both models, ``good/*.png`` and ``defective/*.png`` into `folder`, made where it does not exist.

    Files of these names are overwritten. OSError where it cannot write.
    """
    for name in ("good", "defective"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name in MODELS:
        (folder / name).write_bytes((files("compression") / "models" / name).read_bytes())
    kinds = sorted(DEFECTS)
    paths = ExamplePaths(
        folder / MODELS[0],
        folder / MODELS[1],
        tuple(folder / "good" / f"{number:03d}.png" for number in range(GOOD_COUNT)),
        tuple(folder / "defective" / f"{number:03d}_{kinds[number]}.png" for number in range(DEFECTIVE_COUNT)),
    )
    for number, path in enumerate(paths.good):
        photograph((seed, GOOD_SERIES, number), None, SIZE, STUDIO).save(path)
    for number, path in enumerate(paths.defective):
        photograph((seed, DEFECTIVE_SERIES, number), kinds[number], SIZE, STUDIO).save(path)
    return paths
