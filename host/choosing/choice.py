"""The answer: of each board the candidate to take, how it was found, and what keeps each of the others from it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from host.choosing.candidates import Candidate
from host.choosing.conditions import Constraint, Figure, Objective, Verdict
from host.choosing.environments import Difference
from host.statistics import Estimate

CHANCE = 0.5
"""The AUC of what tells nothing."""
DEFAULT_OBJECTIVE = Objective("latency_ms.mean", "lower")


@dataclass(frozen=True)
class Request:
    """What is asked. Without a constraint it is the knee; `boards` empty: all of the study's.

    `point`: judge by estimates, not by intervals. `allow_different_environment`: compare rows of invalid runs and of
    other environments all the same.
    """

    objective: Objective = DEFAULT_OBJECTIVE
    constraints: tuple[Constraint, ...] = ()
    boards: tuple[str, ...] = ()
    point: bool = False
    allow_different_environment: bool = False


@dataclass(frozen=True)
class Judgement:
    """Whether a candidate meets a condition. `figure` None: there is none, `missing` says why; undecided then."""

    constraint: Constraint
    verdict: Verdict
    figure: Figure | None
    missing: str | None = None

    @property
    def shortfall(self) -> float:
        """By how much of its bound the worse end of the interval misses it; inf without a figure."""
        if self.figure is None:
            return math.inf
        ends = self.figure.interval or (self.figure.value,)
        return max(self.constraint.shortfall(end) for end in ends)


Status = Literal["best", "beaten", "fails", "undecided", "no objective", "absent", "eligible"]
"""What became of a candidate.

best          it is the answer                        beaten       it meets every condition, another is better
fails         a condition is not met                  undecided    none failed, one cannot be told
no objective  it has not the figure to be best in     absent       no row counts: `Candidate.absence`
eligible      nothing is against it, but no answer was found, or looked for: the board's rows are not compared
"""

Outcome = Literal[
    "best", "knee", "dominant", "no knee", "only one", "none passes", "no figure", "nothing ran", "not compared"
]
"""How a board's answer was found, or why there is none.

best          best in the objective of those that meet every condition
knee          no condition was given: the knee of AUC against the objective
dominant      no condition was given, and one is best in both
no knee       no condition was given, and the curve has no knee: no answer
only one      no condition was given, one alone can be judged, and not for that the others do not run: no answer
none passes   no answer: no candidate meets every condition; `nearest` came nearest
no figure     no answer: none that could be taken has the objective (or, for a knee, an AUC)
nothing ran   no answer: no row counts
not compared  no answer: the environments of the rows differ, see `differences`
"""


@dataclass(frozen=True, eq=False)
class Judged:
    """A candidate, and what there is to say of it.

    `objective` None: it has none, for the reason `no_objective`. `behind`: how many times the best is better in the
    objective. `speed_up`: how many times the control takes its latency_ms.mean. `fewer_weights` and `fewer_macs`: how
    many times the control has them. Each None where it is not known, or where there is nothing to compare.
    """

    candidate: Candidate
    status: Status
    judgements: tuple[Judgement, ...]
    objective: Figure | None
    no_objective: str | None
    speed_up: Estimate | None
    fewer_weights: float | None
    fewer_macs: float | None
    behind: Estimate | None = None
    on_front: bool = False

    @property
    def rate(self) -> float:
        """As requested."""
        return self.candidate.rate

    @property
    def as_good_as_the_best(self) -> bool:
        """As far as the trials can tell: the interval of `behind` holds 1."""
        return self.behind is not None and self.behind.low is not None and not self.behind.distinguishable

    @property
    def only_looks_faster(self) -> bool:
        """Weights were removed, and latency is no better for it as far as the trials can tell."""
        if self.speed_up is None or self.speed_up.low is None:
            return False
        return self.speed_up.low <= 1


@dataclass(frozen=True, eq=False)
class BoardChoice:
    """Of one board; `candidates` ascend in rate. `front`: the rates that none other beats in `front_keys` at once, by
    point estimates. `auc_key`: what AUC means here, float_auc where the artifact on the board has none.
    `differences` of the environments, empty where they are alike. `control_auc`: of the original on the board, or of
    its float form where that is all there is; None where no AUC is known.
    """

    board: str
    outcome: Outcome
    candidates: tuple[Judged, ...]
    best: Judged | None
    nearest: Judged | None
    auc_key: str
    front: tuple[float, ...]
    front_keys: tuple[str, ...]
    differences: tuple[Difference, ...]
    control_auc: Figure | None = None

    @property
    def control_is_useless(self) -> bool:
        """As far as anyone can tell it is no better than chance: from what is lost of it nothing follows."""
        auc = self.control_auc
        return auc is not None and (auc.value if auc.low is None else auc.low) <= CHANCE

    @property
    def not_tried(self) -> tuple[float, ...]:
        """The rates that have no rows yet."""
        return tuple(each.rate for each in self.candidates if each.candidate.absence == "not tried")


@dataclass(frozen=True, eq=False)
class Choice:
    """`optimistic`: an epoch was chosen by the test images whose AUC is judged here; control and candidates alike."""

    study: str
    begun: datetime
    request: Request
    optimistic: bool
    boards: Mapping[str, BoardChoice]

    @property
    def found(self) -> bool:
        """Whether any board has an answer."""
        return any(each.best for each in self.boards.values())
