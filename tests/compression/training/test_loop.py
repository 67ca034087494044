from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import ModelProto

from compression.calibrate import reconstructor_of
from compression.errors import CheckpointError, DivergedError, TrainingMemoryError
from compression.training import loop
from compression.training.checkpoint import Checkpoint
from compression.training.lessons import distillation, reconstruction
from compression.training.loop import Trained, train
from compression.training.pace import Pace
from compression.training.recipe import Epoch, Recipe, Select

from .teaching import prepared, untrained, weights_of

PACE = Pace("cpu", 1, "fp32")
RECIPE = Recipe(epochs=6, batch=8, learning_rate=3e-3, select="validation")
IMAGES = prepared()


def trained(recipe: Recipe = RECIPE, checkpoint: Checkpoint | None = None, pace: Pace = PACE) -> Trained:
    return train(untrained(IMAGES), reconstruction(IMAGES), recipe, pace, checkpoint)


def held_out_error(model: ModelProto) -> float:
    return float(np.square(reconstructor_of(model)(IMAGES.held_out) - IMAGES.held_out).mean())


def test_a_model_learns_to_reconstruct() -> None:
    before = held_out_error(untrained(IMAGES))
    made = trained(Recipe(epochs=30, batch=8, learning_rate=5e-3, select="validation"))
    assert held_out_error(made.model) < 0.3 * before
    assert [epoch.number for epoch in made.history] == list(range(1, 31))


def test_what_is_told_of_the_kept_epoch_is_true_of_the_model() -> None:
    made = trained()
    assert made.best in made.history
    assert held_out_error(made.model) == pytest.approx(made.best.held_out_error, rel=1e-4)
    judge = reconstruction(IMAGES).judge
    assert judge is not None
    assert judge(reconstructor_of(made.model)) == pytest.approx(made.best.auc, abs=0.05)


def test_the_epoch_with_the_least_error_is_kept_though_later_ones_are_worse() -> None:
    made = trained(Recipe(epochs=8, batch=20, learning_rate=0.05, select="validation"))
    assert made.best == min(made.history, key=lambda epoch: epoch.held_out_error)


@pytest.mark.parametrize(
    ("auc", "error", "select", "better"),
    [
        (0.9, 2.0, "test", True),
        (0.7, 0.5, "test", False),
        (0.8, 0.5, "test", True),
        (0.7, 0.5, "validation", True),
        (0.9, 2.0, "validation", False),
        (None, 0.5, "test", True),
    ],
)
def test_which_epoch_is_better(auc: float | None, error: float, select: Select, better: bool) -> None:
    assert Epoch(2, 0, error, auc).better_than(Epoch(1, 0, 1.0, 0.8), select) is better


def test_an_equal_recipe_gives_equal_weights_and_another_seed_others() -> None:
    first, second = trained(), trained()
    other = trained(Recipe(epochs=6, batch=8, learning_rate=3e-3, select="validation", seed=1))
    assert weights_of(first.model) == weights_of(second.model) != weights_of(other.model)


def test_the_model_and_its_constants_stay_as_they_are() -> None:
    model = untrained(IMAGES)
    before = model.SerializeToString()
    made = train(model, reconstruction(IMAGES), RECIPE, PACE)
    assert model.SerializeToString() == before
    changed = {name for name, value in weights_of(made.model).items() if value != weights_of(model)[name]}
    assert changed == {name for name in weights_of(model) if name.endswith((".weight", ".bias"))}


class Interrupted(KeyboardInterrupt):
    pass


@pytest.mark.parametrize("after", [1, 4])
def test_an_interrupted_training_ends_as_one_that_was_not(tmp_path: Path, after: int) -> None:
    checkpoint = Checkpoint(tmp_path / "state", "mine")

    def stop(epoch: Epoch, _count: int) -> None:
        if epoch.number == after:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(untrained(IMAGES), reconstruction(IMAGES), RECIPE, PACE, checkpoint, stop)
    resumed, whole = trained(checkpoint=checkpoint), trained()
    assert resumed.history == whole.history
    assert resumed.best == whole.best
    assert weights_of(resumed.model) == weights_of(whole.model)


