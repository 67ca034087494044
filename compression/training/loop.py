"""Training: epochs over the images, the best one's weights kept, resumable after each.

The order of the images is drawn anew from (seed, epoch), the learning rate from the number of the step: whoever goes on
after an epoch does the same as who was not interrupted.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto

from compression.errors import DivergedError, TrainingMemoryError
from compression.training.checkpoint import Checkpoint, State
from compression.training.module import OnnxModule, written_back
from compression.training.pace import Pace
from compression.training.recipe import Epoch, Recipe
from compression.training.schedule import learning_rate, weight_decay

Floats = NDArray[np.float32]
Target = Callable[[torch.Tensor], tuple[torch.Tensor, ...]]
"""What a model's outputs should be for a batch: the images themselves, or what another model makes of them."""
Run = Callable[[Floats], Floats]
"""A model: prepared images (n,...) -> its first output (n,...)."""
Judge = Callable[[Run], float]
"""The AUC of a model."""
OnEpoch = Callable[[Epoch, int], None]
"""Called after each epoch with how many there will be."""


@dataclass(frozen=True)
class Lesson:
    """Prepared images to train on and others to watch, (n,...) as the model takes them, and what to make of them."""

    train: Floats
    held_out: Floats
    target: Target
    judge: Judge | None = None


@dataclass(frozen=True, eq=False)
class Trained:
    """A model with the weights of its `best` epoch."""

    model: ModelProto
    best: Epoch
    history: tuple[Epoch, ...]


def train(
    model: ModelProto,
    lesson: Lesson,
    recipe: Recipe,
    pace: Pace,
    checkpoint: Checkpoint | None = None,
    on_epoch: OnEpoch | None = None,
    stage: int = 0,
) -> Trained:
    """`model` with its weights trained on `lesson`; it is not changed itself.

    What `checkpoint` holds of this `stage` is taken up again. UnsupportedOperatorError, DivergedError,
    TrainingMemoryError, CheckpointError; OSError where the checkpoint cannot be written.
    """
    with pace.kept(), _memory_errors(recipe):
        course = _Course(model, lesson, recipe, pace)
        state = checkpoint.read() if checkpoint else None
        if state and state.stage == stage:
            course.take_up(state)
        start = model.SerializeToString() if stage else b""
        while course.done < recipe.epochs:
            epoch = course.epoch()
            if checkpoint and (checkpoint.is_due() or course.done == recipe.epochs):
                checkpoint.write(course.state(stage, start))
            if on_epoch:
                on_epoch(epoch, recipe.epochs)
        return course.outcome()


def one_step(model: ModelProto, lesson: Lesson, recipe: Recipe) -> Callable[[Pace], None]:
    """A step of training on a copy, to measure how long it takes. TrainingMemoryError."""

    def step(pace: Pace) -> None:
        with _memory_errors(recipe):
            if pace.device not in courses:
                courses[pace.device] = _Course(model, lesson, recipe, pace)
            course = courses[pace.device]
            course.pace = pace
            course.step(lesson.train[: recipe.batch], 0.0)

    courses: dict[str, _Course] = {}
    return step


