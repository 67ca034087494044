"""What a model said of files: a table, or JSON."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from host.inferring import Answer, Failure
from host.report.layout import add_row, apart, table, text
from host.report.values import four_digits

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

_DECISIONS = ("good", "defective", "uncalibrated")  # in the order they are counted


def inferences_table(answers: Sequence[Answer]) -> "Group":
    """Decisions where the model makes any, outputs in short where it does not, or both."""
    from rich.console import Group

    if not answers:
        return Group()
    names = _short([answer.file for answer in answers])
    parts: list[RenderableType] = []
    if any(answer.decision is not None for answer in answers):
        parts += [_decisions(answers, names), text(_count(answers), "bold")]
    if any(answer.outputs for answer in answers):
        parts.append(_outputs(answers, names))
    if len(answers) > 1 or answers[0].outputs:
        parts.append(text(_times(answers)))
    return Group(*apart(parts))


def inferences_as_json(answers: Sequence[Answer | Failure]) -> str:
    """A JSON array, one object per file; of one that failed: file, error, code, hint."""
    return json.dumps([_record(answer) for answer in answers], indent=2, allow_nan=False)


def _record(answer: Answer | Failure) -> dict[str, Any]:
    file = {"file": str(answer.file)}
    if isinstance(answer, Failure):
        return file | {"error": answer.error.message, "code": answer.error.code, "hint": answer.error.hint}
    return asdict(answer) | file


def _decisions(answers: Sequence[Answer], names: Sequence[str]) -> "RenderableType":
    shown = table("File", "Decision", numbers=("Score", "Run ms", "Total ms"))
    for answer, name in zip(answers, names, strict=True):
        times = four_digits(answer.run_ms), four_digits(answer.total_ms)
        add_row(shown, name, str(answer.decision), _figure(answer.score), *times)
    return shown


def _count(answers: Sequence[Answer]) -> str:
    counts = Counter(answer.decision for answer in answers)
    count = ", ".join(f"{counts[decision]:,} {decision}" for decision in _DECISIONS if counts[decision])
    threshold = answers[0].threshold
    rule = "no threshold has been set yet" if threshold is None else f"defective above {_figure(threshold)}"
    return f"{'1 file' if len(answers) == 1 else f'{len(answers):,} files'}: {count} ({rule})"


def _outputs(answers: Sequence[Answer], names: Sequence[str]) -> "RenderableType":
    shown = table("File", "Output", "Type", numbers=("Least", "Mean", "Greatest"))
    for answer, name in zip(answers, names, strict=True):
        for index, output in enumerate(answer.outputs):
            shape = "x".join(str(size) for size in output.shape) or "scalar"
            figures = (_figure(value) for value in (output.least, output.mean, output.greatest))
            add_row(shown, "" if index else name, output.name, f"{output.dtype} {shape}", *figures)
    return shown


def _times(answers: Sequence[Answer]) -> str:
    run_ms = four_digits(sum(answer.run_ms for answer in answers) / len(answers))
    total_ms = four_digits(sum(answer.total_ms for answer in answers) / len(answers))
    converting = [answer.convert_ms for answer in answers if answer.convert_ms is not None]
    convert_ms = f"{four_digits(sum(converting) / len(converting))} ms converting its tensors, " if converting else ""
    return f"On average {run_ms} ms in the model, {convert_ms}{total_ms} ms in the agent in all (decoding, decision)."


def _figure(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.4g}"


def _short(files: Sequence[Path]) -> list[str]:
    """The files without the folders they have in common."""
    common = os.path.commonpath([file.absolute().parent for file in files])
    return [os.path.relpath(file.absolute(), common) for file in files]
