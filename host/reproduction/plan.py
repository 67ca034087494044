"""What is trained: an experiment, and its units of work in the order in which they can be done.

original   a reference model of a seed, its kernels decayed so that they can be compressed
ordinary   a control: the same model, not decayed, for as many epochs as original and retraining together
continued  a control: the original trained on as a retrained one is, nothing removed
rate       the original compressed to a rate and retrained
random     the ranks of that rate, from random weights, for all epochs: what the decomposition itself is worth
narrow     a dense model with as many weights, from random weights, for all epochs: what the factors are worth
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["original", "ordinary", "continued", "rate", "random", "narrow"]
CONTROLS: tuple[Kind, ...] = ("ordinary", "continued")

RATES = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
COMPARED_FROM = 0.98
"""Up from here a rate is compared with `random` and `narrow`, too."""


@dataclass(frozen=True)
class Experiment:
    """Equal experiments on equal images give equal results, on one thread each.

    `epochs` of the original, `retrain_epochs` of all that comes after it; `factor_learning_rate` of a model whose
    layers are factors.
    """

    model: str = "medium"
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    rates: tuple[float, ...] = RATES
    comparisons: bool = True
    epochs: int = 70
    retrain_epochs: int = 50
    learning_rate: float = 1e-3
    factor_learning_rate: float = 2e-3
    weight_decay: float = 4.0
    precision: Literal["fp32", "bf16"] = "bf16"


QUICK = Experiment("tiny", (0,), (0.9, 0.99), False, 2, 2)
"""A minute, to see that everything works; its figures say nothing."""


@dataclass(frozen=True, order=True)
class Unit:
    """One model to train. `rate` is None for an original and a control."""

    seed: int
    kind: Kind
    rate: float | None = None

    @property
    def name(self) -> str:
        """Of its files."""
        rate = "" if self.rate is None else f"-{self.rate:g}"
        return f"seed-{self.seed}-{self.kind}{rate}"

    @property
    def needs(self) -> "Unit | None":
        """What has to be done before."""
        if self.kind in ("original", "ordinary"):
            return None
        first = Unit(self.seed, "original")
        return Unit(self.seed, "rate", self.rate) if self.kind in ("random", "narrow") else first


def units_of(experiment: Experiment) -> tuple[Unit, ...]:
    """All of it, seed by seed, each after what it needs."""
    return tuple(unit for seed in experiment.seeds for unit in _of_seed(experiment, seed))


def _of_seed(experiment: Experiment, seed: int) -> list[Unit]:
    units = [Unit(seed, "original"), *(Unit(seed, kind) for kind in CONTROLS)]
    for rate in experiment.rates:
        units.append(Unit(seed, "rate", rate))
        if experiment.comparisons and rate >= COMPARED_FROM:
            units += [Unit(seed, "random", rate), Unit(seed, "narrow", rate)]
    return units
