"""An experiment as a table, three figures, and the scores of every image for whoever computes it again."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from contract.results import BenchRow
from host.report import drawing
from host.report.layout import add_row, table, text
from host.report.values import BYTES_PER_MIB, four_digits, percent
from host.reproduction.plan import Unit
from host.reproduction.records import Result
from host.reproduction.summary import METHODS, RateSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import Group

    from host.statistics import Trials

CSV_COLUMNS = ("seed", "model", "rate", "weights", "held_out_error", "image", "defective", "smoothed", "normalised")
_KINDS = {"control": "control", "rate": "retrained", "random": "random", "narrow": "narrow"}
_MEANINGS = (
    "control: nothing removed; random: the same ranks from random weights; narrow: a dense model of as many weights",
    "loss: of AUC by the normalised score, from the control; ±: 95 % interval of the mean over the seeds",
)


def reproduction_table(summaries: Sequence[RateSummary], rows: Mapping[Unit, BenchRow]) -> "Group":
    """A line per rate: AUC by both scores, its distance from the control, latency and memory where measured."""
    from rich.console import Group

    lines = table("Rate", "Model", numbers=("Weights", "AUC smooth", "AUC norm.", "Loss", "ms", "MiB"))
    measured = {unit.rate or 0.0: row for unit, row in rows.items()}
    for each in summaries:
        row = measured.get(each.rate) if each.kind in ("control", "rate") else None
        add_row(
            lines,
            percent(each.rate),
            _KINDS[each.kind],
            f"{each.weights:,.0f}",
            *(_auc(each.auc[method]) for method in METHODS),
            "" if each.kind == "control" else f"{-each.difference['normalised'].mean:.3f}",
            _latency(row),
            _memory(row),
        )
    return Group(lines, *map(text, _MEANINGS))


def reproduction_record(summaries: Sequence[RateSummary], rows: Mapping[Unit, BenchRow]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "rates": [asdict(each) for each in summaries],
        "measured": {unit.name: row.model_dump(mode="json") for unit, row in rows.items()},
    }


def accuracy_csv(results: Sequence[Result]) -> str:
    """Every score of every model: all figures of accuracy follow from it."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(CSV_COLUMNS)
    for result in results:
        unit = result.unit
        scores = zip(result.images, result.defective, result.smoothed, result.normalised, strict=True)
        for image, defective, smoothed, normalised in scores:
            model = unit.seed, unit.kind, unit.rate or 0, result.weights, f"{result.held_out_error:.6g}"
            writer.writerow((*model, image, int(defective), f"{smoothed:.6g}", f"{normalised:.6g}"))
    return file.getvalue()


def pictures(summaries: Sequence[RateSummary], rows: Mapping[Unit, BenchRow]) -> dict[str, bytes]:
    """By file name: AUC, and where they were measured memory and latency, against the rate."""
    made = {"auc.png": _auc_picture(summaries)}
    if rows:
        peaks = [(unit.rate or 0.0, _model_peak(row)) for unit, row in rows.items()]
        means = [(unit.rate or 0.0, row.latency_ms.mean if row.latency_ms else None) for unit, row in rows.items()]
        board = next(iter(rows.values())).board
        made["memory.png"] = _one_line(peaks, "peak memory of the model, MiB", board)
        made["latency.png"] = _one_line(means, "mean latency, ms", board)
    return made


def _auc_picture(summaries: Sequence[RateSummary]) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    styles = {
        "rate": (drawing.BLUE, "-", "o"),
        "random": (drawing.ORANGE, "--", "s"),
        "narrow": (drawing.GREEN, "-.", "^"),
    }
    for axes, method in zip(figure.subplots(1, len(METHODS), sharey=True), METHODS, strict=True):
        control = summaries[0].auc[method]
        axes.axhline(control.mean, color=drawing.BLACK, linestyle=":", label=f"control {control.mean:.3f}")
        for kind, (colour, line, marker) in styles.items():
            group = [each for each in summaries if each.kind == kind]
            if group:
                places = [_place(each.rate) for each in group]
                axes.errorbar(
                    places,
                    [each.auc[method].mean for each in group],
                    yerr=[_half_width(each.auc[method]) for each in group],
                    color=colour,
                    linestyle=line,
                    marker=marker,
                    capsize=3,
                    label=_KINDS[kind],
                )
        _rate_axis(axes, [each.rate for each in summaries if each.kind == "rate"])
        axes.set(title=f"{method} squared error", ylabel="AUC")
        axes.legend(fontsize=9)
    return drawing.png(figure)


def _one_line(points: Sequence[tuple[float, float | None]], label: str, board: str) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    known = [(rate, value) for rate, value in points if value is not None]
    axes.plot([_place(rate) for rate, _ in known], [value for _, value in known], color=drawing.BLUE, marker="o")
    for rate, value in known:
        axes.annotate(f"{value:.3g}", (_place(rate), value), textcoords="offset points", xytext=(5, 6), fontsize=8)
    _rate_axis(axes, [rate for rate, _ in known])
    axes.set(title=f"on {board}", ylabel=label)
    axes.set_ylim(bottom=0)
    return drawing.png(figure)


def _rate_axis(axes: "Axes", rates: Sequence[float]) -> None:
    """By the weights that are left, on a logarithmic axis: from 99 to 99.9 % is as far as from 0 to 90 %."""
    axes.set_xlim(1.1, 0.8 * _place(max(rates)))
    axes.set_xscale("log")
    axes.set_xticks([_place(rate) for rate in rates], [f"{100 * rate:g}" for rate in rates], rotation=45)
    axes.minorticks_off()
    axes.set_xlabel("weights removed, %")
    axes.grid(alpha=0.3)


def _place(rate: float) -> float:
    return 1 - rate


def _half_width(trials: "Trials") -> float:
    return 0.0 if trials.interval is None else trials.mean - trials.interval[0]


def _auc(trials: "Trials") -> str:
    return f"{trials.mean:.3f}" + ("" if trials.interval is None else f" ±{_half_width(trials):.3f}")


def _latency(row: BenchRow | None) -> str:
    if row is None or row.latency_ms is None:
        return "" if row is None else "does not run"
    return four_digits(row.latency_ms.mean)


def _memory(row: BenchRow | None) -> str:
    peak = row and _model_peak(row)
    return f"{peak:.1f}" if peak else ""


def _model_peak(row: BenchRow) -> float | None:
    """MiB."""
    peak = row.memory.model_peak_bytes if row.memory else None
    return None if peak is None else peak / BYTES_PER_MIB
