"""Does the interval of a lost AUC cover what is truly lost? Of simulated scores of 23 good and 109 defective images.

Scores are normal; those of a defective image lie higher. An image is as hard for the control as for the candidate, and
in every trial; each trial adds noise to every image, and tells the defective ones apart a little better or worse than
other trials do. What is truly lost is of all images and all trials there could be.
Bar: at an AUC of about .92 the 95 % interval covers it in at least 90 %. Near 1, where few pairs of images are out of
order and 23 good ones do not show how few, the figures are told without a bar.
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from benchmarks.verdict import machine, tell
from inspection.accuracy_difference import auc_drop_interval

SEED = 20261201
GOOD, DEFECTIVE = 23, 109
LEAST_COVERED = 0.9


@dataclass(frozen=True)
class Case:
    """In standard deviations of an image's difficulty, which is 1: how far apart the defective images lie by the
    control, how much less by the candidate, and how much a trial adds to one image, and to all defective ones.
    """

    trials: int
    apart: float
    lost: float
    of_image: float
    of_trial: float
    near_1: bool = False

    def true_auc(self, apart: float) -> float:
        """Of all images and trials: how often a defective image's score is above a good one's."""
        return NormalDist().cdf(apart / float(np.sqrt(2 * (1 + self.of_image**2) + self.of_trial**2)))

    def true_drop(self) -> float:
        return self.true_auc(self.apart) - self.true_auc(self.apart - self.lost)

    def scores(self, rng: np.random.Generator) -> list[NDArray[np.float64]]:
        """By the control, by the candidate: (trials, images), the good ones first."""
        images = GOOD + DEFECTIVE
        hard, defective = rng.standard_normal(images), np.arange(images) >= GOOD
        both = []
        for apart in (self.apart, self.apart - self.lost):
            by_trial = apart + self.of_trial * rng.standard_normal((self.trials, 1))
            both.append(hard + by_trial * defective + self.of_image * rng.standard_normal((self.trials, images)))
        return both


CASES = (
    Case(1, 2, 0.3, 0.3, 0),
    Case(3, 2, 0.3, 0.3, 0),
    Case(3, 2, 0.3, 0.3, 0.2),
    Case(3, 2, 0.3, 0.6, 0.5),
    Case(10, 2, 0.3, 0.3, 0),
    Case(10, 2, 0.3, 0.3, 0.2),
    Case(10, 2, 0.3, 0.6, 0.5),
    Case(1, 3.5, 0.5, 0.3, 0, near_1=True),
    Case(3, 3.5, 0.5, 0.3, 0.2, near_1=True),
    Case(10, 3.5, 0.5, 0.3, 0.2, near_1=True),
)


def covered(number: int, studies: int, seed: int) -> float:
    """Of the case of this number in CASES."""
    case, defective = CASES[number], np.arange(GOOD + DEFECTIVE) >= GOOD
    truth, hits = case.true_drop(), 0
    for study in range(studies):
        control, candidate = case.scores(np.random.default_rng([seed, number, study]))
        found = auc_drop_interval(list(control), list(candidate), defective, seed=study)
        hits += found.low <= truth <= found.high
    return hits / studies


def main(arguments: Sequence[str] = ()) -> bool:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=500, help="of each case (500)")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=SEED)
    asked = parser.parse_args(arguments)
    print(f"Honest AUC: {asked.studies:,} studies of each case, seed {asked.seed}. {machine()}")
    with ProcessPoolExecutor(asked.processes) as pool:
        told = list(pool.map(partial(covered, studies=asked.studies, seed=asked.seed), range(len(CASES))))
    for case, share in zip(CASES, told, strict=True):
        print(
            f"  {case.trials} trials, AUC {case.true_auc(case.apart):.3f}, {case.true_drop():.3f} lost, a trial adds "
            f"{case.of_image:g} to an image and {case.of_trial:g} to all: covered {share:.1%}"
        )
    least = min(share for case, share in zip(CASES, told, strict=True) if not case.near_1)
    return tell(f"covered in at least {least:.1%}, bar 90 %", least >= LEAST_COVERED)


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
