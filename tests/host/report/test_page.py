import csv
import io
import json
import re
from dataclasses import replace

import pytest

from contract.results import DESCRIPTION_KEYS
from host.report.html import vega
from host.report.html.texts import Language
from host.study.results import StudyResults

from ..studies import study_results
from .reports import html

HOSTILE = "</script><script>alert(1)</script><!-- ' \" & {{ 7*7 }}"
PAGE = html(study_results())


def data(page: str, name: str) -> object:
    [text] = re.findall(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)


def test_nothing_in_it_is_fetched() -> None:
    without_scripts = re.sub(r"<script.*?</script>", "", PAGE, flags=re.DOTALL)
    assert re.findall(r"""(?:src|href)=["'](?!#|data:)""", without_scripts) == []
    assert "@import" not in without_scripts
    assert "url(" not in without_scripts
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', PAGE)
    assert policy.startswith("default-src &#39;none&#39;; script-src &#39;sha256-")
    assert "unsafe-eval" not in policy
    assert policy.count("sha256-") == 2


def test_all_rows_are_inside_as_csv() -> None:
    results = study_results()
    rows = list(csv.DictReader(io.StringIO(str(data(PAGE, "row-data")), newline="")))
    assert [row["id"] for row in rows] == [row.id for row in results.rows]
    assert set(DESCRIPTION_KEYS) <= set(rows[0])
    assert rows[-1]["latency_ms.mean"] == str(results.rows[-1].figures()["latency_ms.mean"])


def test_untrusted_text_is_text() -> None:
    results = study_results(missing=("orin-nano",))
    rows = tuple(row.model_copy(update={"failure": HOSTILE}) if row.failure else row for row in results.rows)
    study = replace(results.study, name=HOSTILE, model=f"{HOSTILE}.onnx")
    made = html(replace(results, study=study, rows=rows))
    assert "<script>alert(1)" not in made
    assert made.count("<script") == PAGE.count("<script")
    assert made.count("<!--") == PAGE.count("<!--")
    assert "&lt;script&gt;alert(1)" in made
    assert "{{ 7*7 }}" in made
    figures = data(made, "figure-data")
    assert HOSTILE in json.dumps(figures, ensure_ascii=False).replace('\\"', '"')
    assert HOSTILE in str(data(made, "row-data")).replace('""', '"')


@pytest.mark.parametrize(
    ("results", "notice"),
    [
        (study_results(optimistic=True), "AUCs here are optimistic"),
        (study_results(trials=1), "There is one trial of each"),
        (study_results(flags=("throttled",)), "desktop: throttled; orin-nano: throttled; coral: throttled"),
        (study_results(), "3 of 81 rows have no figures"),
        (replace(study_results(), rows=study_results().rows[:40]), "The study is not done: 40 of 81 rows"),
    ],
)
def test_what_a_reader_has_to_know_is_said_first(results: StudyResults, notice: str) -> None:
    made = html(results)
    assert notice in made
    assert made.index(notice) < made.index('<h2 id="answer">')


def test_a_good_study_has_no_notice() -> None:
    assert '<ul class="notices">' not in html(study_results(too_small=()))


def test_the_chosen_rate_the_conditions_and_why_the_others_fail() -> None:
    made = html(study_results(), "auc_drop<=0.02", "model_peak_bytes<=140MiB")
    assert "<code>auc_drop&lt;=0.02</code>" in made
    assert re.search(r'<tr class="best"><th scope="row">\d', made)
    assert re.search(r'<tr class="fails">.*?model_peak_bytes&lt;=140MiB: 190\.\d MiB', made, re.DOTALL)
    assert "not shown to be faster" in made  # desktop at 50 %


def test_conditions_and_environment_are_told() -> None:
    for text in (
        "/data/capsule",
        "23 good, 109 defective (crack 23, faulty_imprint 22",
        "3,200,000 weights, 1,400,000,000 multiply-adds",
        "L4T 36.4.3",
        "trt 10.3.0",
        "15W",
        "0 … 2",
    ):
        assert text in PAGE


@pytest.mark.parametrize(("language", "first"), [(None, "en"), ("en", "en"), ("ja", "ja")])
def test_the_language_it_begins_in(language: Language | None, first: str) -> None:
    made = html(study_results(boards=("desktop",)), language=language)
    assert f'<html lang="{first}"' in made
    assert ("data-language=" in made.split(">")[1]) == (language is not None)
    assert "推論レイテンシ" in made
    assert "Latency against compression rate" in made


def test_a_study_that_has_only_begun_is_shown_too() -> None:
    results = study_results()
    made = html(replace(results, rows=(), taught={}, on_board={}))
    assert "not known yet" in made
    assert "Nothing to draw" in made


def test_equal_studies_give_equal_pages() -> None:
    assert html(study_results()) == PAGE


def test_vega_is_what_vl_convert_bundles() -> None:
    from importlib.metadata import version

    if version("vl-convert-python") != vega.MADE_BY:
        pytest.skip(f"vega.js.gz is of vl-convert-python {vega.MADE_BY}, here is {version('vl-convert-python')}")
    assert vega.script() == vega.bundled()
    assert vega.compressed(vega.script()) == vega.FILE.read_bytes()
