"""A study as tables: how far it is, and what it has found."""

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from contract.results import BenchRow
from host.choosing.ratios import of_trials
from host.report.flags import flags_in_words, remedies
from host.report.layout import Notes, add_row, apart, table, text
from host.report.records import rows_as_json
from host.report.values import BYTES_PER_MIB, bare, percent
from host.statistics import trial_interval
from host.study.measure import is_final
from host.study.results import BEGIN
from host.study.spec import CONTROL_RATE, QUICK

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

    from host.study.results import StudyResults
    from host.study.spec import Study
    from host.study.status import Line, Status

_COLUMNS = {
    "weights": "Weights",
    "auc": "AUC",
    "float_auc": "Float AUC",
    "latency_ms.mean": "Mean ms",
    "model_peak_bytes": "Model MiB",
}
_RATIOS = ("Faster", "Fewer weights", "Fewer MACs")
_INTERVAL = "\u00b1: half of the 95 % interval over trials (Student's t); without it there was one trial"
_NOTE = "faster, fewer: than the control of the same board, by so many times; `host choose` has the interval"
_OPTIMISTIC = "epochs were chosen by the test images: the AUCs are flattered"
_QUICK = "retrained for so few epochs (--quick), the AUCs say little"


def status_table(status: "Status") -> "Group":
    """One line for each rate, and whether somebody is at work."""
    from rich.console import Group

    shown = table("Rate", numbers=["Taught", *status.boards])
    for line in status.lines:
        cells = [_counted(line, board, status.trials) for board in status.boards]
        add_row(shown, percent(line.rate), f"{line.taught}/{status.trials}", *cells)
    if status.pid is not None:
        now = f"process {status.pid} is at work on it"
        now += "" if status.left_s is None else f", {_for(status.left_s)} left"
    elif status.is_done:
        now = f"done: host study show {status.name}"
    else:
        now = f"not at work: host study resume {status.name} goes on with it"
    under_way = [text(f"now: {name}, for {_for(seconds)}") for name, seconds in status.under_way.items()]
    return Group(text(f"{status.name}: {now}", "bold"), *under_way, text(""), shown)


