"""The knee of a curve: up to there each unit of cost buys much, beyond it little."""

from collections.abc import Sequence
from itertools import accumulate

LEAST_POINTS = 3
"""Between two there is a line, which has no knee."""
LEAST_HEIGHT = 1e-9
"""Above that line, of 1: less is rounding."""


def knee(costs: Sequence[float], gains: Sequence[float]) -> int | None:
    """The place of the knee of gain (more is better) against cost (less is better); None where the curve has none.

    Kneedle: cost and gain are normalised to 0..1, and the knee is where the curve is highest above the straight line
    between its ends (Satopaa, Albrecht, Irwin and Raghavan, "Finding a 'Kneedle' in a haystack: detecting knee points
    in system behavior", ICDCS workshops 2011). The curve is the most gain that is had for at most a cost: it rises as
    theirs does, and its flat end stays where it is though a gain in the middle should be the highest by chance. It has
    a point for each rate and no noise of hundreds of samples, so that it is not smoothed, and of their sensitivity
    nothing is left: the highest point is the knee.
    """
    places = sorted(range(len(costs)), key=lambda place: (costs[place], -gains[place]))
    if len(places) < LEAST_POINTS:
        return None
    most = list(accumulate((gains[place] for place in places), max))
    width, height = costs[places[-1]] - costs[places[0]], most[-1] - most[0]
    if not width or not height:  # the cheapest is the best as well
        return None
    heights = [
        (gain - most[0]) / height - (costs[place] - costs[places[0]]) / width
        for place, gain in zip(places, most, strict=True)
    ]
    highest = max(range(len(places)), key=heights.__getitem__)
    return places[highest] if heights[highest] > LEAST_HEIGHT else None
