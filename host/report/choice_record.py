"""A choice as a record for programs."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from host.choosing.choice import BoardChoice, Choice, Judged, Judgement


def choice_record(choice: Choice) -> dict[str, Any]:
    """By the names of `host.choosing.choice`; figures in the units of their keys."""
    request = choice.request
    return {
        "study": choice.study,
        "created_at": choice.begun.isoformat(),
        "objective": asdict(request.objective),
        "constraints": [asdict(each) for each in request.constraints],
        "point": request.point,
        "allow_different_environment": request.allow_different_environment,
        "optimistic": choice.optimistic,
        "boards": [_board(each) for each in choice.boards.values()],
    }


def _board(chosen: BoardChoice) -> dict[str, Any]:
    return {
        "board": chosen.board,
        "outcome": chosen.outcome,
        "best": None if chosen.best is None else chosen.best.rate,
        "nearest": None if chosen.nearest is None else chosen.nearest.rate,
        "front": {"keys": chosen.front_keys, "rates": chosen.front},
        "differences": [asdict(each) for each in chosen.differences],
        "control_auc": None if chosen.control_auc is None else asdict(chosen.control_auc),
        "control_is_useless": chosen.control_is_useless,
        "candidates": [_candidate(each, chosen.front_keys) for each in chosen.candidates],
    }


def _candidate(each: Judged, keys: Sequence[str]) -> dict[str, Any]:
    candidate = each.candidate
    return {
        "rate": each.rate,
        "status": each.status,
        "absence": candidate.absence,
        "reason": None if candidate.absence is None else candidate.reason,
        "rows": [row.id for row in candidate.rows],
        "invalid_rows": [row.id for row in candidate.invalid],
        "failed_rows": [row.id for row in candidate.failed],
        "flags": sorted({flag for row in candidate.rows for flag in row.flags}),
        "objective": None if each.objective is None else asdict(each.objective),
        "no_objective": each.no_objective,
        "constraints": [_judgement(told) for told in each.judgements],
        "means": {key: candidate.mean(key) for key in keys},
        "speed_up": None if each.speed_up is None else asdict(each.speed_up),
        "fewer_weights": each.fewer_weights,
        "fewer_macs": each.fewer_macs,
        "only_looks_faster": each.only_looks_faster,
        "behind": None if each.behind is None else asdict(each.behind),
        "on_front": each.on_front,
    }


def _judgement(told: Judgement) -> dict[str, Any]:
    return {
        "text": told.constraint.text,
        "verdict": told.verdict,
        "figure": None if told.figure is None else asdict(told.figure),
        "missing": told.missing,
    }
