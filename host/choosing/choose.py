"""From a study to a choice, board by board."""

import difflib
import math
from collections.abc import Sequence
from dataclasses import replace

from host.choosing.candidates import Candidate, candidates_of, rows_of
from host.choosing.choice import BoardChoice, Choice, Judged, Judgement, Outcome, Request, Status
from host.choosing.conditions import Constraint, judge
from host.choosing.environments import differences
from host.choosing.estimates import control_auc, estimate
from host.choosing.keys import ACCURACY_KEYS, OF_THE_ARTIFACT
from host.choosing.knee import knee
from host.choosing.pareto import front
from host.choosing.ratios import of_trials
from host.errors import InputError
from host.report.values import why_missing
from host.statistics import Estimate
from host.study.results import StudyResults
from host.study.spec import CONTROL_RATE

AUC_KEYS = ("auc", "float_auc")
"""The first that any candidate of the board has."""
LATENCY_KEY = "latency_ms.mean"
MEMORY_KEY = "peak_memory_bytes"


def choose(results: StudyResults, request: Request) -> Choice:
    """Of each board asked for the candidate to take. InputError for a board that the study has not, or for a figure
    that no row of it has.
    """
    boards = _boards(results, request)
    by_board = {
        board: candidates_of(results, board, allow_invalid=request.allow_different_environment) for board in boards
    }
    _check_keys(request, [candidate for candidates in by_board.values() for candidate in candidates])
    return Choice(
        results.study.name,
        results.created_at,
        request,
        optimistic=any(taught.optimistic for taught in results.taught.values()),
        boards={board: _on_board(results, board, candidates, request) for board, candidates in by_board.items()},
    )


def _boards(results: StudyResults, request: Request) -> tuple[str, ...]:
    there = results.study.boards
    for board in request.boards:
        if board not in there:
            near = difflib.get_close_matches(board, there, n=1)
            raise InputError(
                f"the study {results.study.name!r} has no board {board!r}"
                + (f"; did you mean {near[0]!r}?" if near else ""),
                f"it has {', '.join(there)}",
                "unknown_board",
            )
    return request.boards or there


def _check_keys(request: Request, candidates: Sequence[Candidate]) -> None:
    """InputError for a figure that no row has: a condition on it would be met by none."""
    rows = list(rows_of(candidates))
    for key in dict.fromkeys((*(constraint.key for constraint in request.constraints), request.objective.key)):
        if rows and not any(candidate.by_trial(key) for candidate in candidates):
            where = ", ".join(dict.fromkeys(row.board for row in rows))
            raise InputError(
                f"no row of {where} has {key!r}: {why_missing(rows[0], key)}",
                "take another figure; `host study show --json` has all that there are",
                "no_figure",
            )


def _on_board(results: StudyResults, board: str, candidates: Sequence[Candidate], request: Request) -> BoardChoice:
    judged = [_judged(results, each, candidates, request) for each in candidates]
    auc_key = next((key for key in AUC_KEYS if any(each.by_trial(key) for each in candidates)), AUC_KEYS[0])
    keys = (auc_key, LATENCY_KEY, MEMORY_KEY)
    differing = differences(list(rows_of(candidates)))
    best: Judged | None = None
    outcome: Outcome
    if differing and not request.allow_different_environment:
        outcome, judged = "not compared", [_by_itself(each) for each in judged]
    else:
        outcome, best, judged = _compared(judged, request, keys)
    return BoardChoice(
        board,
        outcome,
        tuple(judged),
        best,
        _nearest(judged, request) if outcome == "none passes" else None,
        auc_key,
        tuple(each.rate for each in judged if each.on_front),
        keys,
        differing,
        control_auc(results, candidates, auc_key),
    )


def _by_itself(each: Judged) -> Judged:
    """With no verdict: its rows may be of two environments as well."""
    status: Status = "absent" if each.status == "absent" else "eligible"
    return replace(each, status=status, judgements=(), speed_up=None)


def _compared(
    judged: Sequence[Judged], request: Request, keys: tuple[str, str, str]
) -> tuple[Outcome, Judged | None, list[Judged]]:
    """How the best was found, it, and all of them beside it."""
    judged = _with_front(judged, keys)
    best: Judged | None = None
    outcome: Outcome
    if not any(each.candidate.rows for each in judged):
        outcome = "nothing ran"
    elif not request.constraints and _nothing_to_compare(judged, request, keys[0]):
        outcome = "only one"
    elif request.constraints or request.objective.key in ACCURACY_KEYS:
        outcome, best = _best(judged, request)
    else:
        outcome, best = _knee(judged, request, keys[0])
    if best is not None:
        judged = [_beside(each, best, request) for each in judged]
        best = next(each for each in judged if each.status == "best")
    return outcome, best, judged


