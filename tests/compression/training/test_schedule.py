import pytest

from compression.training.schedule import WARM_UP, learning_rate, weight_decay

STEPS = 200


def rates(steps: int = STEPS) -> list[float]:
    return [learning_rate(step, steps, 1e-3) for step in range(steps)]


def test_it_rises_to_the_highest_and_falls_to_almost_nothing() -> None:
    values = rates()
    top = values.index(max(values))
    assert top == round(WARM_UP * STEPS) - 1
    assert values[top] == 1e-3
    assert values[: top + 1] == sorted(values[: top + 1])
    assert values[top:] == sorted(values[top:], reverse=True)
    assert 0 < values[-1] < 1e-6


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_shortest_training_has_a_rate_at_every_step(steps: int) -> None:
    assert all(0 < rate <= 1e-3 for rate in rates(steps))


def test_the_second_half_is_without_decay() -> None:
    assert [weight_decay(step, 6, 4.0) for step in range(6)] == [4.0, 4.0, 4.0, 0.0, 0.0, 0.0]
    assert weight_decay(0, 1, 4.0) == 4.0
