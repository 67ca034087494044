"""A candidate's figure with its interval: what a condition is judged by."""

import math
from collections.abc import Iterable

from host.choosing.candidates import Candidate
from host.choosing.conditions import Figure
from host.choosing.keys import ACCURACY_KEYS, OF_THE_ARTIFACT
from host.report.values import why_missing
from host.statistics import trial_interval
from host.study.records import ImageScores
from host.study.results import StudyResults
from host.study.spec import CONTROL_RATE

ScoresByTrial = dict[int, ImageScores]


def estimate(results: StudyResults, candidate: Candidate, key: str) -> Figure | str:
    """The figure, or why there is none. Equal studies give equal intervals."""
    if candidate.absence is not None:
        return candidate.reason
    values = list(candidate.by_trial(key).values())
    if not values:
        return why_missing(candidate.rows[0], key)
    odd = next((value for value in values if not math.isfinite(value)), None)
    if odd is not None:
        return f"{odd} in one of its trials, which is no figure"
    mean = sum(values) / len(values)
    if key in OF_THE_ARTIFACT:
        return Figure(mean, min(values), max(values), len(values), "exact")
    if key in ACCURACY_KEYS and (figure := _bootstrapped(results, candidate, key)):
        return figure
    interval = trial_interval(values).interval
    if interval is None:
        return Figure(mean, None, None, 1, "one trial")
    return Figure(mean, *interval, len(values), "trials")


def _bootstrapped(results: StudyResults, candidate: Candidate, key: str) -> Figure | None:
    """None where the scores behind the AUC are not there any more, or not of the same images."""
    from inspection.accuracy_difference import auc_drop_interval, auc_interval

    trials = list(candidate.by_trial(key))
    by_trial = [_scores(results, candidate.board, candidate.rate, key)]
    if key.endswith("_drop"):
        # As the row has it (host/study/measure.py): of its float form where the control does not run on the board.
        of_float = _scores(results, candidate.board, CONTROL_RATE, f"float_{key}")
        by_trial = [of_float | _scores(results, candidate.board, CONTROL_RATE, key), *by_trial]
    if not all(trial in side for side in by_trial for trial in trials):
        return None
    sides = [[side[trial] for trial in trials] for side in by_trial]
    if not _same_images([each for side in sides for each in side]):
        return None
    defective, scores = sides[0][0].defective, [[each.scores for each in side] for side in sides]
    seed = results.study.seed
    if key.endswith("_drop"):
        value, low, high = auc_drop_interval(scores[0], scores[1], defective, seed)
    else:
        value, low, high = auc_interval(scores[0], defective, seed)
    return Figure(value, low, high, len(trials), "images and trials" if len(trials) > 1 else "images")


def _scores(results: StudyResults, board: str, rate: float, key: str) -> ScoresByTrial:
    """Of the artifact on the board, or of the float model."""
    if key.startswith("float_"):
        found = {trial: taught.scores for (at, trial), taught in results.taught.items() if at == rate}
    else:
        records = results.on_board.items()
        found = {trial: record.scores for (where, at, trial), record in records if (where, at) == (board, rate)}
    return {trial: scores for trial, scores in found.items() if scores is not None}


def _same_images(scores: Iterable[ImageScores]) -> bool:
    return len({(each.images, each.defective) for each in scores}) == 1