def _for(seconds: float) -> str:
    """So long, as it is said."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _counted(line: "Line", board: str, trials: int) -> str:
    parts = [f"{line.measured[board]}/{trials}"]
    if line.does_not_run[board]:
        parts.append(f"{line.does_not_run[board]} do not run")
    if line.failed[board]:
        parts.append(f"{line.failed[board]} failed")
    return ", ".join(parts)


def list_table(studies: Sequence["StudyResults"]) -> "RenderableType":
    """One line for each, or how to begin."""
    if not studies:
        return text(f"there is no study; {BEGIN}")
    shown = table("Study", "Begun", "Boards", numbers=["Rates", "Trials", "Rows done"])
    shown.columns[2].no_wrap = False  # there may be many
    for results in studies:
        study = results.study
        counts = [str(len(study.rates)), str(study.trials), f"{_done(results)}/{_asked(study)}"]
        begun = f"{results.created_at.astimezone():%Y-%m-%d %H:%M}"
        add_row(shown, study.name, begun, ", ".join(study.boards), *counts)
    return shown


def list_record(studies: Sequence["StudyResults"]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [
        {
            "name": results.study.name,
            "created_at": results.created_at.isoformat(),
            "boards": list(results.study.boards),
            "rates": list(results.study.rates),
            "trials": results.study.trials,
            "rows_done": _done(results),
            "rows_asked": _asked(results.study),
        }
        for results in studies
    ]


def _done(results: "StudyResults") -> int:
    """What no resume would try again."""
    return sum(is_final(row) for row in results.rows)


def _asked(study: "Study") -> int:
    return len(study.boards) * len(study.rates) * study.trials


def study_table(results: "StudyResults") -> "Group":
    """By board, a line for each rate; what failed with its reason."""
    from rich.console import Group

    study = results.study
    title = f"{study.name}: {study.model} on {study.data}, trials {study.trials}"
    parts: list[RenderableType] = [text(title, "bold"), *(_board_table(results, board) for board in study.boards)]
    notes = [_INTERVAL, _NOTE]
    if any(each.optimistic for each in results.taught.values()):
        notes.append(_OPTIMISTIC)
    if study.retrain_epochs <= QUICK["retrain_epochs"]:
        notes.append(_QUICK)
    return Group(*apart(parts), text(""), *(text(note) for note in notes))


def _board_table(results: "StudyResults", board: str) -> "Group":
    from rich.console import Group

    shown, notes = table("Rate", numbers=[*_COLUMNS.values(), *_RATIOS]), Notes()
    by_rate = {rate: _rows_of(results, board, rate) for rate in results.study.rates}
    control = _ran(by_rate[CONTROL_RATE])
    for rate, rows in by_rate.items():
        ran, failed = _ran(rows), [row for row in rows if row.failure is not None]
        reasons = dict.fromkeys(f"{row.failure} ({row.failure_code})" for row in failed)
        reasons |= dict.fromkeys(f"{flags_in_words(row)}: see below" for row in ran if row.flags)
        mark = " ".join(notes.mark(reason) for reason in reasons)
        taught = _of_taught(results, rate)
        cells = [_cell(key, taught.get(key) or _values(rows if key == "weights" else ran, key)) for key in _COLUMNS]
        if not rows:
            mark = notes.mark("not measured yet")
        add_row(shown, f"{percent(rate)} {mark}".strip(), *cells, *_ratios(control, ran))
    return Group(text(board, "bold"), shown, *notes.lines(), *(text(line) for line in remedies(_of(by_rate))))


def _of(by_rate: dict[float, list[BenchRow]]) -> list[BenchRow]:
    return [row for rows in by_rate.values() for row in rows]


def _rows_of(results: "StudyResults", board: str, rate: float) -> list[BenchRow]:
    return [row for row in results.rows if (row.board, row.requested_rate) == (board, rate)]


def _ran(rows: Sequence[BenchRow]) -> list[BenchRow]:
    return [row for row in rows if row.failure is None]


def _values(rows: Sequence[BenchRow], key: str) -> list[float]:
    return [value for row in rows if (value := row.figures()[key]) is not None]


def _of_taught(results: "StudyResults", rate: float) -> dict[str, list[float]]:
    """What is known of its models wherever they run, and where they do not."""
    taught = [each for (at, _), each in sorted(results.taught.items()) if at == rate]
    aucs = [each.scores.auc for each in taught if each.scores is not None]
    return {"weights": [float(each.weights) for each in taught], "float_auc": aucs}


def _cell(key: str, values: Sequence[float]) -> str:
    if not values:
        return "n/a"
    trials = trial_interval(values)
    if trials.interval is None or key == "weights":
        return bare(key, trials.mean)
    half = (trials.interval[1] - trials.interval[0]) / 2 / (BYTES_PER_MIB if key.endswith("_bytes") else 1)
    return f"{bare(key, trials.mean)} ±{half:.2g}"


def _ratios(control: Sequence[BenchRow], rows: Sequence[BenchRow]) -> tuple[str, str, str]:
    """How many times faster, with fewer weights and fewer multiply-adds."""
    latency = of_trials(_values(control, "latency_ms.mean"), _values(rows, "latency_ms.mean"))
    weights, macs = (_times(_values(control, key), _values(rows, key)) for key in ("weights", "macs"))
    return "n/a" if latency is None else f"{latency.ratio:.2f}x", weights, macs


def _times(above: Sequence[float], below: Sequence[float]) -> str:
    if not above or not below or not all(below):
        return "n/a"
    return f"{sum(above) / len(above) / (sum(below) / len(below)):.3g}x"


def study_record(results: "StudyResults") -> dict[str, Any]:
    """The same for programs: what was asked, and every row as `host results --json` has it."""
    as_json: Callable[[Sequence[BenchRow]], str] = rows_as_json
    return {
        "study": results.study.as_json(),
        "created_at": results.created_at.isoformat(),
        "optimistic": any(each.optimistic for each in results.taught.values()),
        "rows": json.loads(as_json(results.rows)),
    }
