"""Who is beaten in nothing."""

from collections.abc import Sequence


def front(costs: Sequence[Sequence[float]]) -> list[int]:
    """The places of those that nobody dominates; less is better in each of the columns.

    One dominates another where it is nowhere worse and somewhere better: two equal ones are both on the front.
    """
    return [place for place, own in enumerate(costs) if not any(_dominates(other, own) for other in costs)]


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(mine <= theirs for mine, theirs in pairs) and any(mine < theirs for mine, theirs in pairs)
