import pytest

from compression.training.gradual import epochs_of, rates_to


@pytest.mark.parametrize(
    ("rate", "stages"),
    [
        (0.5, (0.5,)),
        (0.98, (0.98,)),
        (0.985, (0.98, 0.985)),
        (0.99, (0.98, 0.99)),
        (0.995, (0.98, 0.99, 0.995)),
        (0.999, (0.98, 0.990543, 0.995528, 0.997885, 0.999)),
    ],
)
def test_beyond_98_percent_each_stage_about_halves_what_is_left(rate: float, stages: tuple[float, ...]) -> None:
    assert rates_to(rate) == pytest.approx(stages, abs=1e-6)


def test_the_epochs_are_counted_in_total() -> None:
    assert epochs_of(120, 2) == (60, 60)
    assert epochs_of(200, 3) == (66, 66, 68)
    assert epochs_of(3, 3) == (1, 1, 1)
    with pytest.raises(ValueError, match="2 epochs for 3 stages"):
        epochs_of(2, 3)
