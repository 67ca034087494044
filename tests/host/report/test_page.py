import csv
import io
import json
import re
from dataclasses import replace
from html import unescape

import pytest

from contract.results import DESCRIPTION_KEYS
from host.report.html import vega
from host.report.html.texts import Language
from host.study.results import StudyResults

from ..studies import changed, in_two_power_modes, study_results, with_latencies, without_skill
from .reports import html

HOSTILE = "</script><script>alert(1)</script><!-- ' \" & {{ 7*7 }}"
PAGE = html(study_results())
THROTTLED = changed(
    study_results(("desktop",), (0.0, 0.5, 0.9, 0.99)),
    lambda row: {"flags": ("throttled",)} if row.requested_rate == 0.9 or row.id in ("r000st01", "r003st01") else {},
)
"""All trials of 90 %; of the control and of 50 % the first."""


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
        (
            without_skill(study_results(("desktop",))),
            "desktop: the original is not shown to tell good from defective (AUC",
        ),
        (study_results(trials=1), "There is one trial of each"),
        (study_results(flags=("throttled",)), "desktop: throttled; orin-nano: throttled; coral: throttled"),
        (study_results(), "3 of 81 rows have no figures"),
        (THROTTLED, "5 of 12 rows are of invalid runs (throttled): they are in no figure"),
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


def lines(page: str) -> dict[str, str]:
    """Of the tables of what compression buys, by rate; English alone."""
    english = re.sub(r'<span class="ja" lang="ja">[^<]*(<span[^<]*</span>[^<]*)*</span>', "", page)
    rows = re.findall(r'<tr class="[a-z-]+"><th scope="row">(.*?)</th>(.*?)</tr>', english, re.DOTALL)
    return {words(head): words(row) for head, row in rows}


def cards(page: str) -> str:
    [text] = re.findall(r'<div class="answers">(.*?)</div>', page, re.DOTALL)
    return words(re.sub(r'<span class="ja" lang="ja">[^<]*(<span[^<]*</span>[^<]*)*</span>', "", text))


def words(html_text: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html_text)).split())


def test_a_table_has_the_figures_that_are_judged_and_says_what_is_left_out() -> None:
    wild = changed(
        THROTTLED,
        lambda row: (
            {"latency_ms": row.latency_ms and row.latency_ms.model_copy(update={"mean": 300.0})} if row.flags else {}
        ),
    )
    told, as_it_was = lines(html(wild)), lines(html(THROTTLED))
    assert told == as_it_was
    assert "2 of 3 trials left out as invalid: trial 1 (throttled)" in told["50 %"]
    assert "invalid runs left out as invalid: trial 1, 2, 3 (throttled)" in told["90 %"]
    assert "invalid" not in told["99 %"]


def test_every_trial_without_figures_has_its_reason_in_the_table() -> None:
    why = {1: "it broke", 3: "it was busy"}
    results = changed(
        study_results(("desktop",), (0.0, 0.5, 0.9)),
        lambda row: (
            {"failure": why[row.trial], "failure_code": "run_failed"}
            if row.requested_rate == 0.5 and row.trial in why
            else {}
        ),
    )
    told = lines(html(results))["50 %"]
    assert "1 of 3 trials no figures in trial 1: it broke no figures in trial 3: it was busy" in told


def test_the_card_claims_no_more_than_the_table() -> None:
    likely = html(study_results(("desktop",), (0.0, 0.5)), "model_peak_bytes<=200MiB", "rate>=0.4")
    assert re.search(
        r"times as fast as the control \( 95 % interval 0.\d+ to 1.\d+ \) : not shown to be faster", cards(likely)
    )
    assert "not shown to be faster" in lines(likely)["50 %"]
    faster = cards(html(study_results(("desktop",))))
    assert re.search(r"4.\d\d times as fast as the control \( 95 % interval 4.\d\d to 4.\d\d \)", faster)
    assert "not shown" not in faster
    assert "( one trial: within these runs only )" in cards(html(study_results(("desktop",), trials=1)))
    control = cards(html(study_results(("desktop",), (0.0, 0.5)), "rate<=0.1"))
    assert "0 %" in control
    assert "the control" not in control


def test_what_trials_do_not_tell_from_the_best_is_said_in_the_words_of_the_command_line() -> None:
    trials = {0.9: (4.2, 4.3, 4.4), 0.95: (2.35, 4.3, 6.4)}
    results = with_latencies(study_results(("desktop",), (0.0, 0.9, 0.95)), trials)
    told = lines(html(results, "model_peak_bytes<=200MiB"))
    assert re.search(r"beaten \(0.9\d\d ×\) : not distinguishable", told["95 %"])
    assert "not distinguishable" not in told["0 % control"]


def test_what_is_not_compared_is_not_judged() -> None:
    page = html(in_two_power_modes(study_results(("desktop",)), "desktop", 0.9), "latency_ms.mean<=5ms")
    assert "are not compared" in cards(page)
    assert not any("fails" in line or "latency_ms.mean<=5ms" in line for line in lines(page).values())
    assert "desktop, 0 %, 50 %" in page  # below the Pareto figure


def test_an_auc_of_the_float_model_is_called_so() -> None:
    of_model = changed(study_results(("desktop",)), lambda row: {"auc": None, "auc_drop": None})
    page = html(of_model)
    assert "The knee of AUC ( float model, host ) against latency_ms.mean." in cards(page)
    assert "AUC of desktop: " in page
    assert "The knee of AUC against latency_ms.mean." in cards(PAGE)
    assert "AUC of desktop: " not in PAGE


def test_which_of_two_intervals_of_an_auc_judges_is_said() -> None:
    said = "a bootstrap over test images and trials"
    small = study_results(("desktop",), (0.0, 0.9))
    assert said in html(small, "auc_drop<=0.5")
    assert said not in html(small, "latency_ms.mean<=5ms")


def test_no_answer_says_no_more_than_is_known() -> None:
    of_few = changed(
        study_results(("desktop",), (0.0, 0.9)),
        lambda row: {"memory": None} if row.requested_rate else {},
    )
    assert "no rate that could be taken has the figures" in html(
        of_few, "latency_ms.mean<=10ms", objective="peak_memory_bytes"
    )


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
