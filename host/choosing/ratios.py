"""How many times as fast, as small or as good: what is beyond the statistics of it, which want figures above 0."""

import math
from collections.abc import Sequence

from host.statistics import Estimate, speed_up, speed_up_unpaired


def of_trials(above: Sequence[float], below: Sequence[float]) -> Estimate | None:
    """How many times `above` is `below`, of trials measured each on its own. None where there is no such figure."""
    if not above or not below or not _have_ratios((*above, *below)):
        return None
    return speed_up_unpaired(above, below)


def of_pairs(pairs: Sequence[tuple[float, float]]) -> Estimate | None:
    """The same of trials measured in turn, the two of a pair next to each other."""
    if not pairs or not _have_ratios([value for pair in pairs for value in pair]):
        return None
    return speed_up(pairs)


def _have_ratios(values: Sequence[float]) -> bool:
    return all(0 < value < math.inf for value in values)
