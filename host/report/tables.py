"""Rows and models as tables for a person, made by rich; print them with a `rich.console.Console`.

They are made for 80 columns and more: no id and no figure is cut. What is missing says why, in place or in a numbered
note below.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from contract.api import ModelInfo
from contract.results import BenchRow
from host.report.flags import flags_in_words, remedies, unjudged, warm
from host.report.layout import Notes, add_row, table, text
from host.report.load import load_in_words
from host.report.values import (
    LABELS,
    NOT_MEASURED,
    UNSTABLE,
    bare,
    figure,
    figure_or_reason,
    labels_of,
    steadiness,
    why_missing,
)
from host.statistics import trial_interval

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

MANY = 4  # figures that are null for one reason are told in one line
BUNDLE_CHARACTERS = 12  # of 64: as many as tell bundles apart
_TEMPORARY = "temporary: asked only by its name, and removed by the board once nothing has named it for a while"

_OF_ONE_TRIAL = "One trial: this holds within this run alone. What other runs would show: --trials 5."

TRIAL_COLUMNS = {
    "latency_ms.mean": "Mean",
    "latency_ms.median": "Median",
    "latency_ms.p90": "p90",
    "latency_ms.p99": "p99",
    "latency_ms.max": "Max",
    "first_run_ms": "First",
    "peak_memory_bytes": "Peak MiB",
}

LOAD_COLUMNS = {
    "latency_ms.mean": "Mean",
    "latency_ms.median": "Median",
    "latency_ms.p99": "p99",
    "latency_ms.max": "Max",
    "load.deadline_ms": "Deadline",
    "load.missed_share": "Missed",
    "load.highest_parts_per_minute": "Parts/min",
}

RESULT_COLUMNS = {
    "latency_ms.mean": "Mean ms",
    "peak_memory_bytes": "Peak MiB",
    "rate": "Rate",
    "auc": "AUC",
    "float_auc": "AUC of the float model",
}


def bench_table(rows: Sequence[BenchRow]) -> "Group":
    """Trials, by session, board and model: the headline, then every figure of one trial, or a line for each trial."""
    from rich.console import Group

    subjects: dict[tuple[str, ...], list[BenchRow]] = {}
    for row in rows:
        subjects.setdefault((row.session, row.board, row.model, row.bundle, row.precision, row.through), []).append(row)
    parts: list[RenderableType] = []
    for trials in subjects.values():
        parts += [text("")] if parts else []
        parts += [text(_headline(trials), "bold"), text(_subject(trials[0])), text("")]
        parts += _one_trial(trials[0]) if len(trials) == 1 else _several_trials(trials)
        parts += [text(line) for line in (*remedies(trials), *warm(trials))]
    return Group(*parts)


def results_table(rows: Sequence[BenchRow]) -> "Group":
    """One line per row, in the order given. A figure that no row has gets no column, but a line."""
    from rich.console import Group

    if not rows:
        return Group(text("No results."))
    figures = {key: head for key, head in RESULT_COLUMNS.items() if any(row.figures()[key] is not None for row in rows)}
    if any(row.failure is not None for row in rows):
        figures = {"latency_ms.mean": RESULT_COLUMNS["latency_ms.mean"]} | figures  # says which failed
    shown = table("Id", "Measured", "What", numbers=figures.values())
    notes = Notes()
    for row in rows:
        cells = _figure_cells(row, figures, notes)
        if row.flags and cells:
            cells[0] += f" {notes.mark(flags_in_words(row))}"
        add_row(shown, row.id, _measured(row), f"{row.model} {row.precision} on {row.board}", *cells)
    absent = ", ".join(LABELS[key] for key in RESULT_COLUMNS if key not in figures)
    return Group(shown, *notes.lines(), *([text(f"n/a (no row here has them): {absent}")] if absent else []))


def models_table(models: Sequence[ModelInfo]) -> "Group":
    """One line per deployed model. A rate that no model has gets no column."""
    from rich.console import Group

    if not models:
        return Group(text("No models."))
    notes = Notes()
    rates = ["Rate"] if any(model.rate is not None for model in models) else []
    shown = table("Model", "State", "Bundle", "Source", "Runtime", numbers=["Threshold", "Weights", *rates])
    for model in models:
        add_row(
            shown,
            f"{model.name} {notes.mark(_TEMPORARY)}" if model.temporary else model.name,
            f"{model.state} {notes.mark(model.reason)}" if model.reason else model.state,
            model.bundle[:BUNDLE_CHARACTERS],
            f"{model.source_name}, {model.precision}",
            f"{model.runtime} {model.runtime_version or notes.mark('no version: the model is not loaded')}",
            _threshold(model, notes),
            f"n/a {notes.mark('weights not counted')}" if model.weights is None else f"{model.weights:,}",
            *(_rate(model, notes) for _ in rates),
        )
    return Group(shown, *notes.lines())


def _threshold(model: ModelInfo, notes: Notes) -> str:
    if model.score is None:
        return f"n/a {notes.mark('the model has no score to decide by')}"
    if model.score.threshold is None:
        return f"n/a {notes.mark('uncalibrated: no good images have set a threshold')}"
    return f"{model.score.threshold:.4g}"


def _rate(model: ModelInfo, notes: Notes) -> str:
    if model.rate is None:
        return f"n/a {notes.mark('the model tells of no compression')}"
    return bare("rate", model.rate)


def _headline(trials: Sequence[BenchRow]) -> str:
    ran = [row for row in trials if row.failure is None]
    if not ran:
        return f"{trials[0].model} does not run on {trials[0].board}: {trials[0].failure}"
    counts = sorted({f"{row.counted_runs:,}" for row in ran if row.counted_runs is not None}, key=len)
    runs = f" of {' or '.join(counts)} counted runs" if counts else ""
    peaks = _values(ran, "peak_memory_bytes")
    if ran[0].load is not None:
        mean = _within_run(ran[0]) if len(trials) == 1 else f"{_mean_and_interval(ran)} over {_share(ran, trials)}"
        return f"Mean latency {mean}{runs}; {load_in_words(ran)}"
    memory = figure("peak_memory_bytes", max(peaks)) if peaks else figure_or_reason(ran[0], "peak_memory_bytes")
    if len(trials) == 1:
        return f"Mean latency {_within_run(ran[0])}{runs}; peak memory {memory}"
    return f"Mean latency {_mean_and_interval(ran)} over {_share(ran, trials)}{runs}; greatest peak memory {memory}"


def _share(ran: Sequence[BenchRow], trials: Sequence[BenchRow]) -> str:
    return f"{len(trials)} trials" if len(ran) == len(trials) else f"{len(ran)} of {len(trials)} trials"


def _within_run(row: BenchRow) -> str:
    """The mean of one trial, and how sure it is within that run of the bench."""
    mean = figure_or_reason(row, "latency_ms.mean")
    if row.latency_interval_ms is None:
        return f"{mean} ({UNSTABLE})" if "unstable" in row.flags else mean
    ends = (row.latency_interval_ms.low, row.latency_interval_ms.high)
    low, high = (bare("latency_ms.mean", end) for end in ends)
    return f"{mean} (95 % interval within this run {low} to {high} ms)"


def _mean_and_interval(ran: Sequence[BenchRow]) -> str:
    means = _values(ran, "latency_ms.mean")
    if not means:
        return figure_or_reason(ran[0], "latency_ms.mean")
    trials = trial_interval(means)
    mean = figure("latency_ms.mean", trials.mean)
    if trials.interval is None:
        return mean
    low, high = (bare("latency_ms.mean", end) for end in trials.interval)
    return f"{mean} (95 % interval {low} to {high} ms)"


def _subject(row: BenchRow) -> str:
    runtime = f", {row.environment.runtime} {row.environment.runtime_version}" if row.environment else ""
    return (
        f"{row.model} on {row.board}: {row.source_name}, {row.precision}{runtime}, "
        f"bundle {row.bundle[:BUNDLE_CHARACTERS]}, through {'HTTP' if row.through == 'http' else 'the worker'}"
    )


def _one_trial(row: BenchRow) -> list["RenderableType"]:
    facts = {"Id": row.id, "Measured": _measured(row)}
    if row.failure is None:
        together = _together(row)
        apart = {
            key: label
            for key, label in labels_of(row).items()
            if not any(label in labels for labels in together.values())
        }
        facts |= {label: figure_or_reason(row, key) for key, label in apart.items()}
        facts["Not measured"] = "\n".join(f"{'; '.join(labels)}{why}" for why, labels in together.items()) or "none"
        facts["Steady"] = steadiness(row)
    else:
        facts["Failure"] = row.failure_code or "n/a (without a code)"
        facts |= {LABELS[key]: figure(key, value) for key, value in row.figures().items() if value is not None}
    facts |= _circumstances(row)
    shown = table("Figure", "Value")
    for label, value in facts.items():
        add_row(shown, label, value)
    return [shown] if row.failure is not None else [shown, text(_OF_ONE_TRIAL)]


def _together(row: BenchRow) -> dict[str, list[str]]:
    """Figures that are null for one reason, told together: those not measured, and where it is the same for many."""
    missing: dict[str, list[str]] = {}
    for key, label in labels_of(row).items():
        if row.figures()[key] is None:
            missing.setdefault(why_missing(row, key), []).append(label)
    told = {f" ({why})": labels for why, labels in missing.items() if why != NOT_MEASURED and len(labels) >= MANY}
    return ({"": missing[NOT_MEASURED]} if NOT_MEASURED in missing else {}) | told


def _circumstances(row: BenchRow) -> dict[str, str]:
    facts = {"Flags": flags_in_words(row)}
    if open_flags := unjudged([row]):
        facts["Flags not judged"] = open_flags
    facts["Models stopped for it"] = ", ".join(row.stopped_models) or "none"
    if row.environment:
        facts["Machine"] = f"{row.environment.machine}, {row.environment.os_image}"
        facts["Power mode"] = row.environment.before.power_mode or f"n/a ({row.unmet.get('power_mode', 'not known')})"
    return facts


def _several_trials(trials: Sequence[BenchRow]) -> list["RenderableType"]:
    notes = Notes()
    columns = _trial_columns(trials)
    shown = table("Id", numbers=["Trial", *columns.values()])
    for row in trials:
        add_row(shown, row.id, str(row.trial), *_figure_cells(row, columns, notes))
    legend = "Latency in ms; fewer than two trials ran, so there is no spread between them."
    ran = [row for row in trials if row.failure is None]
    if len(ran) > 1:
        legend = "Latency in ms; std between trials; the 95 % interval is mean +/- the last line."
        shown.add_section()
        for label, cells in _summary(ran, columns, notes).items():
            add_row(shown, label, "", *cells)
    flags = [f"{row.id}: {flags_in_words(row)}" for row in trials if row.flags]
    if open_flags := unjudged(trials):
        flags.append(f"Flags not judged: {open_flags}")
    return [shown, *notes.lines(), *map(text, flags), text(legend)]


def _trial_columns(trials: Sequence[BenchRow]) -> dict[str, str]:
    loads = [row.load for row in trials if row.load is not None]
    if not loads:
        return TRIAL_COLUMNS
    sought = any(load.highest_parts_per_minute is not None for load in loads)
    return {key: head for key, head in LOAD_COLUMNS.items() if sought or not key.endswith("highest_parts_per_minute")}


def _summary(ran: Sequence[BenchRow], columns: dict[str, str], notes: Notes) -> dict[str, list[str]]:
    """The lines below the trials: label -> a cell for each of `columns`."""
    lines: dict[str, list[str]] = {"mean": [], "std": [], "95 % +/-": []}
    for key in columns:
        values = _values(ran, key)
        trials = trial_interval(values) if values else None
        if trials is None:
            cells = [f"n/a {notes.mark('no trial has this figure')}"] * 3
        elif trials.std is None or trials.interval is None:
            cells = [bare(key, trials.mean)] + [f"n/a {notes.mark('only one trial has this figure')}"] * 2
        else:
            half = trials.interval[1] - trials.mean
            cells = [bare(key, value) for value in (trials.mean, trials.std, half)]
        for line, cell in zip(lines.values(), cells, strict=True):
            line.append(cell)
    return lines


def _values(rows: Sequence[BenchRow], key: str) -> list[float]:
    return [value for row in rows if (value := row.figures()[key]) is not None]


def _figure_cells(row: BenchRow, keys: dict[str, str], notes: Notes) -> list[str]:
    """A cell per key; what is null has the number of its reason, and the first of a failed row says so."""
    cells = []
    for key in keys:
        value = row.figures()[key]
        if value is not None:
            cells.append(bare(key, value))
        elif row.failure is None:
            cells.append(f"n/a {notes.mark(why_missing(row, key))}")
        else:
            cells.append(("" if cells else "failed ") + notes.mark(why_missing(row, key)))
    return cells


def _measured(row: BenchRow) -> str:
    return row.measured_at.astimezone().strftime("%Y-%m-%d %H:%M")  # in the reader's own time zone


def boards_table(boards: Sequence[tuple[str, str, str, str]]) -> "RenderableType":
    """One line per board: name, profile, address, and whether it answers."""
    shown = table("Board", "Profile", "Address", "What")
    for board in boards:
        add_row(shown, *board)
    return shown
