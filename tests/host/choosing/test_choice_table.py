import dataclasses
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from host.choosing.choice import Request
from host.choosing.choose import choose
from host.choosing.conditions import parse_constraint, parse_objective
from host.report.choice import choice_table, times
from host.report.choice_record import choice_record
from host.study.records import model_path, taught_path
from host.study.results import StudyResults

from ..studies import RATES, changed, in_two_power_modes, study_results, with_latencies, without_skill

FEW = (0, 0.5, 0.9, 0.99, 0.999)


def shown(
    results: StudyResults, *constraints: str, width: int = 80, objective: str = "latency_ms.mean", **more: bool
) -> str:
    """As it is read: one space between words, wherever they were folded; nothing wider than the terminal."""
    request = Request(parse_objective(objective), tuple(map(parse_constraint, constraints)), **more)
    file = io.StringIO()
    Console(file=file, width=width).print(choice_table(choose(results, request)))
    assert max(map(len, file.getvalue().splitlines())) <= width
    return file.getvalue()


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module")
def desktop() -> StudyResults:
    return study_results(("desktop",), rates=FEW)


@pytest.mark.parametrize("width", [80, 120])
def test_every_board_begins_with_its_answer(width: int) -> None:
    text = words(shown(study_results(), "model_peak_bytes<=100MiB", width=width))
    assert "desktop: take 99.9 %, the least latency_ms.mean of the 7 that meet every condition" in text
    assert "times as fast as the original (95 % interval " in text
    assert "1,000 times fewer weights, 21.0 times fewer multiply-adds" in text
    assert "coral: no answer: none meets every condition; nearest is 99" in text
    assert "orin-nano: take" in text


def test_a_line_for_each_rate_with_what_keeps_it_from_that(desktop: StudyResults) -> None:
    text = shown(desktop, "auc_drop<=0.03", "model_peak_bytes<=100MiB", width=160)
    assert "0 % fails model_peak_bytes<=100MiB: 190.0 MiB (189" in words(text)
    assert "fails auc_drop<=0.03: 0.1457 (" in text
    assert "99 %* the answer" in words(text)
    assert "1.58 x (1.54 to 1.62)" in text
    assert "x how many times the answer's latency_ms.mean it has" in text
    assert "* on the Pareto front of auc, latency_ms.mean, peak_memory_bytes" in text


def test_the_speed_up_stands_beside_what_was_taken_away(desktop: StudyResults) -> None:
    wide, text = words(shown(desktop, width=120)), words(shown(desktop))
    assert "50 % not shown to be faster 2.00 1.59 0.978 0.952 to 1.01" in wide
    assert "2.00 1.59 0.978 0.952 to 1.01" in text
    assert "90 % faster 10.0 4.33 2.89 2.81 to 2.97" in text


def test_the_knee_is_said_to_be_one(desktop: StudyResults) -> None:
    assert "take 99 %, the knee of auc against latency_ms.mean; no condition was given" in words(shown(desktop))


def test_the_answers_without_one() -> None:
    two = study_results(("desktop",), rates=(0, 0.999))
    assert "no answer: auc against latency_ms.mean has no knee; give a --constraint" in words(shown(two))
    without = tuple(row.model_copy(update={"auc": None, "float_auc": None}) for row in two.rows)
    assert "none that could be taken has an AUC, which a knee is found by" in words(
        shown(dataclasses.replace(two, rows=without))
    )
    missing = study_results(("desktop",), rates=(0, 0.9), missing=("desktop",))
    text = words(shown(missing, "auc>=0.5", width=160))
    assert "no answer: there is no row to go by" in text
    assert "not measured: 'desktop' does not answer at http://10.0.0.7:8420" in text
    none = dataclasses.replace(missing, rows=())
    assert words(shown(none)).count("not in the study yet") == 2


def test_rows_that_are_not_compared_are_named(desktop: StudyResults) -> None:
    def moved(name: str) -> StudyResults:
        rows = []
        for row in desktop.rows:
            assert row.environment is not None
            environment = row.environment.model_copy(update={"os_image": name})
            rows.append(row.model_copy(update={"environment": environment}) if row.requested_rate == 0.9 else row)
        return dataclasses.replace(desktop, rows=tuple(rows))

    text = words(shown(moved("Debian 13")))
    first, other = desktop.rows[0].id, next(row.id for row in desktop.rows if row.requested_rate == 0.9)
    assert f"desktop: not compared: os_image is Debian 12 of {first}, " in text
    assert f"Debian 13 of {other}, " in text
    assert "--allow-different-environment compares it all the same" in text
    allowed = words(shown(moved("Debian 13"), allow_different_environment=True))
    assert "take 99 %" in allowed
    assert "Environments differ: os_image is" in allowed


