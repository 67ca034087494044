"""The page: one file that asks nothing of the network, and in which nothing runs but the two scripts it came with."""

import base64
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.results import BenchRow
from contract.version import __version__
from host.choosing.choice import Choice
from host.choosing.keys import ACCURACY_KEYS
from host.report.html import vega
from host.report.html.conditions import boards_of, conditions_of, counts_of
from host.report.html.examples import Examples
from host.report.html.figures import FLOAT_AUC, Figure, failure, figures_of
from host.report.html.palette import styles
from host.report.html.series import Missing, by_board_and_rate
from host.report.html.texts import LANGUAGES, Language, both, in_each, say
from host.report.html.verdicts import verdicts_of
from host.report.records import rows_as_csv
from host.report.values import bare, percent
from host.study.results import StudyResults
from host.study.spec import QUICK

if TYPE_CHECKING:
    from markupsafe import Markup

_HERE = Path(__file__).parent
_TIME = "%Y-%m-%d %H:%M %Z"


@dataclass(frozen=True)
class Report:
    """What a report is made of. `language` None: as the reader's browser says. `now`: when it is made. `examples` is
    called last: they may be in the making till then.
    """

    results: StudyResults
    choice: Choice
    examples: Callable[[], Examples]
    now: datetime
    language: Language | None = None


def page(report: Report) -> str:
    """The whole of the HTML."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    results = report.results
    figures = figures_of(results, by_board_and_rate(results), report.choice)
    scripts = [Markup(text) for text in (vega.script(), (_HERE / "page.js").read_text(encoding="utf-8"))]
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters["percent"] = percent
    environment.globals["t"] = both
    first = report.language or LANGUAGES[0]
    return environment.get_template("page.html").render(
        language=report.language,
        first=first,
        title=say("title", first, study=results.study.name),
        version=__version__,
        policy=_policy(scripts),
        css=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        study=results.study,
        begun=results.created_at.strftime(_TIME),
        now=report.now.strftime(_TIME),
        notices=_notices(results, report.choice),
        asked=_asked(report.choice),
        objective=report.choice.request.objective.key,
        verdicts=verdicts_of(report.choice),
        colours={board: style.colour for board, style in styles(results.study.boards).items()},
        figures=[{**vars(each), "empty": each.empty, "reasons": _reasons(each.missing)} for each in figures],
        captions=_captions(results, report.choice),
        conditions=conditions_of(results),
        boards=boards_of(results),
        row_count=f"{len(results.rows):,}",
        figure_data=_as_data([_drawable(each) for each in figures if not each.empty]),
        words=_as_data(_words(results.study.name)),
        row_data=_as_data(_csv(results.rows)),
        scripts=scripts,
        examples=report.examples(),
    )


def _policy(scripts: Sequence[str]) -> str:
    """No request of any kind; of scripts those two, by their content. Vega sets styles, and exports by a blob."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode('utf-8')).digest()).decode('ascii')}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _as_data(value: Any) -> "Markup":
    """JSON that ends no element and begins no comment, whatever texts are in it."""
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _drawable(figure: Figure) -> dict[str, Any]:
    return {"name": figure.name, "specs": figure.specs, "data": figure.data}


def _words(study: str) -> dict[str, Any]:
    """What the script says itself."""
    keys = ("save", "save_svg", "save_png")
    words: dict[str, Any] = {"study": study}
    for language in LANGUAGES:
        words[language] = {key: say(key, language) for key in keys} | {"title": say("title", language, study=study)}
    return words


def _csv(rows: Sequence[BenchRow]) -> str:
    rows_as_csv(rows, file := io.StringIO(newline=""))
    return file.getvalue()