@contextmanager
def _memory_errors(recipe: Recipe) -> Iterator[None]:
    """torch tells of a full memory by a RuntimeError, on a CPU only by its text."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        full = isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
        if not full:
            raise
        raise TrainingMemoryError(
            f"a batch of {recipe.batch} images does not fit into memory", "give a smaller --batch or a smaller model"
        ) from error


class _Course:
    """A training under way."""

    def __init__(self, model: ModelProto, lesson: Lesson, recipe: Recipe, pace: Pace) -> None:
        self.pace = pace
        self._model, self._lesson, self._recipe = model, lesson, recipe
        self._module = _in_channels_last(OnnxModule(model).to(pace.device))
        self._parameters = dict(self._module.named_parameters())
        self._optimizer = torch.optim.AdamW(self._groups(), fused=True)
        self._kernels_group = self._optimizer.param_groups[0]
        self._history: list[Epoch] = []
        self._best: Epoch | None = None
        self._best_values: dict[str, torch.Tensor] = {}
        self._scales = self._output_variances()

    @property
    def done(self) -> int:
        return len(self._history)

    def epoch(self) -> Epoch:
        recipe, images = self._recipe, self._lesson.train
        order = np.random.default_rng((recipe.seed, self.done)).permutation(len(images))
        starts = range(0, len(images), recipe.batch)
        total = 0.0
        for place, start in enumerate(starts):
            batch = images[order[start : start + recipe.batch]]
            step, steps = self.done * len(starts) + place, recipe.epochs * len(starts)
            self._kernels_group["weight_decay"] = weight_decay(step, steps, recipe.weight_decay)
            total += self.step(batch, learning_rate(step, steps, recipe.learning_rate)) * len(batch)
        number = self.done + 1
        if not math.isfinite(total):
            raise DivergedError(
                f"the training error is {total} in epoch {number}, at a learning rate of {recipe.learning_rate:g}",
                "give a lower --learning-rate",
            )
        epoch = Epoch(number, total / len(images), self._held_out_error(), self._auc())
        self._history.append(epoch)
        if epoch.better_than(self._best, recipe.select):
            self._best = epoch
            self._best_values = {name: value.detach().clone() for name, value in self._parameters.items()}
        return epoch

    def step(self, images: Floats, rate: float) -> float:
        """The mean squared error of the batch before it."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        batch = self._batch(images)
        with torch.no_grad():
            wanted = self._lesson.target(batch)
        with self.pace.autocast():
            made = self._module(batch)
        errors = [torch.nn.functional.mse_loss(ours.float(), theirs) for ours, theirs in zip(made, wanted, strict=True)]
        loss = torch.stack([error / scale for error, scale in zip(errors, self._scales, strict=True)]).sum()
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types there
        self._optimizer.step()
        return float(torch.stack(errors).mean().detach())

    def state(self, stage: int, start: bytes) -> State:
        assert self._best is not None
        arrays = {f"now/{name}": _array(value) for name, value in self._parameters.items()}
        arrays |= {f"best/{name}": _array(value) for name, value in self._best_values.items()}
        for name, parameter in self._parameters.items():
            arrays |= {f"{key}/{name}": _array(value) for key, value in self._optimizer.state[parameter].items()}
        return State(stage, start, self.pace, tuple(self._history), self._best, arrays)

    def take_up(self, state: State) -> None:
        self._history, self._best = list(state.history), state.best
        kept: dict[str, dict[str, torch.Tensor]] = {}
        for key, value in state.arrays.items():
            what, _, name = key.partition("/")
            kept.setdefault(name, {})[what] = torch.from_numpy(value).to(self.pace.device)
        for name, parameter in self._parameters.items():
            values = kept[name]
            with torch.no_grad():
                parameter.copy_(values.pop("now"))
            self._best_values[name] = values.pop("best")
            self._optimizer.state[parameter] = {
                what: torch.empty_like(parameter).copy_(value) if value.ndim else value
                for what, value in values.items()
            }

    def outcome(self) -> Trained:
        assert self._best is not None
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(self._best_values[name])
        return Trained(written_back(self._module.cpu(), self._model), self._best, tuple(self._history))

    def _groups(self) -> list[dict[str, Any]]:
        """The kernels first, whose weight decay changes from step to step."""
        kernels = self._module.kernels()
        chosen = {id(kernel) for kernel in kernels}
        others = [value for value in self._parameters.values() if id(value) not in chosen]
        return [{"params": values, "weight_decay": 0.0} for values in (kernels, others) if values]

    def _output_variances(self) -> list[float]:
        """What makes the errors of several outputs comparable."""
        with torch.no_grad():
            targets = self._lesson.target(self._batch(self._lesson.train[: 4 * self._recipe.batch]))
        return [max(float(target.var()), 1e-12) for target in targets]

    @torch.no_grad()
    def _held_out_error(self) -> float:
        total = 0.0
        for images, made in self._answers(self._lesson.held_out):
            wanted = self._lesson.target(self._batch(images))
            errors = [torch.nn.functional.mse_loss(ours, theirs) for ours, theirs in zip(made, wanted, strict=True)]
            total += float(torch.stack(errors).mean()) * len(images)
        return total / len(self._lesson.held_out)

    def _auc(self) -> float | None:
        if self._lesson.judge is None:
            return None

        def reconstruct(images: Floats) -> Floats:
            return np.concatenate([_array(made[0]) for _, made in self._answers(images)])

        return self._lesson.judge(reconstruct)

    def _answers(self, images: Floats) -> Iterator[tuple[Floats, tuple[torch.Tensor, ...]]]:
        """In fp32: bfloat16 moves an AUC by up to .0025."""
        for start in range(0, len(images), self._recipe.batch):
            batch = images[start : start + self._recipe.batch]
            with torch.no_grad():
                made = self._module(self._batch(batch))
            yield batch, made

    def _batch(self, images: Floats) -> torch.Tensor:
        batch = torch.from_numpy(images).to(self.pace.device)
        return batch.contiguous(memory_format=torch.channels_last) if batch.ndim == 4 else batch


def _in_channels_last(module: OnnxModule) -> OnnxModule:
    """The kernels of two-dimensional convolutions: `Module.to` would refuse all others."""
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module


def _array(value: torch.Tensor) -> NDArray[Any]:
    return value.detach().cpu().contiguous().numpy()
