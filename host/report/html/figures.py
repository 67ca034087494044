"""The figures of a study: their Vega-Lite in each language, and the data that both share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import Any

from host.choosing.choice import BoardChoice, Choice, Judged
from host.report.html import specs
from host.report.html.palette import FLOAT_MODEL, Style, styles
from host.report.html.series import NOT_COMPARED, Missing, Point, RowsAt, as_judged, series_of
from host.report.html.specs import Spec
from host.report.html.texts import LANGUAGES, Language, has, say
from host.report.values import BYTES_PER_MIB, bare, percent
from host.study.results import StudyResults
from host.study.spec import CONTROL_RATE

Data = dict[str, list[dict[str, Any]]]

LATENCY, AUC, FLOAT_AUC, MEMORY = "latency_ms.mean", "auc", "float_auc", "peak_memory_bytes"
_FLOAT_STYLE = Style(specs.FAINT, "stroke", (1, 3))
_DODGE, _WIDEST = 1.02, 1.5
"""Boards at one rate stand beside each other, each by 2 % of what is left: error bars do not hide each other. All of
them take no more than half of the way to the next rate, nor so much that they leave the plot.
"""

_FAR = 5.0
"""Latencies that differ by more than this get a logarithmic axis."""


@dataclass(frozen=True)
class Figure:
    """`specs` by language, without the `data`, which are Vega-Lite's `datasets`; `missing`, for a list below it;
    `may_be_log`: its y axis.
    """

    name: str
    specs: Mapping[Language, Spec]
    data: Data
    missing: tuple[Missing, ...]
    may_be_log: bool

    @property
    def empty(self) -> bool:
        """No row has the figure: there is nothing to draw."""
        return not self.data["points"]

    def whole(self, language: Language) -> Spec:
        """Spec and data in one, for a file."""
        return {**self.specs[language], "datasets": self.data}


def figures_of(results: StudyResults, rows: RowsAt, choice: Choice) -> tuple[Figure, ...]:
    """Latency, AUC and memory against the rate, and AUC against latency. Which rows count, the choice says; `rows` are
    of `by_board_and_rate`.
    """
    rows = as_judged(rows, choice)
    return (
        _against_rate("latency", LATENCY, results, rows, choice),
        _against_rate("auc", AUC, results, rows, choice),
        _against_rate("memory", MEMORY, results, rows, choice),
        _pareto(results, choice),
    )


def failure(code: str, language: Language) -> str:
    """A code of a failure in a few words."""
    return say(f"failed_{code}", language) if has(f"failed_{code}") else code.replace("_", " ")


def _against_rate(name: str, key: str, results: StudyResults, rows: RowsAt, choice: Choice) -> Figure:
    boards, series = results.study.boards, series_of(rows, key)
    on_host = _of_the_float_model(rows) if key == AUC else ()
    look = styles(boards) | ({FLOAT_MODEL: _FLOAT_STYLE} if on_host else {})
    shifts = _shifts(boards, results.study.rates)
    lacking = [board for board in boards if any(each.board == board for each in series.missing)]
    data = {
        "points": [
            _point(each, key, look, shifts, choice.boards.get(each.board)) for each in (*series.points, *on_host)
        ],
        "trials": [
            {"board": each.board, "place": (1 - each.rate) * shifts[each.board], "mean": _scaled(key, value)}
            for each in series.points
            if len(each.trials) > 1
            for value in each.trials
        ],
        "missing": [_cross(each) for each in series.missing],
        "labels": [_label(board, series.missing, results.study.rates) for board in lacking],
    }
    drawn = {
        language: specs.against_rate(name, language, look, results.study.rates, lacking, zero=key != AUC)
        for language in LANGUAGES
    }
    return Figure(name, drawn, data, series.missing, may_be_log=key != AUC)


def _of_the_float_model(rows: RowsAt) -> tuple[Point, ...]:
    """One line for all boards: of each rate the board that has most trials of it, for a board may lack some."""
    best: dict[float, Point] = {}
    for each in series_of(rows, FLOAT_AUC).points:
        if each.rate not in best or len(each.trials) > len(best[each.rate].trials):
            best[each.rate] = each
    return tuple(Point(FLOAT_MODEL, each.rate, each.mean, each.interval, each.trials) for each in best.values())


def _point(
    point: Point, key: str, look: Mapping[str, Style], shifts: Mapping[str, float], chosen: BoardChoice | None
) -> dict[str, Any]:
    low, high = point.interval or (None, None)
    return {
        **_named(point.board),
        "dash": look[point.board].dash,
        "rate": percent(point.rate),
        "place": (1 - point.rate) * shifts[point.board],
        "mean": _scaled(key, point.mean),
        "low": None if low is None else _scaled(key, low),
        "high": None if high is None else _scaled(key, high),
        "value": bare(key, point.mean),
        "interval": "–" if low is None or high is None else f"{bare(key, low)} – {bare(key, high)}",
        "trials": len(point.trials),
        "joined": chosen is None or chosen.outcome != "not compared",
        "control": point.board != FLOAT_MODEL and point.rate == CONTROL_RATE,
        "chosen": chosen is not None and chosen.best is not None and chosen.best.rate == point.rate,
    }


def _named(board: str) -> dict[str, str]:
    """A board's name is the same in all languages; that of the float model is none."""
    names = {
        f"name_{language}": say("float_model", language) if board == FLOAT_MODEL else board for language in LANGUAGES
    }
    return {"board": board, **names}