def _notices(results: StudyResults, choice: Choice) -> list["Markup"]:
    """What a reader has to know before any figure."""
    study, rows = results.study, results.rows
    asked = len(study.boards) * len(study.rates) * study.trials
    failed = sum(row.failure is not None for row in rows)
    notices = []
    if len(rows) < asked:
        notices.append(both("notice_unfinished", done=f"{len(rows):,}", all=f"{asked:,}"))
    if failed:
        notices.append(both("notice_failed", failed=f"{failed:,}", all=f"{len(rows):,}"))
    out = [each.candidate for chosen in choice.boards.values() for each in chosen.candidates if each.candidate.invalid]
    if out:
        invalid = sum(len(candidate.invalid) for candidate in out)
        raised = ", ".join(dict.fromkeys(flag for candidate in out for flag in candidate.invalidating))
        notices.append(both("notice_invalid", invalid=f"{invalid:,}", all=f"{len(rows):,}", flags=raised))
    for board, chosen in choice.boards.items():
        if chosen.control_is_useless and chosen.control_auc:
            ends = (chosen.control_auc.value, *(chosen.control_auc.interval or ()))
            value, *span = (bare(chosen.auc_key, end) for end in ends)
            auc = f"{value} [{', '.join(span)}]" if span else value
            notices.append(both("notice_useless", board=board, auc=auc))
    if any(taught.optimistic for taught in results.taught.values()):
        notices.append(both("notice_optimistic"))
    if study.retrain_epochs <= QUICK["retrain_epochs"]:
        notices.append(both("notice_quick", epochs=study.retrain_epochs))
    if study.trials == 1:
        notices.append(both("notice_one_trial"))
    flags = {
        board: ", ".join(dict.fromkeys(flag for row in rows if row.board == board for flag in row.flags))
        for board in study.boards
    }
    if any(flags.values()):
        told = "; ".join(f"{board}: {raised}" for board, raised in flags.items() if raised)
        notices.append(both("notice_flags", flags=told))
    return notices


def _asked(choice: Choice) -> "Markup":
    """Of `host choose`: objective, conditions, and by what rule."""
    from markupsafe import Markup

    request, code = choice.request, Markup("<code>{}</code>")
    objective = code.format(request.objective.key)
    if request.constraints:
        conditions = Markup(" ").join(code.format(each.text) for each in request.constraints)
        said = both("asked_objective", objective=objective) + both("asked_constraints") + conditions
        said += Markup("") if request.point else Markup("<br>") + both("asked_rule")
        if not request.point and any(each.key in ACCURACY_KEYS for each in request.constraints):
            said += Markup(" ") + both("asked_rule_auc")
    elif request.objective.key in ACCURACY_KEYS:
        said = both("asked_objective", objective=objective)
    else:
        said = both("asked_nothing", objective=objective)
    extras = {"asked_point": request.point, "asked_different": request.allow_different_environment}
    return Markup("; ").join([said, *(both(key) for key, is_so in extras.items() if is_so)])


def _captions(results: StudyResults, choice: Choice) -> Mapping[str, "Markup"]:
    study = results.study
    good, bad = counts_of(results) or ("?", "?")
    floats = in_each({language: say("float_model", language) for language in LANGUAGES})
    bars = " " + (both("error_bars", trials=study.trials) if study.trials > 1 else both("no_error_bars"))
    of_model = [board for board, each in choice.boards.items() if each.auc_key == FLOAT_AUC]
    return {
        "latency": both("latency_caption", counted=f"{study.runs - 1:,}") + bars,
        "auc": both("auc_caption", good=good, defective=bad, float_model=floats) + bars,
        "memory": both("memory_caption") + bars,
        "pareto": both("pareto_caption")
        + (" " + both("pareto_of_model", float_model=floats, boards=", ".join(of_model)) if of_model else ""),
    }


def _reasons(missing: Sequence[Missing]) -> list[tuple[str, str, "Markup"]]:
    """Of each board the rates that lack the figure for one reason."""
    told = []
    for (board, code, reason), group in groupby(missing, key=lambda each: (each.board, each.code, each.reason)):
        why = in_each({language: failure(code, language) for language in LANGUAGES})
        rates = ", ".join(percent(each.rate) for each in group)
        told.append((board, rates, why + (f" ({reason})" if reason else "")))
    return told
