"""What was done, and on what: the experiment's conditions and its boards, as lines of a table."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from contract.results import BenchRow, Environment
from host.report.html.texts import both
from host.report.values import mebibytes, percent
from host.study.records import ImageScores
from host.study.results import StudyResults
from host.study.spec import Study
from inspection.accuracy import GOOD

if TYPE_CHECKING:
    from markupsafe import Markup

    Text = Markup | str

_AND = "; "


def conditions_of(results: StudyResults) -> dict[str, "Text"]:
    """By the key of their name."""
    study = results.study
    last_seed = study.seed_of(study.trials)
    seeds = str(study.seed) if study.trials == 1 else f"{study.seed} … {last_seed}"
    return {
        "c_data": str(study.data),
        "c_images": _images(results),
        "c_score": _score(results),
        "c_model": _model(results),
        "c_original": _original(study),
        "c_method": both("method"),
        "c_rates": ", ".join(percent(rate) for rate in study.rates),
        "c_retraining": both("retraining", epochs=study.retrain_epochs),
        "c_select": both(f"select_{study.select}"),
        "c_trials": both("trials_each", trials=study.trials, seeds=seeds),
        "c_device": f"{study.device}, {study.precision}",
        "c_runs": both("bench", runs=f"{study.runs:,}"),
    }


def _original(study: Study) -> "Text":
    if not study.trains_original:
        return both("original_given")
    shared = both("original_own" if study.own_original else "original_shared")
    return both("original_epochs", epochs=study.epochs) + _AND + shared


def counts_of(results: StudyResults) -> tuple[int, int] | None:
    """Good and defective test images; None where no model has judged any."""
    scores = _scores(results)
    return None if scores is None else (scores.defective.count(False), scores.defective.count(True))


def _scores(results: StudyResults) -> ImageScores | None:
    """Of one of the models: all have the same images."""
    return next((taught.scores for taught in results.taught.values() if taught.scores), None)


def _images(results: StudyResults) -> "Text":
    scores, counts = _scores(results), counts_of(results)
    if scores is None or counts is None:
        return both("not_known" if not results.taught else "no_scores")
    kinds = Counter(kind_of(image) for image in scores.images)
    named = ", ".join(f"{kind} {count}" for kind, count in kinds.items() if kind != GOOD)
    return both("images_counted", good=counts[0], defective=counts[1], kinds=named)


def kind_of(image: str) -> str:
    """test/scratch/003.png -> scratch."""
    return image.rsplit("/", 2)[-2] if "/" in image else image


def _score(results: StudyResults) -> "Text":
    methods = dict.fromkeys(taught.scores.method for taught in results.taught.values() if taught.scores)
    if not methods:
        return both("not_known" if not results.taught else "no_scores")
    return _joined(both(f"score_{method}") for method in methods)


def _model(results: StudyResults) -> "Text":
    control = next((each for (rate, _), each in results.taught.items() if rate == results.study.rates[0]), None)
    if control is None:
        return results.study.model
    counted = {"weights": f"{control.weights:,}"}
    if control.macs is None:
        return both_after(results.study.model, both("weights_alone", **counted))
    return both_after(results.study.model, both("weights_and_macs", **counted, macs=f"{control.macs:,}"))


def both_after(name: str, said: "Markup") -> "Markup":
    """'name: what is said of it'; the name escaped."""
    from markupsafe import escape

    return escape(name) + ": " + said


_FACTS: Mapping[str, Callable[[BenchRow, Environment], str | None]] = {
    "e_machine": lambda _, there: there.machine,
    "e_os": lambda _, there: f"{there.os_image}, Linux {there.kernel}",
    "e_cpu": lambda _, there: f"{there.cpu}, {there.cpu_count} CPUs",
    "e_memory": lambda _, there: (
        None if there.memory_total_bytes is None else f"{mebibytes(there.memory_total_bytes)} MiB"
    ),
    "e_runtime": lambda _, there: f"{there.runtime} {there.runtime_version}",
    "e_options": lambda _, there: ", ".join(f"{name}={value}" for name, value in there.runtime_options.items()) or DASH,
    "e_precision": lambda row, _: row.precision,
    "e_power_mode": lambda _, there: there.before.power_mode,
}
DASH = "–"


def boards_of(results: StudyResults) -> dict[str, dict[str, "Text"]]:
    """Of each board its facts, by the key of their name. What changed between its rows has all its values."""
    return {board: _board([row for row in results.rows if row.board == board]) for board in results.study.boards}


def _board(rows: Sequence[BenchRow]) -> dict[str, "Text"]:
    known = [(row, row.environment) for row in rows if row.environment is not None]
    facts: dict[str, Text] = {}
    for name, read in _FACTS.items() if known else ():
        values = dict.fromkeys(read(row, there) for row, there in known)
        facts[name] = _joined(both("not_readable") if value is None else value for value in values)
    if known:
        facts["e_temperature"] = _temperatures(there for _, there in known)
        facts["e_flags"] = _flags(rows)
    failed = sum(row.failure is not None for row in rows)
    facts["e_rows"] = both("rows_counted", measured=len(rows) - failed, failed=failed)
    return facts


def _temperatures(environments: Iterable[Environment]) -> "Text":
    """The hottest sensor of each bench, before and after: least and greatest."""
    hottest = [
        max(conditions.temperatures_c.values())
        for each in environments
        for conditions in (each.before, each.after)
        if conditions is not None and conditions.temperatures_c
    ]
    if not hottest:
        return both("not_readable")
    return both("temperatures", span=" – ".join(dict.fromkeys(f"{end:.0f}" for end in (min(hottest), max(hottest)))))


def _flags(rows: Sequence[BenchRow]) -> "Text":
    counts = Counter(flag for row in rows for flag in row.flags)
    if not counts:
        return both("none_raised")
    return _joined(both(f"flag_{flag}") + f" ({flag}, {count}/{len(rows)})" for flag, count in counts.items())


def _joined(parts: Iterable["Text"]) -> "Markup":
    from markupsafe import Markup

    return Markup(_AND).join(parts)
