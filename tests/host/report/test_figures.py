import itertools
import json
from dataclasses import replace

import pytest
import vl_convert

from host.report.html.figures import Figure, figures_of
from host.report.html.palette import DASHES, FLOAT_MODEL, styles
from host.report.html.series import NOT_COMPARED, by_board_and_rate
from host.report.html.texts import LANGUAGES, Language
from host.study.results import StudyResults

from ..studies import changed, in_two_power_modes, study_results
from .reports import report


def drawn(results: StudyResults) -> dict[str, Figure]:
    figures = figures_of(results, by_board_and_rate(results), report(results).choice)
    return {figure.name: figure for figure in figures}


WHOLE = drawn(study_results())


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_figure_is_vega_lite_without_a_warning(
    name: str, language: Language, capfd: pytest.CaptureFixture[str]
) -> None:
    made = vl_convert.vegalite_to_vega(WHOLE[name].whole(language), show_warnings=True)
    assert made["marks"]
    assert "WARN" not in "".join(capfd.readouterr())


def test_the_picture_says_what_is_missing_and_why() -> None:
    reasons: dict[Language, str] = {"en": "coral: out of memory", "ja": "coral: メモリ不足"}
    for language, reason in reasons.items():
        assert reason in vl_convert.vegalite_to_svg(WHOLE["latency"].whole(language))


def test_error_bars_are_the_interval_over_trials_and_memory_is_in_mebibytes() -> None:
    [point] = [each for each in WHOLE["memory"].data["points"] if (each["board"], each["rate"]) == ("desktop", "99 %")]
    assert point["low"] < point["mean"] < point["high"] < 1000
    assert point["value"] == f"{point['mean']:.1f}"
    assert point["trials"] == 3


def test_the_control_and_the_chosen_rate_of_each_board_are_marked() -> None:
    points = WHOLE["latency"].data["points"]
    assert {each["rate"] for each in points if each["control"]} == {"0 %"}
    choice = report(study_results()).choice
    best = {board: each.best.rate for board, each in choice.boards.items() if each.best}
    assert {each["board"]: each["rate"] for each in points if each["chosen"]} == {
        board: f"{100 * rate:g} %" for board, rate in best.items()
    }


def test_the_front_is_that_of_the_choice() -> None:
    choice = report(study_results()).choice
    for board, chosen in choice.boards.items():
        on_front = [
            each["label"] for each in WHOLE["pareto"].data["points"] if each["board"] == board and each["front"]
        ]
        assert on_front == [f"{100 * rate:g}" for rate in chosen.front]


def test_a_board_that_was_never_there_has_a_line_of_crosses_and_no_point() -> None:
    latency = drawn(study_results(missing=("orin-nano",)))["latency"]
    assert {each["board"] for each in latency.data["points"]} == {"desktop", "coral"}
    assert sum(each["board"] == "orin-nano" for each in latency.data["missing"]) == 9
    [label] = [each for each in latency.data["labels"] if each["board"] == "orin-nano"]
    assert label["text_en"] == "orin-nano: no answer from the board"


def test_where_no_row_has_a_figure_there_is_nothing_to_draw() -> None:
    results = study_results(missing=("desktop", "orin-nano", "coral"))
    assert {name: each.empty for name, each in drawn(results).items()} == {
        "latency": True,
        "auc": False,  # the float model's, which the host measures
        "memory": True,
        "pareto": True,
    }


def test_a_board_without_an_auc_is_compared_by_that_of_the_float_model() -> None:
    results = study_results()
    rows = tuple(row.model_copy(update={"auc": None, "auc_drop": None}) for row in results.rows)
    pareto = drawn(replace(results, rows=rows))["pareto"]
    assert {each["board"] for each in pareto.data["points"]} == {"desktop", "orin-nano", "coral"}
    for point in pareto.data["points"]:
        assert point["auc_text_en"] == f"{point['auc']:.4f} (float model, host)"
        assert point["auc_text_ja"] == f"{point['auc']:.4f} (浮動小数点モデル（ホスト）)"
    assert "auc_text_ja" in json.dumps(pareto.specs["ja"])


def test_the_auc_of_what_runs_on_the_board_is_called_just_that() -> None:
    assert {each["auc_text_en"] for each in WHOLE["pareto"].data["points"]} == {
        f"{each['auc']:.4f}" for each in WHOLE["pareto"].data["points"]
    }


def test_what_is_not_compared_is_not_joined_nor_on_the_pareto_figure() -> None:
    figures = drawn(in_two_power_modes(study_results(), "desktop", 0.9))
    joined = {(each["board"], each["joined"]) for each in figures["auc"].data["points"]}
    assert joined == {("desktop", False), ("orin-nano", True), ("coral", True), (FLOAT_MODEL, True)}
    pareto = figures["pareto"]
    assert {each["board"] for each in pareto.data["points"]} == {"orin-nano", "coral"}
    assert {(each.board, each.code) for each in pareto.missing} == {("desktop", NOT_COMPARED)}
    assert len(pareto.missing) == 9


def test_an_invalid_trial_is_in_no_figure_and_a_rate_of_such_alone_is_a_cross() -> None:
    results = changed(
        study_results(("desktop",)),
        lambda row: {"flags": ("throttled",)} if row.requested_rate == 0.9 or row.trial == 2 else {},
    )
    latency = drawn(results)["latency"]
    assert {each["trials"] for each in latency.data["points"]} == {2}
    [cross] = latency.data["missing"]
    assert (cross["rate"], cross["code_en"], cross["code_ja"], cross["reason"]) == (
        "90 %",
        "invalid runs",
        "無効な測定",
        "throttled",
    )


@pytest.mark.parametrize("count", [1, 3, 42])
@pytest.mark.parametrize("rates", [(0.0, 0.5, 0.9, 0.95, 0.98, 0.99), (0.0, 0.1, 0.12, 0.14), (0.0, 0.999)])
def test_points_of_neighbouring_rates_do_not_mix(count: int, rates: tuple[float, ...]) -> None:
    boards = [f"board-{number}" for number in range(count)]
    points = drawn(study_results(boards, rates, trials=1))["memory"].data["points"]
    places = [[each["place"] for each in points if each["rate"] == f"{100 * rate:.4g} %"] for rate in rates]
    assert max(places[0]) < 1.3  # the axis's end
    assert min(places[-1]) > 0.75 * (1 - rates[-1])
    for less, more in itertools.pairwise(places):
        assert len(set(less)) == count
        assert min(less) > max(more)


def test_a_name_with_quotes_stays_a_name() -> None:
    name = "a'\"b\\"
    figures = drawn(study_results(boards=(name,), missing=(name,)))
    text = json.dumps(figures["latency"].specs["en"])
    assert json.dumps(f"datum.board === {json.dumps(name)}") in text
    vl_convert.vegalite_to_svg(figures["latency"].whole("en"))


def test_boards_look_different_in_colour_and_mark_together() -> None:
    boards = [f"board-{number}" for number in range(42)]
    looks = styles(boards)
    assert len({(style.colour, style.shape) for style in looks.values()}) == 42
    first = list(looks.values())[:5]
    for channel in ("colour", "shape", "dash"):
        assert len({getattr(style, channel) for style in first}) == 5
    assert len(DASHES) == 5
