"""What two runs say beside each other. The trial is the unit: of one trial each nothing is claimed of others."""

from dataclasses import dataclass
from typing import Literal

from host.choosing.environments import Difference, differences, in_words
from host.choosing.ratios import of_pairs, of_trials
from host.comparing.runs import Run
from host.errors import InputError
from host.report.values import why_missing
from host.statistics import Estimate, Trials, trial_interval

KEYS = (
    "latency_ms.mean",
    "latency_ms.median",
    "latency_ms.p99",
    "peak_memory_bytes",
    "model_peak_bytes",
    "energy_mj.per_run",
)
"""Of all these less is better."""

How = Literal["pairs", "trials", "one trial"]
"""pairs: measured in turn, two by two; trials: each on its own, several of both; one trial: of a side there is one."""


@dataclass(frozen=True)
class Compared:
    """A figure of both. `gain`: how many times A's it is B's, above 1 where B is better; None where either has none
    (`missing` says why), or where it is not above 0.
    """

    key: str
    of_a: Trials | None
    of_b: Trials | None
    gain: Estimate | None
    missing: str | None


@dataclass(frozen=True)
class Comparison:
    """Of B with A. `fewer_weights`, `fewer_macs`: how many times B's A has; None where it is not known.

    `differences` of their environments, compared all the same; `seed` of the order, where they were measured anew.
    """

    a: Run
    b: Run
    how: How
    figures: tuple[Compared, ...]
    fewer_weights: float | None
    fewer_macs: float | None
    differences: tuple[Difference, ...]
    seed: int | None = None


def compare(a: Run, b: Run, *, allow_different_environment: bool, seed: int | None = None) -> Comparison:
    """InputError names the rows and fields of environments that differ."""
    differing = differences((*a.rows, *b.rows))
    if differing and not allow_different_environment:
        raise InputError(
            f"{a.row.id} and {b.row.id} are not comparable: {'; '.join(map(in_words, differing))}",
            "measure both again under the same: --anew; or compare them all the same: --allow-different-environment",
            "different_environment",
        )
    how = _how(a, b)
    return Comparison(
        a,
        b,
        how,
        tuple(_compared(a, b, key, how) for key in KEYS),
        _times(a.row.weights, b.row.weights),
        _times(a.row.macs, b.row.macs),
        differing,
        seed,
    )


def _how(a: Run, b: Run) -> How:
    """A session with two models was measured in turn (anew.py); one of a study was not."""
    in_turn = a.row.study is None and a.row.session == b.row.session
    pairs = {row.trial for row in a.rows} & {row.trial for row in b.rows}
    if in_turn and len(pairs) > 1:
        return "pairs"
    return "trials" if min(len(a.rows), len(b.rows)) > 1 else "one trial"


def _compared(a: Run, b: Run, key: str, how: How) -> Compared:
    of_a, of_b = a.by_trial(key), b.by_trial(key)
    missing = next((why_missing(run.row, key) for run, values in ((a, of_a), (b, of_b)) if not values), None)
    if how == "pairs":
        gain = of_pairs([(of_a[trial], of_b[trial]) for trial in of_a if trial in of_b])
    else:
        gain = of_trials(list(of_a.values()), list(of_b.values()))
    return Compared(key, _trials(of_a), _trials(of_b), gain, missing)


def _trials(values: dict[int, float]) -> Trials | None:
    return trial_interval(list(values.values())) if values else None


def _times(of_a: int | None, of_b: int | None) -> float | None:
    return of_a / of_b if of_a and of_b else None
