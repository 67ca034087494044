"""The highest rate at which something holds, by trying few: up or down until it is bracketed, then bisected. Pure.

A rate is tried TRIES times before it is given up: one hiccup of the machine while it runs is not the board's limit.
"""

import math
from collections.abc import Callable

START_SHARE = 0.5  # of the rate of a client that waits for each answer: most boards keep up with that
UP = math.sqrt(2)
DOWN = 2.0
CLOSE_ENOUGH = 1.02
WIDEST = 32.0  # times the start, up and down: beyond it the start says nothing of the board
TRIES = 2
MOST_TIMES_EXPECTED = 3.0


def next_rate(start: float, low: float | None, high: float | None, most: float = math.inf) -> float | None:
    """What to try where `low` is the highest rate that held and `high` the lowest that did not; None: nothing more.

    0 < low < high; 0 < start. No rate is above `most`.
    """
    if low is None and high is None:
        return min(start, most)
    if high is None:
        assert low is not None
        return min(low * UP, most) if low < most and low * UP <= start * WIDEST else None
    if low is None:
        return high / DOWN if high / DOWN >= start / WIDEST else None
    return math.sqrt(low * high) if high / low > CLOSE_ENOUGH else None


def search(
    start: float,
    holds: Callable[[float], bool],
    may_try: Callable[[float], bool] = lambda _: True,
    most: float = math.inf,
) -> float | None:
    """The highest of the rates tried at which it held; None: at none. It ends early where `may_try` says no."""
    low: float | None = None
    high: float | None = None
    while (rate := next_rate(start, low, high, most)) is not None and may_try(rate):
        if any(holds(rate) for _ in range(TRIES)):
            low = rate
        else:
            high = rate
    return low


def seconds_expected(start: float, requests: int, most: float = math.inf) -> float:
    """How long it takes, with so many requests at each rate, where the limit is the rate that `start` is a share of."""
    seconds = 0.0

    def holds(rate: float) -> bool:
        nonlocal seconds
        seconds += requests / rate
        return rate <= start / START_SHARE

    search(start, holds, most=most)
    return seconds