def _cross(missing: Missing) -> dict[str, Any]:
    codes = {f"code_{language}": failure(missing.code, language) for language in LANGUAGES}
    return {
        **_named(missing.board),
        **codes,
        "rate": percent(missing.rate),
        "place": 1 - missing.rate,
        "reason": missing.reason,
    }


def _label(board: str, missing: Sequence[Missing], rates: Sequence[float]) -> dict[str, Any]:
    """Of all that a board lacks; from the first of them on, or up to the last where there is more room."""
    own = [each for each in missing if each.board == board]
    codes = dict.fromkeys(each.code for each in own)
    at_left = rates.index(own[0].rate) < len(rates) / 2
    said = {
        f"text_{language}": f"{board}: " + ", ".join(failure(code, language) for code in codes)
        for language in LANGUAGES
    }
    place = 1 - (own[0] if at_left else own[-1]).rate
    return {"board": board, "place": place, "align": "left" if at_left else "right", **said}


def _shifts(boards: Sequence[str], rates: Sequence[float]) -> dict[str, float]:
    """By what factor of what is left of the weights each stands aside, so that boards are side by side."""
    nearest = min(((1 - less) / (1 - more) for less, more in pairwise(rates)), default=_WIDEST)
    step = min(_DODGE, min(nearest**0.5, _WIDEST) ** (1 / max(1, len(boards) - 1)))
    middle = (len(boards) - 1) / 2
    return {FLOAT_MODEL: 1.0} | {board: step ** (place - middle) for place, board in enumerate(boards)}


def _scaled(key: str, value: float) -> float:
    """In the unit of the axis."""
    return value / BYTES_PER_MIB if key.endswith("_bytes") else value


def _pareto(results: StudyResults, choice: Choice) -> Figure:
    look = styles(results.study.boards)
    apart = [each for each in choice.boards.values() if each.outcome == "not compared"]
    points = [
        point
        for board, chosen in choice.boards.items()
        for judged in (() if chosen in apart else chosen.candidates)
        if (point := _trade_off(judged, look[board], chosen.auc_key, judged is chosen.best))
    ]
    missing = tuple(
        Missing(chosen.board, each.rate, NOT_COMPARED, "")
        for chosen in apart
        for each in chosen.candidates
        if each.candidate.rows
    )
    latencies = [point["latency"] for point in points]
    log = bool(latencies) and max(latencies) > _FAR * min(latencies)
    drawn = {language: specs.pareto(language, look, log=log) for language in LANGUAGES}
    return Figure("pareto", drawn, {"points": points}, missing, may_be_log=False)


def _trade_off(judged: Judged, style: Style, auc_key: str, chosen: bool) -> dict[str, Any] | None:
    latency, auc, memory = (judged.candidate.mean(key) for key in (LATENCY, auc_key, MEMORY))
    if latency is None or auc is None or memory is None or latency <= 0 or not isfinite(latency * auc * memory):
        return None
    of_model = {
        language: f" ({say('float_model', language)})" if auc_key == FLOAT_AUC else "" for language in LANGUAGES
    }
    return {
        **_named(judged.candidate.board),
        "dash": style.dash,
        "rate": percent(judged.rate),
        "label": f"{100 * judged.rate:.4g}",
        "latency": latency,
        "auc": auc,
        "memory": memory / BYTES_PER_MIB,
        "latency_text": bare(LATENCY, latency),
        **{f"auc_text_{language}": bare(AUC, auc) + of_model[language] for language in LANGUAGES},
        "memory_text": bare(MEMORY, memory),
        "front": judged.on_front,
        "chosen": chosen,
        **{f"front_{language}": say("yes" if judged.on_front else "no", language) for language in LANGUAGES},
    }
