"""A candidate's figure with its interval: what a condition is judged by."""

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress

from host.choosing.candidates import Candidate
from host.choosing.conditions import Basis, Figure
from host.choosing.keys import ACCURACY_KEYS, OF_THE_ARTIFACT
from host.report.values import why_missing
from host.statistics import trial_interval
from host.study.records import ImageScores
from host.study.results import StudyResults
from host.study.spec import CONTROL_RATE
from inspection.accuracy import RESAMPLES

ScoresByTrial = dict[int, ImageScores]

_FOR_A_NOTE = 300
"""Resamples of the original's AUC, of which only a note is made: all boards have one, and 2,000 took half a second."""


def estimate(results: StudyResults, candidate: Candidate, key: str, resamples: int = RESAMPLES) -> Figure | str:
    """The figure, or why there is none. Equal studies give equal intervals. `resamples`: of a bootstrap."""
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
    if key in ACCURACY_KEYS and (figure := _bootstrapped(results, candidate, key, resamples)):
        return figure
    interval = trial_interval(values).interval
    if interval is None:
        return Figure(mean, None, None, 1, "one trial")
    return Figure(mean, *interval, len(values), "trials")


def control_auc(results: StudyResults, candidates: Iterable[Candidate], key: str) -> Figure | None:
    """The original's AUC on the board, or that of its float form where it has none there; None without either, or
    where scores are no numbers: whoever asks for an AUC is told of these.
    """
    from inspection.errors import InspectionError

    with suppress(InspectionError):
        for control in (each for each in candidates if each.is_control):
            figure = estimate(results, control, key, _FOR_A_NOTE)
            if isinstance(figure, Figure):
                return figure
        scores = list(_scores(results, "", CONTROL_RATE, "float_auc").values())
        if scores and _same_images(scores):
            return _over_images(scores, results.study.seed, _FOR_A_NOTE)
    return None


def _bootstrapped(results: StudyResults, candidate: Candidate, key: str, resamples: int) -> Figure | None:
    """None where the scores behind the AUC are not there any more, or not of the same images."""
    from inspection.accuracy_difference import auc_drop_interval

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
    seed = results.study.seed
    if not key.endswith("_drop"):
        return _over_images(sides[0], seed, resamples)
    defective, scores = sides[0][0].defective, [[each.scores for each in side] for side in sides]
    interval = auc_drop_interval(scores[0], scores[1], defective, seed, resamples)
    return Figure(*interval, len(trials), _basis(len(trials)))


def _over_images(trials: Sequence[ImageScores], seed: int, resamples: int) -> Figure:
    """The AUC of trials that judged the same images."""
    from inspection.accuracy_difference import auc_interval

    interval = auc_interval([each.scores for each in trials], trials[0].defective, seed, resamples)
    return Figure(*interval, len(trials), _basis(len(trials)))


def _basis(trials: int) -> Basis:
    return "images and trials" if trials > 1 else "images"


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
