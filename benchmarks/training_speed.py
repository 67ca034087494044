"""How long does an epoch take? `compression.training.loop` beside the plain fp32 loop anyone writes, in turn.

The plain loop: the same layers from torch.nn, torch's own number of threads, torch.optim.AdamW as it is. Both train the
same images from the same weights and look at the held-out ones after each epoch. Bars: at least 1.7 times as fast where
the processor has bfloat16; the held-out errors equal within the noise of the seeds.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from benchmarks.verdict import machine, spread, tell
from compression.autoencoder import SPECS, AutoencoderSpec, reference_model
from compression.data.capsule import write_dataset
from compression.data.mvtec import read_dataset
from compression.data.prepared import Prepared, prepare_dataset
from compression.training.lessons import reconstruction
from compression.training.loop import Lesson, one_step, train
from compression.training.pace import Pace, fastest
from compression.training.recipe import Epoch, Recipe
from compression.training.schedule import learning_rate
from inspection.preprocess import Preprocessing

PAIRS, TIMED_EPOCHS = 3, 3
SEEDS, EPOCHS = (0, 1, 2), 12
LEAST_RATIO = 1.7


def main() -> bool:
    spec = SPECS["small"]
    print(f"Speed of training: {spec.weight_count / 1e6:.1f} M weights, batches of 16. {machine()}")
    images = _images(spec)
    pace = _pace(spec, images)
    print(f"  ours: {pace.threads} threads, {pace.precision}, as measured; plain: {torch.get_num_threads()}, fp32")
    ours, plain = [], []
    for pair in range(PAIRS):
        for side in (0, 1) if pair % 2 == 0 else (1, 0):
            if side == 0:
                ours.append(_epoch_s(_ours(spec, images, pace, 0, TIMED_EPOCHS)))
            else:
                plain.append(_epoch_s(_plain(spec, images, 0, TIMED_EPOCHS)))
    ratios = [theirs / each for each, theirs in zip(ours, plain, strict=True)]
    print(f"  an epoch: ours {spread(ours, ' s', 2)}, plain {spread(plain, ' s', 2)}, ratio {spread(ratios, '', 2)}")
    fast = tell(f"at least {LEAST_RATIO} times as fast", statistics.median(ratios) >= LEAST_RATIO)
    return _equally_good(spec, images, pace) and fast


def _equally_good(spec: AutoencoderSpec, images: Prepared, pace: Pace) -> bool:
    """The mean difference of the logarithms lies within the spread of the seeds' own."""
    logs = [
        [np.log(list(_ours(spec, images, pace, seed, EPOCHS))[-1][1]) for seed in SEEDS],
        [np.log(list(_plain(spec, images, seed, EPOCHS))[-1][1]) for seed in SEEDS],
    ]
    differences = np.subtract(logs[0], logs[1])
    noise = max(np.std(side, ddof=1) for side in logs)
    errors = [f"{np.exp(np.mean(side)):.4g}" for side in logs]
    print(f"  held-out error after {EPOCHS} epochs, {len(SEEDS)} seeds: ours {errors[0]}, plain {errors[1]};", end=" ")
    print(f"ours / plain {np.exp(differences.mean()):.3f}, seeds differ by a factor of {np.exp(noise):.3f}")
    return tell("held-out errors equal within the noise of the seeds", bool(abs(differences.mean()) <= noise))


def _images(spec: AutoencoderSpec) -> Prepared:
    with tempfile.TemporaryDirectory(prefix="boardfit-bench-") as folder:
        write_dataset(Path(folder) / "data", seed=101, good=1, bad=1, size=spec.size)
        return prepare_dataset(
            read_dataset(Path(folder) / "data"), Preprocessing(height=spec.size, width=spec.size), seed=0
        )


def _lesson(images: Prepared) -> Lesson:
    whole = reconstruction(images)
    return Lesson(whole.train, whole.held_out, whole.target)


def _pace(spec: AutoencoderSpec, images: Prepared) -> Pace:
    model = reference_model(spec, images.train, 0)
    return fastest(one_step(model, _lesson(images), Recipe()), "cpu", None, None)


def _ours(spec: AutoencoderSpec, images: Prepared, pace: Pace, seed: int, epochs: int) -> Iterator[tuple[float, float]]:
    """(seconds since the start, held-out error) after each epoch."""
    told: list[tuple[float, float]] = []
    began = time.perf_counter()

    def on_epoch(epoch: Epoch, _count: int) -> None:
        told.append((time.perf_counter() - began, epoch.held_out_error))

    recipe = Recipe(epochs=epochs, seed=seed, select="validation")
    train(reference_model(spec, images.train, seed), _lesson(images), recipe, pace, on_epoch=on_epoch)
    yield from told


def _plain(spec: AutoencoderSpec, images: Prepared, seed: int, epochs: int) -> Iterator[tuple[float, float]]:
    """The same of the plain loop."""
    recipe = Recipe(epochs=epochs, seed=seed)
    module = _Plain(spec, reference_model(spec, images.train, seed))
    optimizer = torch.optim.AdamW(module.parameters(), weight_decay=0)
    train_images, held_out = torch.from_numpy(images.train), torch.from_numpy(images.held_out)
    steps = -(-len(train_images) // recipe.batch)
    began = time.perf_counter()
    for epoch in range(epochs):
        order = np.random.default_rng((seed, epoch)).permutation(len(train_images))
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(epoch * steps + step, epochs * steps, recipe.learning_rate)
            batch = train_images[order[step * recipe.batch : (step + 1) * recipe.batch]]
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(module(batch), batch)
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no types there
            optimizer.step()
        with torch.no_grad():
            error = float(nn.functional.mse_loss(module(held_out), held_out))
        yield time.perf_counter() - began, error


class _Plain(nn.Module):
    """The reference model, written by hand."""

    def __init__(self, spec: AutoencoderSpec, model: onnx.ModelProto) -> None:
        super().__init__()
        constants = {each.name: torch.tensor(numpy_helper.to_array(each)) for each in model.graph.initializer}
        self.mean, self.deviation = constants["mean"], constants["deviation"]
        layers: list[nn.Module] = []
        for layer in spec.layers:
            kind = nn.Conv2d if layer.operator == "Conv" else nn.ConvTranspose2d
            made = kind(layer.inputs, layer.outputs, 4, stride=2, padding=1)
            made.weight = nn.Parameter(constants[f"{layer.name}.weight"])
            made.bias = nn.Parameter(constants[f"{layer.name}.bias"])
            layers += [made, nn.ReLU()] if layer.relu else [made]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.layers((images - self.mean) / self.deviation) * self.deviation + self.mean
        return made


def _epoch_s(told: Iterator[tuple[float, float]]) -> float:
    """Seconds of an epoch, the first left out: it also prepares kernels."""
    times = [seconds for seconds, _ in told]
    return (times[-1] - times[0]) / (len(times) - 1)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
