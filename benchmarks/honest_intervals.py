"""Is what a bench says of itself true? Of simulated runs whose truth is known (simulated_runs.py).

Bars: where latency is stationary, the 95 % interval covers the true mean in 93 to 97 %, both of the benches that have
one and of all (without one is then counted as not covered), and warm-ups are seen in at most 5 %. Where it drifts or
stays in modes for long, at least 95 % have no interval but the flag. Where it warms up, the end of that is found within
20 runs in at least 95 %. What is in between is told, without a bar.
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.simulated_runs import CASES, RUNS, Case
from benchmarks.verdict import machine, tell
from host.statistics import within_run

SEED = 20261201  # of the committed figures; the methods were made with others
LEAST_COVERED, MOST_COVERED = 0.93, 0.97
MOST_FALSE_ALARMS, LEAST_FLAGGED, LEAST_FOUND = 0.05, 0.95, 0.95
WITHIN_RUNS = 20


@dataclass(frozen=True)
class Shares:
    """Of the benches of one case. `covered`: of those that have an interval; None where none has."""

    with_interval: float
    covered: float | None
    flagged: float
    warmed_up: float
    found: float

    @property
    def covered_of_all(self) -> float:
        return self.with_interval * (self.covered or 0.0)


def shares(number: int, benches: int, seed: int) -> Shares:
    """Of the case of this number in CASES."""
    case = CASES[number]
    has, covers, flagged, warmed_up, found = (np.zeros(benches, bool) for _ in range(5))
    for bench in range(benches):
        within = within_run(case.samples_ns(np.random.default_rng([seed, number, bench])))
        if within.interval_ms is not None:
            has[bench] = True
            covers[bench] = within.interval_ms[0] <= case.mean_ms <= within.interval_ms[1]
        flagged[bench] = bool(within.unstable) and within.interval_ms is None
        warmed_up[bench] = within.steady_from != 0
        found[bench] = within.steady_from is not None and abs(within.steady_from - case.onset) <= WITHIN_RUNS
    covered = float(covers[has].mean()) if has.any() else None
    return Shares(float(has.mean()), covered, float(flagged.mean()), float(warmed_up.mean()), float(found.mean()))


def main(arguments: Sequence[str] = ()) -> bool:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000, help="benches of each case (2000)")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=SEED)
    asked = parser.parse_args(arguments)
    print(f"Honest intervals: {asked.cases:,} benches of {RUNS} runs each, seed {asked.seed}. {machine()}")
    with ProcessPoolExecutor(asked.processes) as pool:
        told = list(pool.map(partial(shares, benches=asked.cases, seed=asked.seed), range(len(CASES))))
    found = dict(zip(CASES, told, strict=True))
    for case, each in found.items():
        print(f"  {case.name}, {case.kind}: {_in_words(case, each)}")
    return _verdict(found)


def _in_words(case: Case, found: Shares) -> str:
    covered = (
        "none has an interval" if found.covered is None else f"covered {found.covered:.2%} of {found.with_interval:.2%}"
    )
    steady = (
        f"found within {WITHIN_RUNS} runs {found.found:.2%}"
        if case.onset
        else f"not steady from the start {found.warmed_up:.2%}"
    )
    return f"{covered}, flagged {found.flagged:.2%}, {steady}"


def _verdict(found: dict[Case, Shares]) -> bool:
    stationary, unstable, warm_ups = (
        {case: each for case, each in found.items() if case.kind == kind}
        for kind in ("stationary", "unstable", "warm-up")
    )
    passed = []
    for case, each in stationary.items():
        honest = all(LEAST_COVERED <= share <= MOST_COVERED for share in (each.covered or 0.0, each.covered_of_all))
        bar = f"{case.name}: covered {each.covered or 0:.2%}, of all {each.covered_of_all:.2%}, 93 to 97 %"
        passed.append(tell(bar, honest))
    alarms = max(each.warmed_up for each in stationary.values())
    flagged = min(each.flagged for each in unstable.values())
    onsets = min(each.found for each in warm_ups.values())
    passed.append(
        tell(f"warm-ups seen where there is none: at most {alarms:.2%}, bar 5 %", alarms <= MOST_FALSE_ALARMS)
    )
    passed.append(tell(f"flagged, without an interval: at least {flagged:.2%}, bar 95 %", flagged >= LEAST_FLAGGED))
    passed.append(
        tell(
            f"end of a warm-up found within {WITHIN_RUNS} runs: at least {onsets:.2%}, bar 95 %", onsets >= LEAST_FOUND
        )
    )
    return all(passed)


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
