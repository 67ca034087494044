import re
import string
from pathlib import Path
from typing import get_args

import pytest

from compression.training.recipe import Select
from contract.results import DOES_NOT_RUN, Flag
from converters.edge_tpu import errors as edge_tpu
from converters.errors import ConversionError
from host.choosing.candidates import Absence
from host.choosing.choice import Outcome, Status
from host.errors import BoardError, UnreachableError
from host.report.html import series
from host.report.html.texts import LANGUAGES, both, say, texts
from inspection.score import Method

HTML = Path("host/report/html")
ALL = texts()
SOURCE = "".join(path.read_text(encoding="utf-8") for path in HTML.iterdir() if path.suffix in (".py", ".html", ".js"))


def codes(*roots: type[ConversionError | BoardError | UnreachableError]) -> set[str]:
    """Of errors of these kinds, as far as the rooms say them at import."""
    return {root.code for root in roots}.union(*(codes(*root.__subclasses__()) for root in roots))


FAMILIES = {
    "failed_": {
        *DOES_NOT_RUN,
        *codes(ConversionError, BoardError, UnreachableError),
        *(series.NOT_TRIED, series.NOT_MEASURED, series.INVALID, series.NOT_COMPARED),
    },
    "outcome_": get_args(Outcome),
    "status_": tuple(status for status in get_args(Status) if status != "absent"),
    "absent_": get_args(Absence),
    "flag_": get_args(Flag),
    "select_": get_args(Select),
    "score_": get_args(Method),
}
"""What a key is put together from, by its beginning."""


def fields(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("key", ALL)
def test_every_text_is_there_in_both_languages_and_takes_the_same(key: str) -> None:
    said = ALL[key]
    assert set(said) == set(LANGUAGES)
    assert fields(said["en"]) == fields(said["ja"])
    assert all(text == text.strip() or key == "asked_constraints" for text in said.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_every_member_of_a_family_has_its_text(family: str) -> None:
    assert {family + member.replace(" ", "_") for member in FAMILIES[family]} <= set(ALL)


def test_the_codes_of_the_edge_tpu_are_among_them() -> None:
    assert edge_tpu.EdgeTpuError.code in FAMILIES["failed_"]
    assert sum(code.startswith("edge_tpu_") for code in FAMILIES["failed_"]) >= 16


def test_no_text_is_left_over() -> None:
    made = re.compile(r"(outcome|status|absent|flag|select|score|failed|c|e|head|latency|auc|memory|pareto)_")
    assert [key for key in ALL if not made.match(key) and f'"{key}"' not in SOURCE] == []


def test_what_fills_a_text_is_escaped_and_braces_in_it_are_no_fields() -> None:
    made = both("title", study="<script>{0}</script>")
    assert "<script>" not in made
    assert made.count("&lt;script&gt;{0}&lt;/script&gt;") == 2
    assert say("title", "ja", study="<b>") == "圧縮スタディ <b>"
