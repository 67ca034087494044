"""A comparison of two runs as a table for a person and as a record for programs."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from host.choosing.environments import in_words
from host.comparing.comparison import Compared, Comparison
from host.comparing.runs import Run
from host.report.choice import times
from host.report.layout import Notes, add_row, table, text
from host.report.values import LABELS, bare, figure

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

    from host.statistics import Estimate

HEADLINE = "latency_ms.mean"
_HOW = {
    "pairs": "Measured in turn, in pairs of which the first is random: Student's t on the logarithms of their ratios.",
    "trials": "Measured each on its own: Welch's t on the logarithms of the trials. In turn it tells more: --anew.",
    "one trial": "One trial: within-run only, the next may differ. Measure both in turn: --anew --trials 5.",
}


def comparison_table(compared: Comparison) -> "Group":
    """The headline, what the two are, a line for each figure, and how far it can be trusted."""
    from rich.console import Group

    notes = Notes()
    shown = table("What", "Verdict", numbers=("A", "B", "A / B", "95 % interval"))
    for each in compared.figures:
        add_row(shown, *_cells(each, notes))
    parts: list[RenderableType] = [text(headline(compared), "bold")]
    parts += [text(f"{name}: {_subject(run)}") for name, run in (("A", compared.a), ("B", compared.b))]
    parts += [text(""), shown, *notes.lines(), *map(text, _legend(compared))]
    return Group(*parts)


def comparison_record(compared: Comparison) -> dict[str, Any]:
    """The same for programs; `gain` is how many times A's the figure of B is."""
    return {
        "a": _run_record(compared.a),
        "b": _run_record(compared.b),
        "how": compared.how,
        "seed": compared.seed,
        "figures": {
            each.key: {
                "a": None if each.of_a is None else asdict(each.of_a),
                "b": None if each.of_b is None else asdict(each.of_b),
                "gain": None if each.gain is None else asdict(each.gain),
                "distinguishable": _distinguishable(each.gain),
                "missing": each.missing,
            }
            for each in compared.figures
        },
        "fewer_weights": compared.fewer_weights,
        "fewer_macs": compared.fewer_macs,
        "differences": [asdict(each) for each in compared.differences],
    }


def headline(compared: Comparison) -> str:
    """Which is faster, in a sentence."""
    latency = next(each for each in compared.figures if each.key == HEADLINE)
    gain = latency.gain
    if gain is None:
        return f"Not known which is faster: {latency.missing}"
    if gain.low is None or gain.high is None:
        return f"B was {times(gain.ratio)} times as fast as A in these runs; one trial tells nothing of the next"
    if not gain.distinguishable:
        return f"Not distinguishable: B is {times(gain.ratio)} times as fast as A (95 % interval {_span(gain)})"
    if gain.ratio < 1:
        turned = f"95 % interval {times(1 / gain.high)} to {times(1 / gain.low)}"
        return f"A is {times(1 / gain.ratio)} times as fast as B ({turned})"
    return f"B is {times(gain.ratio)} times as fast as A (95 % interval {_span(gain)})"


def _cells(each: Compared, notes: Notes) -> Sequence[str]:
    of_a, of_b = ("n/a" if side is None else figure(each.key, side.mean) for side in (each.of_a, each.of_b))
    if each.gain is None:
        why = f"n/a {notes.mark(each.missing)}" if each.missing else "no ratio of what is not above 0"
        return LABELS[each.key], why, of_a, of_b, "n/a", "n/a"
    return LABELS[each.key], _verdict(each.gain), of_a, of_b, times(each.gain.ratio), _span(each.gain)


def _verdict(gain: "Estimate") -> str:
    if gain.low is None:
        return "within-run only"
    if not gain.distinguishable:
        return "not distinguishable"
    return "B is better" if gain.ratio > 1 else "A is better"


def _span(gain: "Estimate") -> str:
    return "n/a" if gain.low is None or gain.high is None else f"{times(gain.low)} to {times(gain.high)}"


def _distinguishable(gain: "Estimate | None") -> bool | None:
    """None where nothing can be said of it."""
    return None if gain is None or gain.low is None else gain.distinguishable


def _subject(run: Run) -> str:
    row = run.row
    trials = f"{len(run.rows)} trials" if len(run.rows) > 1 else "one trial"
    rate = "" if row.requested_rate is None else f", rate {row.requested_rate:g} of the study {row.study}"
    flags = sorted({flag.replace("_", " ") for each in run.rows for flag in each.flags})
    told = f"{row.model} on {row.board}, {row.source_name}, {row.precision}{rate}, {trials} from {row.id} on"
    told += f"; flags: {', '.join(flags)}" if flags else ""
    return told + (f"; left out as invalid: {', '.join(each.id for each in run.left_out)}" if run.left_out else "")


def _legend(compared: Comparison) -> list[str]:
    lines = [_HOW[compared.how]]
    if compared.how == "one trial":
        lines += _within(compared)
    counts = {"weights": compared.fewer_weights, "multiply-adds": compared.fewer_macs}
    fewer = [f"{times(count)} times the {what}" for what, count in counts.items() if count is not None]
    if fewer:
        lines.append(f"A has {' and '.join(fewer)} of B: what compression took away, beside what that has bought.")
    if compared.differences:
        lines.append(f"Environments differ: {'; '.join(map(in_words, compared.differences))}.")
    if compared.seed is not None:
        lines.append(f"The order is that of --seed {compared.seed}.")
    return lines


def _within(compared: Comparison) -> list[str]:
    """The intervals of the two means, of the one run each."""
    told = []
    for name, run in (("A", compared.a), ("B", compared.b)):
        interval = run.row.latency_interval_ms
        if interval is not None and len(run.rows) == 1:
            told.append(f"{name} {bare(HEADLINE, interval.low)} to {bare(HEADLINE, interval.high)} ms")
    return [f"Mean latency within its run, 95 % interval: {', '.join(told)}."] if told else []


def _run_record(run: Run) -> dict[str, Any]:
    row = run.row
    return {
        "board": row.board,
        "model": row.model,
        "bundle": row.bundle,
        "requested_rate": row.requested_rate,
        "study": row.study,
        "weights": row.weights,
        "macs": row.macs,
        "rows": [each.id for each in run.rows],
        "left_out": [each.id for each in run.left_out],
        "flags": sorted({flag for each in run.rows for flag in each.flags}),
    }