def test_what_there_is_to_know_of_the_rows() -> None:
    results = study_results(("desktop",), rates=FEW, flags=("other_load",))
    rows = tuple(
        row.model_copy(update={"flags": ("throttled",)})
        if (row.requested_rate, row.trial) == (0.9, 2)
        else row.model_copy(update={"failure": "it broke", "failure_code": "run_failed"})
        if (row.requested_rate, row.trial) == (0.5, 3)
        else row
        for row in results.rows
    )
    text = words(shown(dataclasses.replace(results, rows=rows)))
    assert "left out as invalid: throttled in " in text
    assert "did not run in trial 3: it broke" in text
    assert "flags: other load" in text


def test_every_reason_of_a_failed_trial_is_told() -> None:
    why = {1: "it broke", 2: "it was busy"}
    results = changed(
        study_results(("desktop",), rates=FEW),
        lambda row: (
            {"failure": why[row.trial], "failure_code": "run_failed"}
            if row.requested_rate == 0.9 and row.trial in why
            else {}
        ),
    )
    text = words(shown(results, width=160))
    assert "did not run in trial 1: it broke" in text
    assert "did not run in trial 2: it was busy" in text


def test_what_is_not_compared_is_not_judged() -> None:
    text = words(shown(in_two_power_modes(study_results(("desktop",)), "desktop", 0.9), "latency_ms.mean<=5ms"))
    assert "not compared: power_mode is" in text
    assert "fails" not in text
    assert "meets every condition" not in text


def test_one_trial_is_labelled() -> None:
    one = study_results(("desktop",), rates=FEW, trials=1)
    text = words(shown(one, "latency_ms.mean<=6ms", "auc_drop<=0.5", width=160))
    assert "undecided latency_ms.mean<=6ms: 5.229 ms; one trial, so no interval" in text
    assert "90 % within-run only 10.0 4.33 2.95 n/a" in text
    assert "AUC is judged over images alone: one trial says nothing of another training." in text
    assert "Undecided: the bound lies within the 95 % interval, or there is none." in text
    text = words(shown(one, "latency_ms.mean<=6ms", point=True))
    assert "Judged by point estimates" in text
    assert "take 99.9 %" in text
    assert "(one trial: within these runs only)" in text


def test_what_cannot_be_known_without_the_original() -> None:
    text = words(shown(study_results(("desktop", "coral"), rates=(0, 0.9)), "auc_drop<=0.5"))
    assert "0 % does not run: out of memory while loading" in text
    assert text.count("auc_drop is from the original's float form") == 1
    assert "the original does not run on coral" in text
    assert "Speed-up is over the original, which has no latency on coral." in text


def test_the_original_can_be_the_answer() -> None:
    text = words(shown(study_results(("desktop",), rates=(0, 0.999)), "auc_drop<=0.01"))
    assert "desktop: take 0 %, the only one that meets every condition That is the original: nothing removed." in text


def test_an_optimistic_auc_is_labelled() -> None:
    optimistic = study_results(("desktop",), rates=FEW, optimistic=True)
    assert "AUC is optimistic: epochs were chosen by the test images" in words(shown(optimistic))


def test_other_objectives(desktop: StudyResults) -> None:
    text = words(shown(desktop, "auc_drop<=0.03", objective="rate"))
    assert "take 99 %, the greatest rate of the " in text
    assert "90 %* rate 90.04 %" in text or "90 % rate 90.04 %" in text
    assert "the greatest auc; no condition was given" in words(shown(desktop, objective="auc"))


