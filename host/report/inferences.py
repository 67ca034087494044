"""What a model said of files: a table, or JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from host.inferring import Answer
from host.report.layout import add_row, table, text
from host.report.values import milliseconds

if TYPE_CHECKING:
    from rich.console import Group, RenderableType


def inferences_table(answers: Sequence[Answer]) -> "Group":
    """Decisions first where the model makes any, else every output in short."""
    from rich.console import Group

    decided = [answer for answer in answers if answer.decision is not None]
    parts: list[RenderableType] = [_decisions(decided)] if decided else []
    plain = [answer for answer in answers if answer.decision is None]
    if plain:
        parts.append(_outputs(plain))
    if any(answer.decision == "uncalibrated" for answer in decided):
        parts.append(text("uncalibrated: the model has no threshold yet"))
    return Group(*parts)


def inferences_as_json(answers: Sequence[Answer]) -> str:
    """A JSON array, one object per file."""
    return json.dumps([{**asdict(answer), "file": str(answer.file)} for answer in answers], indent=2)


def _decisions(answers: Sequence[Answer]) -> "RenderableType":
    shown = table("File", "Decision", numbers=("Score", "Threshold", "Run ms", "Total ms"))
    for answer in answers:
        threshold = "n/a" if answer.threshold is None else f"{answer.threshold:.4g}"
        add_row(shown, str(answer.file), str(answer.decision), f"{answer.score:.4g}", threshold, *_times(answer))
    return shown


def _outputs(answers: Sequence[Answer]) -> "RenderableType":
    shown = table("File", "Output", "Type", numbers=("Least", "Mean", "Greatest", "Run ms", "Total ms"))
    for answer in answers:
        for output in answer.outputs:
            shape = "x".join(str(size) for size in output.shape)
            figures = (f"{value:.4g}" for value in (output.least, output.mean, output.greatest))
            add_row(shown, str(answer.file), output.name, f"{output.dtype} {shape}", *figures, *_times(answer))
    return shown


def _times(answer: Answer) -> tuple[str, str]:
    return milliseconds(answer.run_ms), milliseconds(answer.total_ms)
