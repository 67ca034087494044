"""Results as an experiment leaves them, without the training."""

from host.reproduction.plan import Kind, Unit
from host.reproduction.records import Result

KINDS = ("crack", "poke")


def result(
    seed: int,
    kind: Kind,
    rate: float | None,
    good: list[float],
    bad: list[float],
    error: float = 1.0,
    weights: int = 100,
) -> Result:
    """Scores of good and of defective images, the latter of two kinds in turn; the normalised ones twice as large."""
    images = [f"test/good/{number:03}.png" for number in range(len(good))]
    images += [f"test/{KINDS[number % 2]}/{number // 2:03}.png" for number in range(len(bad))]
    scores = (*good, *bad)
    return Result(
        Unit(seed, kind, rate),
        weights,
        rate or 0.0,
        error,
        10,
        1.5,
        tuple(images),
        (False,) * len(good) + (True,) * len(bad),
        scores,
        tuple(2 * score for score in scores),
        0.5,
    )


def experiment() -> tuple[Result, ...]:
    """Two seeds; the control of seed 0 is "continued", of seed 1 "ordinary"."""
    return (
        result(0, "original", None, [1, 2], [3, 4]),
        result(0, "ordinary", None, [1, 4], [3, 2], error=2.0),
        result(0, "continued", None, [1, 2], [3, 4], error=1.0),
        result(0, "rate", 0.9, [1, 3], [2, 4], weights=10),
        result(0, "narrow", 0.9, [4, 3], [2, 1], weights=11),
        result(1, "original", None, [1, 2], [3, 4]),
        result(1, "ordinary", None, [1, 3], [2, 4], error=1.0),
        result(1, "continued", None, [4, 3], [2, 1], error=2.0),
        result(1, "rate", 0.9, [1, 2], [3, 4], weights=12),
        result(1, "narrow", 0.9, [4, 3], [2, 1], weights=11),
    )