def test_for_programs(desktop: StudyResults) -> None:
    request = Request(constraints=(parse_constraint("model_peak_bytes<=100MiB"),))
    told = json.loads(json.dumps(choice_record(choose(desktop, request))))
    [board] = told["boards"]
    assert (told["study"], told["objective"]["key"], board["board"]) == ("capsule-sweep", "latency_ms.mean", "desktop")
    assert (board["outcome"], board["best"], board["nearest"]) == ("best", 0.999, None)
    assert [each["rate"] for each in board["candidates"]] == list(FEW)
    lost = board["candidates"][0]
    assert lost["status"] == "fails"
    assert lost["constraints"][0]["figure"]["low"] > 100 * 2**20
    assert lost["rows"] == [row.id for row in desktop.rows[:3]]
    assert board["candidates"][1]["only_looks_faster"]
    assert set(board["candidates"][0]["means"]) == {"auc", "latency_ms.mean", "peak_memory_bytes"}


def test_three_digits() -> None:
    assert [times(value) for value in (0.004, 0.98765, 4.6, 21, 99.96, 1000.4)] == [
        "0.00400",
        "0.988",
        "4.60",
        "21.0",
        "100",
        "1,000",
    ]


def test_text_of_others_is_taken_as_it_is() -> None:
    results = study_results(("desktop",), rates=RATES[:2], missing=("desktop",))
    odd = tuple(row.model_copy(update={"failure": "[red]no[/red] \x1b[31mroute"}) for row in results.rows)
    text = shown(dataclasses.replace(results, rows=odd), "auc>=0.5")
    assert "[red]no[/red] route" in words(text)


def test_it_says_whose_answer_it_is(desktop: StudyResults) -> None:
    begun = f"{desktop.created_at.astimezone():%Y-%m-%d %H:%M}"
    assert shown(desktop).startswith(f"study capsule-sweep, begun {begun}\n\ndesktop: take 99 %")
    assert choice_record(choose(desktop, Request()))["created_at"] == desktop.created_at.isoformat()


def test_the_answer_claims_no_more_than_its_line() -> None:
    wild = with_latencies(study_results(("desktop",), rates=(0, 0.9)), {0.9: (2.0, 9.0, 40.0)})
    text = words(shown(wild, "rate>=0.5"))
    assert "): not shown to be faster, 10.0 times fewer weights" in text
    assert "90 % not shown to be faster 10.0" in words(shown(wild, "rate>=0.5", width=120))
    assert "no faster" not in text


def test_one_rate_alone_is_no_answer() -> None:
    whole = study_results(("desktop",), rates=FEW, trials=1)
    alone = changed(whole, lambda row: {} if row.requested_rate == 0.9 else None)
    text = words(shown(alone))
    assert "desktop: no answer: 90 % is the only rate with rows that count so far, the original is missing" in text
    assert "Not in the study yet: the original, 50 %, 99 %, 99.9 %. Go on: host study resume capsule-sweep" in text
    text = words(shown(alone, "rate>=0.5"))
    assert "take 90 %, the only one that meets every condition" in text
    assert "speed-up not known: the original has no latency here" in text
    assert "host study resume" in text
    assert "host study resume" not in words(shown(whole))


def test_an_original_that_tells_nothing_is_said_to_be_so(desktop: StudyResults) -> None:
    useless = without_skill(desktop)
    text = words(shown(useless))
    assert "The original is not shown to tell good from defective (AUC 0.5" in text or "(AUC 0.4" in text
    assert "what is lost of it says nothing" in text
    assert "not shown to tell" not in words(shown(desktop))
    told = choice_record(choose(useless, Request()))["boards"][0]
    assert told["control_is_useless"]
    assert told["control_auc"]["low"] <= 0.5
    of_its_float_form = without_skill(study_results(("coral",), rates=FEW))
    assert "(AUC" in words(shown(of_its_float_form))


def test_it_ends_with_the_model_to_deploy(desktop: StudyResults, home: Path) -> None:
    assert "next:" not in shown(desktop)
    path = model_path(taught_path(desktop.study.folder, 1, 0.99))
    path.parent.mkdir(parents=True)
    path.touch()
    told = "".join(shown(desktop).split())
    assert told.endswith(f"next:hostdeploy--boarddesktop{path}")
    assert "next:" not in shown(desktop, "latency_ms.mean<=1us")


def test_bytes_have_a_unit(desktop: StudyResults) -> None:
    assert "Model MiB" in shown(desktop, objective="model_peak_bytes", width=120)
    assert "run_peak_bytes, MiB" in shown(desktop, objective="run_peak_bytes", width=120)
