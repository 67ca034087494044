"""Benches whose truth is known: 999 counted runs of about 5 ms, as they are met on boards, or worse.

The sizes were fixed before the methods that are tried on them (host/statistics): a run varies by 2 to 5 % of the mean,
modes are 15 % apart, a drift is 10 % of the mean from the first run to the last, a warm-up starts 10 to 30 % slower.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

RUNS = 999
LEVEL_NS = 5_000_000
SPREAD = 0.03
MODES_APART = 0.15
SPREAD_IN_MODE = 0.02
DRIFT = 0.1

Floats = NDArray[np.float64]
Shape = Callable[[np.random.Generator], Floats]
"""Latencies of RUNS runs, as shares of LEVEL_NS: of mean 1 in each run, before any warm-up."""

Kind = Literal["stationary", "in between", "unstable", "warm-up"]


@dataclass(frozen=True, eq=False)
class Case:
    """`excess`: what a warm-up adds to each run; `onset`: how many runs it lasts."""

    name: str
    kind: Kind
    shape: Shape
    excess: Floats | None = None
    onset: int = 0

    def samples_ns(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """One bench."""
        shares = self.shape(rng) if self.excess is None else self.shape(rng) + self.excess
        return np.rint(shares * LEVEL_NS).astype(np.int64)

    @property
    def mean_ms(self) -> float:
        """What the mean of all its runs is in the mean of all benches."""
        return LEVEL_NS / 1e6 * (1 if self.excess is None else 1 + float(np.mean(self.excess)))


def lognormal(rng: np.random.Generator) -> Floats:
    """Independent; standard deviation 5 %."""
    sigma = 0.05
    return np.exp(sigma * rng.standard_normal(RUNS) - sigma**2 / 2)


def bimodal(rng: np.random.Generator) -> Floats:
    """Independent; three in ten are slower."""
    share = 0.3
    return _in_mode(rng, rng.random(RUNS) < share) - MODES_APART * share


def normal(rng: np.random.Generator) -> Floats:
    return 1 + SPREAD * rng.standard_normal(RUNS)


def autoregression(rng: np.random.Generator, coefficient: float) -> Floats:
    """Of order 1, from its stationary state on."""
    from scipy.signal import lfilter

    noise = rng.standard_normal(RUNS)
    noise[1:] *= np.sqrt(1 - coefficient**2)
    return 1 + SPREAD * np.asarray(lfilter([1], [1, -coefficient], noise))


def modes(rng: np.random.Generator, sojourn: float) -> Floats:
    """Two, equally often; how long it stays in one is geometric with this mean, in runs."""
    changes = rng.random(RUNS) < 1 / sojourn
    changes[0] = rng.random() < 0.5
    return _in_mode(rng, np.cumsum(changes) % 2 == 1) - MODES_APART / 2


def drift(rng: np.random.Generator, around: Shape) -> Floats:
    return around(rng) + DRIFT * np.linspace(-0.5, 0.5, RUNS)


def _in_mode(rng: np.random.Generator, slow: NDArray[np.bool_]) -> Floats:
    return 1 + MODES_APART * slow + SPREAD_IN_MODE * rng.standard_normal(RUNS)


AR5, AR9 = (partial(autoregression, coefficient=coefficient) for coefficient in (0.5, 0.9))


def _step(name: str, shape: Shape, runs: int, slower: float) -> Case:
    excess = slower * (np.arange(RUNS) < runs)
    return Case(f"{runs} runs {slower:.0%} slower, {name}", "warm-up", shape, excess, runs)


def _decay(name: str, shape: Shape, time_constant: float, slower: float) -> Case:
    """It is over where less is left of it than one standard deviation of a run: beyond, no run can tell."""
    excess = slower * np.exp(-np.arange(RUNS) / time_constant)
    onset = int(np.count_nonzero(excess >= SPREAD))
    return Case(f"{slower:.0%} slower, falling by e in {time_constant:g} runs, {name}", "warm-up", shape, excess, onset)


_AROUND: dict[str, Shape] = {"iid": normal, "AR .5": AR5}

CASES = (
    Case("iid lognormal", "stationary", lognormal),
    Case("iid bimodal", "stationary", bimodal),
    Case("AR .5", "stationary", AR5),
    Case("AR .9", "stationary", AR9),
    Case("two modes, mean sojourn 10", "stationary", partial(modes, sojourn=10)),
    *(
        Case(f"two modes, mean sojourn {sojourn}", "in between", partial(modes, sojourn=sojourn))
        for sojourn in (30, 50)
    ),
    *(Case(f"AR {each:g}", "in between", partial(autoregression, coefficient=each)) for each in (0.95, 0.98)),
    Case("two modes, mean sojourn 100", "unstable", partial(modes, sojourn=100)),
    *(Case(f"drift, {name}", "unstable", partial(drift, around=shape)) for name, shape in _AROUND.items()),
    *(_step(name, shape, runs, 0.1) for name, shape in _AROUND.items() for runs in (33, 107, 298)),
    _step("AR .9", AR9, 107, 0.2),
    *(_decay(name, shape, time_constant, 0.3) for name, shape in _AROUND.items() for time_constant in (10, 20)),
)