def test_one_interrupted_within_an_epoch_goes_on_from_the_epoch_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, steps = Checkpoint(tmp_path / "state", "mine"), iter(range(100))
    step = loop._Course.step

    def stopped(self: loop._Course, images: loop.Floats, rate: float) -> float:
        if next(steps) == 7:
            raise Interrupted
        return step(self, images, rate)

    monkeypatch.setattr(loop._Course, "step", stopped)
    with pytest.raises(Interrupted):
        trained(checkpoint=checkpoint)
    monkeypatch.undo()
    assert weights_of(trained(checkpoint=checkpoint).model) == weights_of(trained().model)


def test_a_finished_training_is_not_done_again(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "state", "mine")
    whole, epochs = trained(checkpoint=checkpoint), []
    again = train(
        untrained(IMAGES), reconstruction(IMAGES), RECIPE, PACE, checkpoint, lambda epoch, _: epochs.append(epoch)
    )
    assert not epochs
    assert weights_of(again.model) == weights_of(whole.model)


def test_a_checkpoint_of_another_training_stops_it(tmp_path: Path) -> None:
    trained(checkpoint=Checkpoint(tmp_path / "state", "another"))
    with pytest.raises(CheckpointError):
        trained(checkpoint=Checkpoint(tmp_path / "state", "mine"))


def test_weight_decay_shrinks_kernels_and_leaves_biases() -> None:
    plain, decayed = (
        trained(Recipe(epochs=12, batch=8, learning_rate=3e-3, weight_decay=decay, select="validation"))
        for decay in (0.0, 20.0)
    )

    def norm(made: Trained, suffix: str) -> float:
        chosen = (raw for name, raw in weights_of(made.model).items() if name.endswith(suffix))
        return float(np.linalg.norm(np.concatenate([np.frombuffer(raw, np.float32) for raw in chosen])))

    assert norm(decayed, ".weight") < 0.8 * norm(plain, ".weight")
    assert norm(decayed, ".bias") > 0.5 * norm(plain, ".bias")


def test_bfloat16_learns_about_the_same() -> None:
    recipe = Recipe(epochs=15, batch=8, learning_rate=5e-3, select="validation")
    exact, rough = trained(recipe), trained(recipe, pace=Pace("cpu", 1, "bf16"))
    assert weights_of(exact.model) != weights_of(rough.model)
    assert rough.best.held_out_error == pytest.approx(exact.best.held_out_error, rel=0.3)


def test_a_student_comes_to_do_as_its_teacher_does() -> None:
    teacher = trained(Recipe(epochs=10, batch=8, learning_rate=5e-3, select="validation")).model
    student = untrained(IMAGES, seed=5)
    lesson = distillation(teacher, IMAGES.train, IMAGES.held_out)
    made = train(student, lesson, Recipe(epochs=30, batch=8, learning_rate=5e-3), PACE)
    assert made.best.auc is None

    def distance(model: ModelProto) -> float:
        ours, theirs = (reconstructor_of(each)(IMAGES.held_out) for each in (model, teacher))
        return float(np.square(ours - theirs).mean())

    assert distance(made.model) < 0.2 * distance(student)
    assert distance(made.model) == pytest.approx(made.best.held_out_error, rel=1e-3)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_training_that_diverges_says_so() -> None:
    with pytest.raises(DivergedError, match="epoch") as caught:
        train(
            untrained(IMAGES),
            distillation(untrained(IMAGES, 1), IMAGES.train * 1e30, IMAGES.held_out),
            Recipe(epochs=5, batch=8, learning_rate=1.0),
            PACE,
        )
    assert "--learning-rate" in caught.value.hint


def test_a_full_memory_is_told() -> None:
    with pytest.raises(TrainingMemoryError, match="batch of 7 images"), loop._memory_errors(Recipe(batch=7)):
        torch.empty(1 << 55)
    with pytest.raises(RuntimeError, match="something else"), loop._memory_errors(Recipe()):
        raise RuntimeError("something else")
