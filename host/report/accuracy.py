"""What an evaluation found: tables, or JSON."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from host.evaluating import Evaluation, Verdict
from host.report.layout import Notes, add_row, apart, table, text
from host.report.values import percent
from host.scoring import METHODS, Contender
from inspection.accuracy import CONFIDENCE, AucEstimate
from inspection.pixel_accuracy import FALSE_POSITIVE_LIMIT, PixelAccuracy

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

SCORES = dict(zip(METHODS, ("Smoothed error", "Normalised error"), strict=True))
"""What each score is called: heads of columns, titles of pictures."""
_CONFIDENCE = percent(CONFIDENCE)
_ORIGINS = {"model": "stored in the model", "board": "found on the board", "artifact": "of this artifact"}


def accuracy_table(found: Evaluation) -> "Group":
    """The AUCs of the model and of what it has to beat, per kind of defect, of pixels, and what its threshold does."""
    from rich.console import Group

    notes = Notes()
    parts: list[RenderableType] = [
        Group(text(_headline(found), "bold"), text(_subject(found))),
        _contenders(found, notes),
        _kinds(found),
        _figures(found, notes),
        Group(*notes.lines(), text(_legend(found))),
    ]
    return Group(*apart(parts))


def accuracy_as_json(found: Evaluation) -> str:
    """One object: the figures of the tables, and `images`, each with both its scores. What is not known is null."""
    model = found.model
    images = [
        {
            "file": image.path.relative_to(found.dataset.folder).as_posix(),
            "kind": image.kind,
            "scores": {method: float(model.accuracies[method].scores[place]) for method in METHODS},
        }
        for place, image in enumerate(found.dataset.test)
    ]
    record = {
        "model": {**_record(model), "rate": found.rate},
        "place": found.place,
        "data": str(found.dataset.folder),
        "train_images": len(found.dataset.train),
        "preprocessing": asdict(found.preprocessing),
        "sigma": found.score.sigma,
        "training_error_from": "model" if found.brings_training_error else "training images",
        "baselines": [_record(baseline) for baseline in found.baselines],
        "pixels": {method: asdict(each) for method, each in found.pixels.items()} or None,
        "score_method": found.score.method,
        "verdicts": [_verdict_record(verdict) for verdict in found.verdicts],
        "notices": found.notices,
        "images": images,
    }
    return json.dumps(record, indent=2, allow_nan=False)


def short_auc(estimate: AucEstimate) -> str:
    """With its interval."""
    return f"{estimate.auc:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _record(contender: Contender) -> dict[str, Any]:
    accuracies = {
        method: {
            "auc": asdict(accuracy.auc),
            "auc_by_kind": {kind: asdict(each) for kind, each in accuracy.by_kind.items()},
        }
        for method, accuracy in contender.accuracies.items()
    }
    return {"name": contender.name, "weights": contender.weights, "accuracy": accuracies}


def _verdict_record(verdict: Verdict) -> dict[str, Any]:
    made = verdict.decisions
    rates = {"miss_rate": made.miss_rate, "false_reject_rate": made.false_reject_rate}
    return {"threshold_from": verdict.origin, "threshold": verdict.threshold, **asdict(made), **rates}


def _headline(found: Evaluation) -> str:
    auc = found.model.accuracies[found.score.method].auc
    return (
        f"AUC {auc.auc:.3f} ({_CONFIDENCE} interval {auc.low:.3f} to {auc.high:.3f}) "
        f"on {auc.good:,} good and {auc.defective:,} defective images"
    )


def _subject(found: Evaluation) -> str:
    compressed = "" if found.rate is None else f", {percent(found.rate)} of its weights removed"
    return (
        f"{found.model.name} on {found.place}{compressed}; by the {SCORES[found.score.method].lower()}; "
        f"{found.dataset.folder}"
    )


def _contenders(found: Evaluation, notes: Notes) -> "RenderableType":
    shown = table("Model", numbers=("Weights", *SCORES.values()))
    for each in (found.model, *found.baselines):
        weights = f"n/a {notes.mark('weights not counted')}" if each.weights is None else f"{each.weights:,}"
        add_row(shown, each.name, weights, *(short_auc(each.accuracies[method].auc) for method in METHODS))
    return shown


def _kinds(found: Evaluation) -> "RenderableType":
    shown = table("Kind", numbers=("Images", *SCORES.values()))
    by_kind = [found.model.accuracies[method].by_kind for method in METHODS]
    for kind in by_kind[0]:
        add_row(shown, kind, f"{by_kind[0][kind].defective:,}", *(short_auc(each[kind]) for each in by_kind))
    return shown


def _figures(found: Evaluation, notes: Notes) -> "RenderableType":
    """Of pixels, and of decisions: a column for each score."""
    shown = table("Figure", numbers=SCORES.values())
    pixel_figures: dict[str, Callable[[PixelAccuracy], float]] = {
        "Pixel AUROC": lambda each: each.auroc,
        f"AUPRO up to {percent(FALSE_POSITIVE_LIMIT)} false positives": lambda each: each.aupro,
    }
    for label, value in pixel_figures.items():
        cells = [f"{value(found.pixels[method]):.3f}" for method in METHODS if method in found.pixels]
        add_row(shown, label, *(cells or [f"n/a {notes.mark('the data set has no masks')}"] * len(METHODS)))
    if found.verdicts:
        for verdict in found.verdicts:
            for label, figure in _verdict_rows(verdict):
                add_row(shown, label, *_in_own_column(found, figure, notes))
    else:
        missing = f"n/a {notes.mark('the model has no threshold')}"
        for label in ("Threshold", "  defective images missed", "  good images rejected"):
            add_row(shown, label, *[missing] * len(METHODS))
    return shown


def _verdict_rows(verdict: Verdict) -> Iterable[tuple[str, str]]:
    made = verdict.decisions
    yield f"Threshold {_ORIGINS[verdict.origin]}", f"{verdict.threshold:.4g}"
    yield "  defective images missed", f"{made.missed:,} of {made.defective:,} ({100 * made.miss_rate:.1f} %)"
    yield "  good images rejected", f"{made.rejected:,} of {made.good:,} ({100 * made.false_reject_rate:.1f} %)"


def _in_own_column(found: Evaluation, figure: str, notes: Notes) -> list[str]:
    other = f"n/a {notes.mark('the model decides by the other score')}"
    return [figure if method == found.score.method else other for method in METHODS]


def _legend(found: Evaluation) -> str:
    origin = (
        "which the model brings"
        if found.brings_training_error
        else f"from {len(found.dataset.train):,} training images"
    )
    return (
        f"Both scores are the largest value of a map: the squared error, smoothed with a Gaussian of sigma "
        f"{found.score.sigma:g}; the same divided by the training error map, {origin}. In brackets the "
        f"{_CONFIDENCE} interval of an AUC; a kind's is against all good images."
    )