def _judged(results: StudyResults, candidate: Candidate, all_of_them: Sequence[Candidate], request: Request) -> Judged:
    """By itself, not yet beside the others."""
    control = next((each for each in all_of_them if each.is_control), None)
    objective = estimate(results, candidate, request.objective.key)
    judgements = tuple(_judgement(results, candidate, constraint, request.point) for constraint in request.constraints)
    verdicts = {judgement.verdict for judgement in judgements}
    made = Judged(
        candidate,
        "eligible",
        judgements,
        None if isinstance(objective, str) else objective,
        objective if isinstance(objective, str) else None,
        _ratio(control, candidate, LATENCY_KEY),
        _times(results, candidate, "weights"),
        _times(results, candidate, "macs"),
    )
    if candidate.absence is not None:
        return replace(made, status="absent")
    if "fails" in verdicts:
        return replace(made, status="fails")
    if "undecided" in verdicts:
        return replace(made, status="undecided")
    return made if made.objective else replace(made, status="no objective")


def _judgement(results: StudyResults, candidate: Candidate, constraint: Constraint, point: bool) -> Judgement:
    figure = estimate(results, candidate, constraint.key)
    if isinstance(figure, str):
        return Judgement(constraint, "undecided", None, figure)
    return Judgement(constraint, judge(constraint, figure, point), figure)


def _ratio(above: Candidate | None, below: Candidate, key: str) -> Estimate | None:
    if above is None or above is below:
        return None
    return of_trials(list(above.by_trial(key).values()), list(below.by_trial(key).values()))


def _times(results: StudyResults, candidate: Candidate, name: str) -> float | None:
    """How many times the control has them. A model that does not run on the board has them as well."""
    of_rates: dict[float, list[int]] = {}
    for (rate, _), taught in results.taught.items():
        count = getattr(taught, name)
        if count is not None:
            of_rates.setdefault(rate, []).append(count)
    control, own = of_rates.get(CONTROL_RATE), of_rates.get(candidate.rate)
    if not control or not own or not sum(own):
        return None
    return (sum(control) / len(control)) / (sum(own) / len(own))


def _with_front(judged: Sequence[Judged], keys: tuple[str, str, str]) -> list[Judged]:
    """By point estimates; one that lacks a figure is not on it."""
    costs = {}
    for place, each in enumerate(judged):
        auc, latency, memory = (each.candidate.mean(key) for key in keys)
        if auc is not None and latency is not None and memory is not None:
            costs[place] = (-auc, latency, memory)
    places = list(costs)
    on_front = {places[at] for at in front(list(costs.values()))}
    return [replace(each, on_front=place in on_front) for place, each in enumerate(judged)]


def _nothing_to_compare(judged: Sequence[Judged], request: Request, auc_key: str) -> bool:
    """One alone can be judged though others may run as well: not measured yet, without the figures, invalid."""
    able = [each for each in judged if each.objective is not None]
    if request.objective.key not in ACCURACY_KEYS:
        able = [each for each in able if each.candidate.mean(auc_key) is not None]
    return len(able) == 1 and any(each.candidate.absence != "does not run" for each in judged if each is not able[0])


def _best(judged: Sequence[Judged], request: Request) -> tuple[Outcome, Judged | None]:
    """The best by its point estimate; of two equal ones the less compressed."""
    passing = [each for each in judged if each.status == "eligible"]
    if passing:
        return "best", min(passing, key=lambda each: _cost(each, request))
    return "no figure" if any(each.status == "no objective" for each in judged) else "none passes", None


def _knee(judged: Sequence[Judged], request: Request, auc_key: str) -> tuple[Outcome, Judged | None]:
    aucs = [each.candidate.mean(auc_key) for each in judged]
    points = [
        (each, auc) for each, auc in zip(judged, aucs, strict=True) if each.objective is not None and auc is not None
    ]
    if not points:
        return "no figure", None
    costs, gains = [_cost(each, request) for each, _ in points], [auc for _, auc in points]
    unbeaten = front([(cost, -gain) for cost, gain in zip(costs, gains, strict=True)])
    if len(unbeaten) == 1:
        return "dominant", points[unbeaten[0]][0]
    place = knee(costs, gains)
    return ("no knee", None) if place is None else ("knee", points[place][0])


def _cost(each: Judged, request: Request) -> float:
    assert each.objective is not None
    return request.objective.cost(each.objective.value)


def _beside(each: Judged, best: Judged, request: Request) -> Judged:
    """What the best has made of it. Of an AUC, or of what is counted, the trials' ratio would say nothing."""
    if each is best:
        return replace(each, status="best")
    key, behind = request.objective.key, None
    if key not in ACCURACY_KEYS | OF_THE_ARTIFACT:
        above, below = (each, best) if request.objective.better == "lower" else (best, each)
        behind = _ratio(above.candidate, below.candidate, key)
    return replace(each, status="beaten" if each.status == "eligible" else each.status, behind=behind)


def _nearest(judged: Sequence[Judged], request: Request) -> Judged | None:
    """Of those that ran: the fewest conditions failed, then the fewest undecided, then the least part of its bound by
    which its interval's worse end misses the worst of them, then the objective. None where nobody can tell.
    """

    def distance(each: Judged) -> tuple[int, int, float, float]:
        verdicts = [judgement.verdict for judgement in each.judgements]
        misses = [judgement.shortfall for judgement in each.judgements if judgement.verdict != "passes"]
        cost = math.inf if each.objective is None else _cost(each, request)
        return verdicts.count("fails"), verdicts.count("undecided"), max(misses, default=0.0), cost

    known = [each for each in judged if all(math.isfinite(judgement.shortfall) for judgement in each.judgements)]
    return min(known, key=distance, default=None)
