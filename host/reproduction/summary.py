"""What an experiment says: AUC at each rate, and its distance from the control, over the seeds.

A seed is a new original and a new retraining: the unit of comparison. Each seed's control is the better, by held-out
error, of two uncompressed models with as many epochs in all. Differences are taken within a seed, their bounds are
Student's t.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from host.reproduction.plan import CONTROLS, Kind
from host.reproduction.records import Result
from host.statistics import Trials, t_quantile, trial_interval
from inspection.accuracy import auc

Method = Literal["smoothed", "normalised"]
METHODS: tuple[Method, ...] = ("smoothed", "normalised")

PUBLISHED_GOOD, PUBLISHED_DEFECTIVE = 23, 109
"""Test images of MVTec AD's capsule: the first of each class stand for them."""

_ONE_SIDED_95 = 0.90
"""The two-sided confidence whose lower end is a one-sided bound of 95 %."""


@dataclass(frozen=True)
class Difference:
    """AUC at a rate minus the control's: mean over the seeds, and the one-sided 95 % lower bound of it."""

    mean: float
    at_least: float | None


@dataclass(frozen=True)
class RateSummary:
    """Over all seeds, by score; `kind` and `rate` as in plan.py, "control" at rate 0."""

    kind: Kind | Literal["control"]
    rate: float
    weights: float
    held_out_error: float
    auc: dict[Method, Trials]
    difference: dict[Method, Difference]


def control_of(results: Iterable[Result], seed: int) -> Result:
    """The better of the two uncompressed models."""
    controls = [each for each in results if each.unit.seed == seed and each.unit.kind in CONTROLS]
    return min(controls, key=lambda each: each.held_out_error)


def summarise(results: Sequence[Result], published_set: bool = False) -> tuple[RateSummary, ...]:
    """The control first, then each kind and rate. `published_set`: on as few test images as were published."""
    seeds = sorted({each.unit.seed for each in results})
    controls = {seed: control_of(results, seed) for seed in seeds}

    def judged(result: Result, method: Method) -> float:
        return auc_of(result, method, published_set)

    found = [_summary("control", 0.0, [controls[seed] for seed in seeds], controls, judged)]
    rates = sorted({each.unit.rate for each in results if each.unit.rate is not None})
    for kind, rate in ((kind, rate) for kind in ("rate", "random", "narrow") for rate in rates):
        group = [each for each in results if (each.unit.kind, each.unit.rate) == (kind, rate)]
        if group:
            found.append(_summary(kind, rate, group, controls, judged))  # type: ignore[arg-type]  # a Kind, as it says
    return tuple(found)


def auc_of(result: Result, method: Method, published_set: bool = False) -> float:
    """Of one trained model."""
    scores, labels = getattr(result, method), result.defective
    if not published_set:
        return auc(scores, labels)
    good = [place for place, defective in enumerate(labels) if not defective][:PUBLISHED_GOOD]
    bad = _in_turn(result, [place for place, defective in enumerate(labels) if defective])[:PUBLISHED_DEFECTIVE]
    places = good + bad
    return auc([scores[place] for place in places], [labels[place] for place in places])


def _in_turn(result: Result, places: list[int]) -> list[int]:
    """One of each kind, then the next of each: the order in which the capsules were drawn."""
    seen: dict[str, int] = {}
    numbered = []
    for place in places:
        kind = result.images[place].split("/")[-2]
        seen[kind] = seen.get(kind, 0) + 1
        numbered.append((seen[kind], kind, place))
    return [place for _, _, place in sorted(numbered)]


def _summary(
    kind: Kind | Literal["control"],
    rate: float,
    group: Sequence[Result],
    controls: dict[int, Result],
    judged: Callable[[Result, Method], float],
) -> RateSummary:
    aucs = {method: [judged(each, method) for each in group] for method in METHODS}
    drops = {
        method: [judged(each, method) - judged(controls[each.unit.seed], method) for each in group]
        for method in METHODS
    }
    return RateSummary(
        kind,
        rate,
        sum(each.weights for each in group) / len(group),
        sum(each.held_out_error for each in group) / len(group),
        {method: trial_interval(values) for method, values in aucs.items()},
        {method: _difference(values) for method, values in drops.items()},
    )


def _difference(values: Sequence[float]) -> Difference:
    trials = trial_interval(values)
    if trials.std is None:
        return Difference(trials.mean, None)
    margin = t_quantile(trials.count - 1, _ONE_SIDED_95) * trials.std / math.sqrt(trials.count)
    return Difference(trials.mean, trials.mean - margin)
