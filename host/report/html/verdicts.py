"""What compression buys on a board, rate by rate, and which to take: a Choice in the words of the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from host.choosing.candidates import Candidate
from host.choosing.choice import BoardChoice, Choice, Judged, Judgement
from host.choosing.environments import in_words
from host.report.choice import times
from host.report.html.figures import AUC, FLOAT_AUC, LATENCY, MEMORY
from host.report.html.series import Point, series_of
from host.report.html.texts import both
from host.report.values import BYTES_PER_MIB, bare, figure, percent
from host.statistics import Estimate

if TYPE_CHECKING:
    from markupsafe import Markup

DASH = "–"

COLUMNS = {
    "head_latency": LATENCY,
    "head_auc": AUC,
    "head_auc_drop": "auc_drop",
    "head_float_auc": FLOAT_AUC,
    "head_peak": MEMORY,
    "head_model_peak": "model_peak_bytes",
    "head_energy": "energy_mj.per_run",
}
"""By head; a column that nothing is in is left out."""


@dataclass(frozen=True)
class Line:
    """A rate: `cells` as the heads of the board's table. `status` names the kind of verdict, for its colour;
    `reasons` are what was found against it, or why it has no figures.
    """

    rate: str
    control: bool
    status: str
    verdict: "Markup"
    reasons: tuple["Markup | str", ...]
    cells: tuple[str, ...]
    slow: bool


@dataclass(frozen=True)
class BoardVerdict:
    """`answer`: the rate to take, None where there is none, with its `outcome` in words and its figures as `facts`."""

    board: str
    answer: str | None
    outcome: "Markup"
    facts: tuple["Markup | str", ...]
    heads: tuple[str, ...]
    lines: tuple[Line, ...]


def verdicts_of(choice: Choice) -> tuple[BoardVerdict, ...]:
    """One for each board that it is of."""
    return tuple(_board(each, choice) for each in choice.boards.values())


def _board(chosen: BoardChoice, choice: Choice) -> BoardVerdict:
    own = {(chosen.board, each.rate): each.candidate for each in chosen.candidates}
    points = {head: {each.rate: each for each in series_of(own, key).points} for head, key in COLUMNS.items()}
    heads = tuple(head for head in COLUMNS if points[head])
    best = chosen.best
    return BoardVerdict(
        chosen.board,
        percent(best.rate) if best else None,
        _outcome(chosen, choice),
        _facts(best, heads, points) if best else tuple(in_words(each) for each in chosen.differences),
        heads,
        tuple(_line(each, _verdict(each, chosen, choice), heads, points) for each in chosen.candidates),
    )


def _outcome(chosen: BoardChoice, choice: Choice) -> "Markup":
    auc = both("auc_axis") + (" (" + both("float_model") + ")" if chosen.auc_key == FLOAT_AUC else "")
    said = both(f"outcome_{chosen.outcome.replace(' ', '_')}", objective=choice.request.objective.key, auc=auc)
    if chosen.nearest is None:
        return said
    return said + " " + both("nearest", rate=percent(chosen.nearest.rate))


def _facts(best: Judged, heads: Sequence[str], points: dict[str, dict[float, Point]]) -> tuple["Markup | str", ...]:
    """Of the chosen rate, in a line each."""
    facts: list[Markup | str] = [
        both(head) + ": " + _with_spread(COLUMNS[head], points[head][best.rate])
        for head in ("head_latency", "head_auc", "head_peak")
        if best.rate in points[head]
    ]
    if best.speed_up:
        fact = both("of_the_control", value=times(best.speed_up.ratio), span=_span(best.speed_up))
        facts.append(fact + ": " + both("only_looks_faster") if best.only_looks_faster else fact)
    return tuple(facts)


def _span(estimate: Estimate) -> "Markup":
    if estimate.low is None or estimate.high is None:
        return both("one_trial")
    return both("interval_of", low=times(estimate.low), high=times(estimate.high))


def _line(
    judged: Judged,
    verdict: "Markup",
    heads: Sequence[str],
    points: dict[str, dict[float, Point]],
) -> Line:
    figures = (
        _with_spread(COLUMNS[head], points[head][judged.rate]) if judged.rate in points[head] else DASH
        for head in heads
    )
    return Line(
        percent(judged.rate),
        judged.candidate.is_control,
        judged.status.replace(" ", "-"),
        verdict,
        (*_reasons(judged), *_incomplete(judged.candidate)),
        (*_ratios(judged), *figures),
        judged.only_looks_faster,
    )


def _ratios(judged: Judged) -> tuple[str, ...]:
    """Of weights, of multiply-adds, of latency: the last with its interval."""
    counts = (DASH if each is None else times(each) for each in (judged.fewer_weights, judged.fewer_macs))
    speed = judged.speed_up
    if speed is None:
        return (*counts, DASH)
    if speed.low is None or speed.high is None:
        return (*counts, times(speed.ratio))
    return (*counts, f"{times(speed.ratio)} [{times(speed.low)}, {times(speed.high)}]")


def _with_spread(key: str, point: Point) -> str:
    """Half of the interval as finely as the mean, or to one digit where that would be nothing."""
    mean = bare(key, point.mean)
    if point.interval is None:
        return mean
    half = point.mean - point.interval[0]
    if key.endswith("_bytes"):
        half /= BYTES_PER_MIB
    fine = f"{half:.{len(mean.partition('.')[2])}f}"
    return f"{mean} ± {fine if float(fine) or not half else f'{half:.0e}'}"


def _verdict(judged: Judged, chosen: BoardChoice, choice: Choice) -> "Markup":
    if judged.status == "absent":
        absence = judged.candidate.absence or "not measured"
        return both(f"absent_{absence.replace(' ', '_')}")
    if judged.status == "beaten" and judged.behind:
        ratio = judged.behind.ratio if choice.request.objective.better == "lower" else 1 / judged.behind.ratio
        said = both("status_off_knee_by" if chosen.outcome == "knee" else "status_beaten_by", value=times(ratio))
        return said + ": " + both("not_distinguishable") if judged.as_good_as_the_best else said
    return both(f"status_{judged.status.replace(' ', '_')}")


def _reasons(judged: Judged) -> tuple["Markup | str", ...]:
    if judged.status == "absent":
        return _left_out(judged.candidate)
    if judged.status == "no objective":
        return (judged.no_objective or "",)
    return tuple(_against(each) for each in judged.judgements if each.verdict != "passes")


def _against(judgement: Judgement) -> str:
    """'auc_drop<=0.01: 0.0173 [0.0042, 0.0291]'."""
    found = judgement.figure
    if found is None:
        return f"{judgement.constraint.text}: {judgement.missing}"
    key = judgement.constraint.key
    between = "" if found.interval is None else f" [{', '.join(bare(key, end) for end in found.interval)}]"
    return f"{judgement.constraint.text}: {figure(key, found.value)}{between}"


def _incomplete(candidate: Candidate) -> tuple["Markup | str", ...]:
    """Where some of the trials count: why the others do not."""
    ran, out = len(candidate.rows), len(candidate.invalid) + len(candidate.failed)
    return (both("of_trials", ran=ran, all=ran + out), *_left_out(candidate)) if ran and out else ()


def _left_out(candidate: Candidate) -> tuple["Markup | str", ...]:
    """The trials that do not count, each reason once; of one reason for all of them it alone."""
    failed = candidate.failed_trials
    if not candidate.rows and not candidate.invalid and len(failed) == 1:
        return tuple(failed)
    told: list[Markup | str] = []
    if candidate.invalid:
        trials, flags = (row.trial for row in candidate.invalid), ", ".join(candidate.invalidating)
        told.append(both("trials_invalid", trials=", ".join(map(str, trials)), flags=flags))
    return (
        *told,
        *(both("trials_failed", trials=", ".join(map(str, at)), reason=reason) for reason, at in failed.items()),
    )
