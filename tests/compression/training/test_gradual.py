from pathlib import Path

import numpy as np
import pytest

from compression.compress import compress
from compression.layers import count_weights
from compression.training.checkpoint import Checkpoint
from compression.training.gradual import Plan, Retrained, compress_and_retrain
from compression.training.lessons import reconstruction
from compression.training.loop import train
from compression.training.pace import Pace
from compression.training.recipe import Epoch, Recipe

from .teaching import prepared, untrained, weights_of

PACE = Pace("cpu", 1, "fp32")
RECIPE = Recipe(epochs=5, batch=8, learning_rate=3e-3, select="validation")
IMAGES = prepared()
LESSON = reconstruction(IMAGES)
BASE = train(untrained(IMAGES), LESSON, RECIPE, PACE).model
PLAN = Plan((0.5, 0.7))


def retrained(checkpoint: Checkpoint | None = None, plan: Plan = PLAN) -> Retrained:
    return compress_and_retrain(BASE, plan, LESSON, RECIPE, PACE, checkpoint)


def test_the_last_rate_is_reached_and_the_epochs_are_shared() -> None:
    stages, epochs = [], []

    def on_stage(*stage: float | None) -> None:
        stages.append(stage)

    def on_epoch(epoch: Epoch, count: int) -> None:
        epochs.append((epoch.number, count))

    made = compress_and_retrain(BASE, PLAN, LESSON, RECIPE, PACE, None, on_stage, on_epoch)
    assert stages == [(0.5, 1, 2), (0.7, 2, 2)]
    assert epochs == [(1, 2), (2, 2), (1, 3), (2, 3), (3, 3)]
    assert made.table.rate == pytest.approx(0.7, abs=0.02)
    assert count_weights(made.trained.model) == made.table.weights_after


def test_the_second_stage_begins_with_what_the_first_has_learned() -> None:
    direct = retrained(plan=Plan((0.7,)))
    assert weights_of(direct.before) != weights_of(retrained().before)


def test_one_stage_is_compression_refit_and_retraining() -> None:
    made = retrained(plan=Plan((0.6,), {"allocation": "equal"}))
    by_hand = compress(BASE, 0.6, data=IMAGES.train, allocation="equal")
    assert weights_of(made.before) == weights_of(by_hand.model)
    assert made.table == by_hand.table
    assert weights_of(made.trained.model) == weights_of(train(by_hand.model, LESSON, RECIPE, PACE).model)


@pytest.mark.parametrize("stop_at", [(1, 1), (1, 2), (2, 1), (2, 3)])
def test_interrupted_in_any_stage_it_ends_as_if_it_was_not(tmp_path: Path, stop_at: tuple[int, int]) -> None:
    checkpoint, stage = Checkpoint(tmp_path / "state", "mine"), [0]

    def on_stage(_rate: float | None, number: int, _count: int) -> None:
        stage[0] = number

    def stop(epoch: Epoch, _count: int) -> None:
        if (stage[0], epoch.number) == stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compress_and_retrain(BASE, PLAN, LESSON, RECIPE, PACE, checkpoint, on_stage, stop)
    resumed, whole = retrained(checkpoint), retrained()
    assert weights_of(resumed.trained.model) == weights_of(whole.trained.model)
    assert resumed.trained.history == whole.trained.history
    assert resumed.table == whole.table


def test_ranks_without_a_rate_make_one_stage() -> None:
    made = retrained(plan=Plan((None,), {"ranks": {"encode2": (4, 4)}}))
    [layer] = [layer for layer in made.table.layers if layer.ranks]
    assert (layer.name, layer.ranks) == ("encode2", (4, 4))
    assert np.isfinite(made.trained.best.held_out_error)
