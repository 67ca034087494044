"""A choice as tables for a person; choice_record.py has it for programs."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from host.choosing.candidates import Candidate
from host.choosing.choice import BoardChoice, Choice, Judged, Judgement, Request
from host.choosing.conditions import Figure
from host.choosing.environments import in_words
from host.choosing.keys import ACCURACY_KEYS
from host.report.layout import Notes, add_row, apart, table, text
from host.report.values import bare, figure, percent
from host.study.records import model_path, taught_path
from host.study.spec import CONTROL_RATE, folder_of

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

    from host.statistics import Estimate

ON_FRONT = "*"
TIMES = "x"
_HEADS = {
    "latency_ms.mean": "Mean ms",
    "peak_memory_bytes": "Peak MiB",
    "model_peak_bytes": "Model MiB",
    "auc": "AUC",
    "float_auc": "AUC, float",
}
_BASES = {"images": ", over images alone", "one trial": "; one trial, so no interval"}


def choice_table(choice: Choice) -> "Group":
    """Whose it is; for each board the answer, a line for each rate with what keeps it from that, and what compression
    has bought; then how to go on.
    """
    from rich.console import Group

    title = text(f"study {choice.study}, begun {choice.begun.astimezone():%Y-%m-%d %H:%M}")
    parts: list[RenderableType] = [title, *(Group(*_board(each, choice)) for each in choice.boards.values())]
    if steps := [text(step) for each in choice.boards.values() for step in _next(each, choice)]:
        parts.append(Group(*steps))
    return Group(*apart(parts))


def _next(chosen: BoardChoice, choice: Choice) -> list[str]:
    """How the chosen model gets onto its board; nothing where its file is not there any more."""
    if chosen.best is None:
        return []
    row = chosen.best.candidate.rows[0]
    model = model_path(taught_path(folder_of(choice.study), row.trial, chosen.best.rate))
    return [f"next: host deploy --board {chosen.board} {shlex.quote(str(model))}"] if model.is_file() else []


def answer(chosen: BoardChoice, request: Request) -> str:
    """The answer of a board in a sentence."""
    key = request.objective.key
    rate = "" if chosen.best is None else percent(chosen.best.rate)
    passing = sum(each.status in ("best", "beaten") for each in chosen.candidates)
    least = "least" if request.objective.better == "lower" else "greatest"
    of_them = f"the {least} {key} of the {passing} that meet every condition"
    if passing == 1:
        of_them = "the only one that meets every condition"
    if not request.constraints:
        of_them = f"the {least} {key}; no condition was given"
    nearest = f"; nearest is {percent(chosen.nearest.rate)}" if chosen.nearest else ""
    sentences = {
        "best": f"take {rate}, {of_them}",
        "knee": f"take {rate}, the knee of {chosen.auc_key} against {key}; no condition was given",
        "dominant": f"take {rate}: none has a better {chosen.auc_key}, none a better {key}; no condition was given",
        "only one": f"no answer: {_alone(chosen, key)}",
        "no knee": f"no answer: {chosen.auc_key} against {key} has no knee; give a --constraint",
        "none passes": f"no answer: none meets every condition{nearest}",
        "no figure": f"no answer: none that could be taken has {_lacking(chosen, request)}",
        "nothing ran": "no answer: there is no row to go by",
        "not compared": f"not compared: {'; '.join(map(in_words, chosen.differences))}",
    }
    return f"{chosen.board}: {sentences[chosen.outcome]}"


def why(each: Judged, request: Request) -> str:
    """What keeps a candidate from being the answer, with its figures."""
    if each.status == "best":
        return "the answer"
    if each.status == "absent":
        absence = each.candidate.absence
        return f"{absence}: {each.candidate.reason}" if absence != "not tried" else "not in the study yet"
    if each.status in ("fails", "undecided"):
        return "; ".join(_judgement(told) for told in each.judgements if told.verdict == each.status)
    if each.objective is None:
        return f"no {request.objective.key}: {each.no_objective}"
    return _beaten(each, request) if each.status == "beaten" else "meets every condition" if each.judgements else ""


def ratio(estimate: "Estimate") -> str:
    """'4.64 x (4.58 to 4.70)', or '4.64 x (one trial)'."""
    span = "one trial"
    if estimate.low is not None and estimate.high is not None:
        span = f"{times(estimate.low)} to {times(estimate.high)}"
    return f"{times(estimate.ratio)} {TIMES} ({span})"


def times(value: float) -> str:
    """Three digits: 0.987, 4.60, 104."""
    return f"{value:#.3g}" if abs(value) < 99.95 else f"{value:,.0f}"


def _board(chosen: BoardChoice, choice: Choice) -> list["RenderableType"]:
    request, notes = choice.request, Notes()
    parts: list[RenderableType] = [text(answer(chosen, request), "bold")]
    if chosen.best is not None:
        parts.append(text(_bought(chosen.best)))
    if chosen.not_tried and chosen.outcome != "nothing ran":
        parts.append(text(f"Not in the study yet: {_named(chosen.not_tried)}. Go on: host study resume {choice.study}"))
    parts += [text(""), _lines(chosen, request, notes), *notes.lines(), *_legend(chosen, request, choice.optimistic)]
    verdicts = [each for each in chosen.candidates if not each.candidate.is_control and each.candidate.rows]
    if verdicts and chosen.outcome != "not compared":
        parts += [text(""), _verdicts(verdicts)]
        if all(each.speed_up is None for each in verdicts):
            parts.append(text(f"Speed-up is over the original, which has no latency on {chosen.board}."))
    return parts


def _lines(chosen: BoardChoice, request: Request, notes: Notes) -> "RenderableType":
    keys = tuple(dict.fromkeys((*chosen.front_keys, request.objective.key)))
    shown = table("Rate", "What", numbers=[_head(key) for key in keys])
    for each in chosen.candidates:
        told = " ".join((why(each, request), *(notes.mark(note) for note in _remarks(each.candidate))))
        rate = percent(each.rate) + (ON_FRONT if each.on_front else "")
        add_row(shown, rate, told, *(_mean(each.candidate, key) for key in keys))
    return shown


def _head(key: str) -> str:
    return _HEADS.get(key) or (f"{key}, MiB" if key.endswith("_bytes") else key)


def _verdicts(judged: Sequence[Judged]) -> "RenderableType":
    """What compression has bought: the speed-up beside the ratio of weights and of MACs."""
    shown = table("Rate", "Verdict", numbers=("Fewer weights", "Fewer MACs", "Speed-up", "95 % interval"))
    shown.columns[1].no_wrap = False  # rather than that a figure is cut
    for each in judged:
        speed_up = each.speed_up
        low, high = (None, None) if speed_up is None else (speed_up.low, speed_up.high)
        add_row(
            shown,
            percent(each.rate),
            verdict(each),
            _times(each.fewer_weights),
            _times(each.fewer_macs),
            "n/a" if speed_up is None else times(speed_up.ratio),
            "n/a" if low is None or high is None else f"{times(low)} to {times(high)}",
        )
    return shown


def verdict(each: Judged) -> str:
    """Whether fewer weights have made it faster, as far as the trials can tell."""
    if each.speed_up is None:
        return "not known"
    if each.speed_up.low is None or each.speed_up.high is None:
        return "within-run only"
    if each.speed_up.high < 1:
        return "slower"
    return "not shown to be faster" if each.only_looks_faster else "faster"


def _bought(best: Judged) -> str:
    if best.candidate.is_control:
        return "That is the original: nothing removed."
    fewer = [f"{times(count)} times fewer {what}" for what, count in _fewer(best).items() if count is not None]
    if best.speed_up is None:
        return ", ".join((*fewer, "speed-up not known: the original has no latency here"))
    span = "one trial: within these runs only"
    if best.speed_up.low is not None and best.speed_up.high is not None:
        span = f"95 % interval {times(best.speed_up.low)} to {times(best.speed_up.high)}"
    told = f": {verdict(best)}" if best.only_looks_faster else ""
    return ", ".join((f"{times(best.speed_up.ratio)} times as fast as the original ({span}){told}", *fewer))


def _fewer(judged: Judged) -> dict[str, float | None]:
    return {"weights": judged.fewer_weights, "multiply-adds": judged.fewer_macs}


def _legend(chosen: BoardChoice, request: Request, optimistic: bool) -> list["RenderableType"]:
    judged, key = chosen.candidates, request.objective.key
    compared = any(each.status == "beaten" and each.behind for each in judged)
    ratios = f"how many times the answer's {key} it has"
    if request.objective.better == "higher":
        ratios = f"how many times its {key} the answer has"
    undecided = any(each.status == "undecided" for each in judged)
    lines = {
        _useless(chosen): chosen.control_is_useless,
        f"{TIMES} {ratios}, and the 95 % interval of that": compared,
        f"{ON_FRONT} on the Pareto front of {', '.join(chosen.front_keys)}, by means over the trials": chosen.front,
        "AUC is judged over images alone: one trial says nothing of another training.": not request.point
        and any(told.figure and told.figure.basis == "images" for each in judged for told in each.judgements),
        "Judged by point estimates, whatever the intervals are.": request.point and request.constraints,
        "Undecided: the bound lies within the 95 % interval, or there is none. More trials may tell, of an AUC more "
        "test images; --point goes by the estimate.": undecided,
        f"auc_drop is from the original's float form: the original does not run on {chosen.board}.": any(
            each.candidate.is_control and each.candidate.absence for each in judged
        )
        and any(told.figure and told.constraint.key == "auc_drop" for each in judged for told in each.judgements),
        "AUC is optimistic: epochs were chosen by the test images, the original's as all others.": optimistic,
        f"Environments differ: {'; '.join(map(in_words, chosen.differences))}.": chosen.differences
        and chosen.outcome != "not compared",
        "What is invalid, or of another environment, should be measured again; --allow-different-environment compares "
        "it all the same.": chosen.outcome == "not compared" or any(each.candidate.invalid for each in judged),
    }
    return [text(line) for line, holds in lines.items() if holds]


def _useless(chosen: BoardChoice) -> str:
    auc = "" if chosen.control_auc is None else estimated(chosen.auc_key, chosen.control_auc)
    return (
        f"The original is not shown to tell good from defective ({_HEADS[chosen.auc_key]} {auc}): what is lost of it "
        "says nothing."
    )


def _remarks(candidate: Candidate) -> list[str]:
    """What there is to know of its rows, beside its figures."""
    remarks = []
    if candidate.rows and candidate.invalid:
        remarks.append(f"left out as invalid: {candidate.reason}")
    if candidate.rows:
        for reason, trials in candidate.failed_trials.items():
            remarks.append(f"did not run in trial {', '.join(map(str, trials))}: {reason}")
    flags = {flag.replace("_", " ") for row in candidate.rows for flag in row.flags}
    if flags:
        remarks.append(f"flags: {', '.join(sorted(flags))}")
    return remarks


def _judgement(told: Judgement) -> str:
    if told.figure is None:
        return f"{told.verdict} {told.constraint.text}: {told.missing}"
    return f"{told.verdict} {told.constraint.text}: {estimated(told.constraint.key, told.figure)}"


def estimated(key: str, estimate: Figure) -> str:
    """'0.0403 (0.0184 to 0.0691)', and what that is over where it is not the trials."""
    told = figure(key, estimate.value)
    if estimate.interval is not None and estimate.basis != "exact":
        told += f" ({bare(key, estimate.interval[0])} to {bare(key, estimate.interval[1])})"
    return told + _BASES.get(estimate.basis, "")


def _beaten(each: Judged, request: Request) -> str:
    key = request.objective.key
    assert each.objective is not None
    if each.behind is None:
        return f"{key} {estimated(key, each.objective)}"
    return ratio(each.behind) + (": not distinguishable" if each.as_good_as_the_best else "")


def _alone(chosen: BoardChoice, key: str) -> str:
    """Of the only one that can be judged: which it is, and what it has nothing beside it for."""
    ran = [each for each in chosen.candidates if each.candidate.rows]
    if len(ran) != 1:
        figures = key if key in ACCURACY_KEYS else f"{key} and an AUC"
        return f"only one rate has {figures} so far: there is nothing to compare it with"
    [alone] = ran
    missing = "" if alone.candidate.is_control else ", the original is missing"
    return f"{percent(alone.rate)} is the only rate with rows that count so far{missing}"


def _named(rates: Sequence[float]) -> str:
    return ", ".join("the original" if rate == CONTROL_RATE else percent(rate) for rate in rates)


def _lacking(chosen: BoardChoice, request: Request) -> str:
    has_objective = any(each.objective for each in chosen.candidates)
    if has_objective and not request.constraints:
        return "an AUC, which a knee is found by: give a --constraint"
    reasons = {each.no_objective for each in chosen.candidates if each.no_objective and each.candidate.rows}
    return f"{request.objective.key} ({'; '.join(sorted(reasons))})"


def _mean(candidate: Candidate, key: str) -> str:
    mean = candidate.mean(key)
    return "n/a" if mean is None else bare(key, mean)


def _times(value: float | None) -> str:
    return "n/a" if value is None else times(value)
