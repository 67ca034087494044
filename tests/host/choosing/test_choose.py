import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from contract.results import BenchRow, Environment
from host.choosing.choice import BoardChoice, Judged, Request
from host.choosing.choose import choose
from host.choosing.conditions import parse_constraint, parse_objective
from host.errors import InputError
from host.study.results import StudyResults

from ..studies import MIB, changed, in_two_power_modes, study_results, with_latencies

BOTH = ("auc_drop<=0.02", "model_peak_bytes<=200MiB")
SMALL = "model_peak_bytes<=200MiB"
"""Takes no bootstrap, which is the slow part."""


def asked(*constraints: str, objective: str = "latency_ms.mean", **more: Any) -> Request:
    return Request(parse_objective(objective), tuple(map(parse_constraint, constraints)), **more)


def on(board: str, results: StudyResults, request: Request) -> BoardChoice:
    return choose(results, dataclasses.replace(request, boards=(board,))).boards[board]


def statuses(chosen: BoardChoice) -> dict[float, str]:
    return {each.rate: each.status for each in chosen.candidates}


def at(chosen: BoardChoice, rate: float) -> Judged:
    return next(each for each in chosen.candidates if each.rate == rate)


@pytest.fixture(scope="module")
def ten() -> StudyResults:
    return study_results(trials=10)


@pytest.fixture(scope="module")
def few() -> StudyResults:
    """As few as an AUC needs to be judged: its bootstrap takes time."""
    return study_results(("desktop",), rates=(0, 0.98, 0.999), trials=4)


def test_the_fastest_that_meets_every_condition(ten: StudyResults) -> None:
    chosen = on("desktop", ten, asked(*BOTH))
    assert chosen.outcome == "best"
    assert chosen.best is not None
    assert chosen.best.rate == 0.99
    assert statuses(chosen) == {
        **dict.fromkeys((0, 0.5, 0.8, 0.9, 0.95, 0.98), "beaten"),
        0.99: "best",
        0.995: at(chosen, 0.995).status,
        0.999: "fails",
    }
    assert at(chosen, 0.995).status in ("fails", "undecided")
    assert [told.verdict for told in chosen.best.judgements] == ["passes", "passes"]
    assert chosen.nearest is None


def test_the_best_is_named_with_what_it_has_over_the_others(ten: StudyResults) -> None:
    chosen = on("desktop", ten, asked(*BOTH))
    assert chosen.best is not None
    assert chosen.best.speed_up is not None
    assert chosen.best.speed_up.distinguishable
    assert chosen.best.speed_up.ratio == pytest.approx(24 / 5.2, rel=0.03)
    assert chosen.best.fewer_weights == pytest.approx(100, rel=0.05)
    assert chosen.best.fewer_macs == pytest.approx(13, rel=0.05)
    behind = at(chosen, 0.98).behind
    assert behind is not None
    assert behind.low is not None
    assert 1 < behind.low < behind.ratio < 1.2
    assert chosen.best.behind is None
    control = at(chosen, 0)
    assert control.speed_up is None
    assert control.behind is not None
    assert control.behind.ratio == pytest.approx(chosen.best.speed_up.ratio)


def test_a_rate_that_only_looks_faster_is_seen(ten: StudyResults) -> None:
    chosen = on("desktop", ten, asked())
    looks = at(chosen, 0.5)
    assert looks.fewer_weights == pytest.approx(2, rel=0.01)
    assert looks.only_looks_faster
    assert not at(chosen, 0.8).only_looks_faster
    assert not at(chosen, 0).only_looks_faster
    assert not at(on("orin-nano", ten, asked()), 0.5).only_looks_faster


def test_a_loser_has_the_condition_that_failed_and_its_interval(ten: StudyResults) -> None:
    lost = at(on("coral", ten, asked("model_peak_bytes<=200MiB")), 0.5)
    assert lost.status == "fails"
    [told] = lost.judgements
    assert told.figure is not None
    assert told.figure.basis == "trials"
    assert told.figure.interval is not None
    assert 200 * MIB < told.figure.interval[0] < told.figure.value < told.figure.interval[1]


def test_an_auc_is_judged_by_a_bootstrap_over_images_and_trials(few: StudyResults) -> None:
    for key in ("auc_drop", "float_auc_drop"):
        chosen = on("desktop", few, asked(f"{key}<=0.01"))
        [told] = at(chosen, 0.999).judgements
        assert told.figure is not None
        assert told.figure.basis == "images and trials"
        assert told.figure.interval is not None
        assert told.figure.interval[0] < told.figure.value < told.figure.interval[1]
        [of_control] = at(chosen, 0).judgements
        assert of_control.figure is not None
        assert (of_control.figure.low, of_control.figure.high) == (0, 0)


def test_of_two_aucs_the_paired_interval_is_the_narrower(few: StudyResults) -> None:
    chosen = on("desktop", few, asked("auc_drop<=0.01", "auc>=0.9"))
    drop, auc = (told.figure for told in at(chosen, 0.98).judgements)
    assert drop is not None
    assert auc is not None
    assert auc.interval is not None
    assert drop.interval is not None
    assert auc.interval[0] < auc.value < auc.interval[1] < 1
    assert drop.interval[1] - drop.interval[0] < (auc.interval[1] - auc.interval[0]) / 3


def test_equal_studies_get_equal_choices(few: StudyResults) -> None:
    one, other = (at(on("desktop", few, asked("auc_drop<=0.01")), 0.98).judgements for _ in range(2))
    assert one == other


def test_what_cannot_be_told_is_undecided_unless_the_estimate_is_asked_for(few: StudyResults) -> None:
    mean = at(on("desktop", few, asked("auc_drop<=1")), 0.999).judgements[0].figure
    assert mean is not None
    between = f"auc_drop<={mean.value + 0.001!r}"
    assert at(on("desktop", few, asked(between)), 0.999).status == "undecided"
    assert at(on("desktop", few, asked(between, point=True)), 0.999).status == "best"


def test_one_trial_has_no_interval_over_trials() -> None:
    one = study_results(("desktop",), trials=1)
    chosen = on("desktop", one, asked("latency_ms.p99<=6ms"))
    assert chosen.outcome == "none passes"
    assert set(statuses(chosen).values()) == {"undecided"}
    speed_up = at(chosen, 0.99).speed_up
    assert speed_up is not None
    assert speed_up.low is None
    assert on("desktop", one, asked("latency_ms.p99<=6ms", point=True)).outcome == "best"
    [told] = at(on("desktop", one, asked("auc_drop<=0.5")), 0.99).judgements
    assert told.figure is not None
    assert (told.figure.basis, told.verdict) == ("images", "passes")


def test_what_is_counted_needs_no_interval() -> None:
    one = study_results(("desktop",), trials=1)
    chosen = on("desktop", one, asked("rate>=0.95", "macs<=110M"))
    assert {rate for rate, status in statuses(chosen).items() if status in ("best", "beaten")} == {0.99, 0.995, 0.999}


def test_no_condition_is_the_knee(ten: StudyResults) -> None:
    chosen = on("desktop", ten, asked())
    assert chosen.outcome == "knee"
    assert chosen.best is not None
    assert chosen.best.rate == 0.99
    assert on("desktop", ten, asked(objective="rate")).outcome == "knee"


def test_an_auc_as_the_objective_has_no_knee_against_itself(few: StudyResults) -> None:
    chosen = on("desktop", few, asked(objective="auc"))
    assert chosen.outcome == "best"
    assert chosen.best is not None
    means = {each.rate: each.candidate.mean("auc") or 0 for each in chosen.candidates}
    assert means[chosen.best.rate] == max(means.values())
    assert at(chosen, 0.999).behind is None  # of AUCs a ratio says nothing


def test_of_two_rates_there_is_no_knee() -> None:
    two = study_results(("desktop",), rates=(0, 0.999))
    chosen = on("desktop", two, asked())
    assert (chosen.outcome, chosen.best, chosen.front) == ("no knee", None, (0, 0.999))
    assert set(statuses(chosen).values()) == {"eligible"}
    dominant = on("desktop", changed(two, lambda row: {"auc": 0.9}), asked())
    assert dominant.outcome == "dominant"
    assert dominant.best is not None
    assert dominant.best.rate == 0.999


def test_a_model_without_an_auc_has_no_knee_but_a_best() -> None:
    nothing = dict.fromkeys(("auc", "auc_drop", "float_auc", "float_auc_drop"))
    without = changed(study_results(("desktop",)), lambda row: nothing)
    assert on("desktop", without, asked()).outcome == "no figure"
    assert on("desktop", without, asked("model_peak_bytes<=100MiB")).outcome == "best"
    on_host = changed(study_results(("desktop",)), lambda row: {"auc": None, "auc_drop": None})
    chosen = on("desktop", on_host, asked())
    assert (chosen.auc_key, chosen.outcome) == ("float_auc", "knee")


def test_the_front_is_of_auc_latency_and_memory(ten: StudyResults) -> None:
    chosen = on("desktop", ten, asked())
    assert chosen.front_keys == ("auc", "latency_ms.mean", "peak_memory_bytes")
    assert 0.999 in chosen.front
    assert 0.99 in chosen.front
    assert 0.5 not in chosen.front  # slower than the original, and larger than all others
    assert tuple(each.rate for each in chosen.candidates if each.on_front) == chosen.front


def test_a_model_that_does_not_run_is_there_with_the_reason(ten: StudyResults) -> None:
    chosen = on("coral", ten, asked("float_auc_drop<=0.02"))
    assert (at(chosen, 0).status, at(chosen, 0).candidate.absence) == ("absent", "does not run")
    assert "out of memory" in at(chosen, 0).candidate.reason
    assert chosen.best is not None
    assert chosen.best.speed_up is None  # over what?
    assert chosen.best.fewer_weights is not None


def test_where_the_original_does_not_run_a_loss_of_auc_is_from_its_float_form() -> None:
    results = study_results(("coral",), rates=(0, 0.9), trials=4)
    [told] = at(on("coral", results, asked("auc_drop<=0.2")), 0.9).judgements
    assert told.figure is not None
    assert told.figure.basis == "images and trials"
    rows = [row for row in results.rows if row.requested_rate == 0.9]
    assert told.figure.value == pytest.approx(sum(row.auc_drop or 0 for row in rows) / 4)


def test_what_has_no_figure_on_one_board_is_undecided_there() -> None:
    results = study_results(("desktop", "orin-nano"), rates=(0, 0.9))
    chosen = choose(results, asked("energy_mj.per_run<=1J")).boards["desktop"]
    assert (chosen.outcome, chosen.nearest) == ("none passes", None)
    [told] = at(chosen, 0.9).judgements
    assert (told.verdict, told.figure) == ("undecided", None)
    assert told.missing == "no power rail of Bench PC can be read"


def test_a_board_that_was_missing() -> None:
    results = study_results(rates=(0, 0.9), missing=("orin-nano",))
    chosen = choose(results, asked(SMALL)).boards["orin-nano"]
    assert (chosen.outcome, chosen.best, chosen.front) == ("nothing ran", None, ())
    assert at(chosen, 0.9).candidate.absence == "not measured"
    assert "does not answer" in at(chosen, 0.9).candidate.reason


def test_a_study_that_is_not_done_yet() -> None:
    half = changed(study_results(("desktop",)), lambda row: None if (row.requested_rate or 0) > 0.9 else {})
    chosen = on("desktop", half, asked(SMALL))
    assert at(chosen, 0.99).candidate.absence == "not tried"
    assert chosen.best is not None
    assert chosen.best.rate == 0.9


def test_one_rate_alone_is_compared_with_nothing() -> None:
    whole = study_results(("desktop",), rates=(0, 0.5, 0.9), trials=1)
    alone = changed(whole, lambda row: {} if row.requested_rate == 0.9 else None)
    for objective in ("latency_ms.mean", "auc"):
        chosen = on("desktop", alone, asked(objective=objective))
        assert (chosen.outcome, chosen.best, chosen.not_tried) == ("only one", None, (0, 0.5))
    assert on("desktop", alone, asked("rate>=0.5")).outcome == "best"
    runs_alone = on("coral", study_results(("coral",), rates=(0, 0.9)), asked())
    assert runs_alone.outcome == "dominant"  # the other does not run there, and never will


def test_nearest_is_who_misses_least() -> None:
    results = study_results(("desktop",))
    chosen = on("desktop", results, asked("latency_ms.mean<=4.5ms"))
    assert chosen.nearest is not None
    assert chosen.nearest.rate == 0.999
    chosen = on("desktop", results, asked("latency_ms.mean<=4ms", "auc_drop<=0.05"))
    assert chosen.nearest is not None
    assert chosen.nearest.rate == 0.99  # of those that fail one condition alone


def test_invalid_runs_do_not_count_unless_allowed() -> None:
    hot = changed(
        study_results(("desktop",)),
        lambda row: {"flags": ("throttled",)} if row.requested_rate == 0.99 or row.trial == 2 else {},
    )
    chosen = on("desktop", hot, asked(SMALL))
    assert at(chosen, 0.99).candidate.absence == "invalid"
    assert at(chosen, 0.99).candidate.reason.startswith("throttled in ")
    assert [row.trial for row in at(chosen, 0.98).candidate.rows] == [1, 3]
    assert [row.trial for row in at(chosen, 0.98).candidate.invalid] == [2]
    allowed = on("desktop", hot, asked(SMALL, allow_different_environment=True))
    assert len(at(allowed, 0.99).candidate.rows) == 3
    assert at(allowed, 0.99).candidate.absence is None


def test_other_flags_are_told_and_count() -> None:
    busy = study_results(("desktop",), flags=("other_load", "clocks_not_fixed", "unstable"))
    assert on("desktop", busy, asked(SMALL)).best is not None


def environments(**changes: object) -> StudyResults:
    def change(row: BenchRow) -> Mapping[str, object]:
        assert row.environment is not None
        return {"environment": row.environment.model_copy(update=changes)} if row.requested_rate == 0.98 else {}

    return changed(study_results(("desktop",)), change)


@pytest.mark.parametrize("field", ["machine", "os_image", "runtime", "runtime_version", "power_mode"])
def test_rows_of_another_environment_are_not_compared_unless_allowed(field: str) -> None:
    change: dict[str, object] = {field: "another"}
    if field == "power_mode":
        environment = study_results(("desktop",)).rows[0].environment
        assert isinstance(environment, Environment)
        change = {"before": environment.before.model_copy(update={"power_mode": "another"})}
    results = environments(**change)
    chosen = on("desktop", results, asked(SMALL))
    assert (chosen.outcome, chosen.best, chosen.front) == ("not compared", None, ())
    assert at(chosen, 0.9).speed_up is None
    [difference] = chosen.differences
    assert difference.field == field
    assert difference.rows["another"] == tuple(row.id for row in results.rows if row.requested_rate == 0.98)
    allowed = on("desktop", results, asked(SMALL, allow_different_environment=True))
    assert allowed.best is not None
    assert allowed.differences == chosen.differences


def test_what_is_not_compared_is_not_judged_either() -> None:
    results = in_two_power_modes(study_results(("desktop", "coral")), "desktop", 0.98)
    results = in_two_power_modes(results, "coral", 0.98)
    choice = choose(results, asked("latency_ms.mean<=5ms", SMALL))
    for board, chosen in choice.boards.items():
        assert chosen.outcome == "not compared"
        assert {each.status for each in chosen.candidates if each.rate or board == "desktop"} == {"eligible"}
        assert {each.judgements for each in chosen.candidates} == {()}
    assert at(choice.boards["coral"], 0).status == "absent"


def test_one_that_trials_do_not_tell_from_the_best_is_said_to_be_so() -> None:
    # By its arithmetic mean, 4.35, it is slower than 4.3, by its geometric one, 4.08, it is not.
    trials = {0.9: (4.2, 4.3, 4.4), 0.95: (2.35, 4.3, 6.4)}
    results = with_latencies(study_results(("desktop",), rates=(0, 0.9, 0.95)), trials)
    chosen = on("desktop", results, asked(SMALL))
    assert chosen.best is not None
    assert chosen.best.rate == 0.9
    other = at(chosen, 0.95)
    assert other.behind is not None
    assert other.behind.ratio < 1
    assert other.as_good_as_the_best
    assert not at(chosen, 0).as_good_as_the_best
    assert not chosen.best.as_good_as_the_best


def test_what_may_differ(ten: StudyResults) -> None:
    assert on("desktop", environments(kernel="6.9", memory_total_bytes=1), asked(SMALL)).differences == ()


def test_boards_have_answers_of_their_own(ten: StudyResults) -> None:
    choice = choose(ten, asked("model_peak_bytes<=70MiB"))
    assert list(choice.boards) == ["desktop", "orin-nano", "coral"]
    assert choice.found
    assert choice.boards["orin-nano"].best is None
    assert not choose(ten, asked("model_peak_bytes<=70MiB", boards=("coral",))).found
    assert list(choose(ten, asked(boards=("coral",))).boards) == ["coral"]


def test_an_optimistic_auc_is_labelled() -> None:
    assert choose(study_results(("desktop",), optimistic=True), asked()).optimistic
    assert not choose(study_results(("desktop",)), asked()).optimistic


def test_a_board_that_the_study_has_not(ten: StudyResults) -> None:
    with pytest.raises(InputError, match="has no board 'corral'; did you mean 'coral'") as raised:
        choose(ten, asked(boards=("corral",)))
    assert raised.value.code == "unknown_board"


def test_a_figure_that_no_row_has_says_why() -> None:
    with pytest.raises(InputError, match=r"no row of desktop has 'energy_mj.per_run': no power rail"):
        choose(study_results(("desktop",)), asked("energy_mj.per_run<=1"))
    chosen = choose(study_results(), asked(objective="energy_mj.per_run")).boards["desktop"]
    assert chosen.outcome == "no figure"
    assert at(chosen, 0.9).no_objective == "no power rail of Bench PC can be read"


def test_a_percentile_that_the_sample_does_not_support_says_so() -> None:
    def short(row: BenchRow) -> Mapping[str, object]:
        assert row.latency_ms is not None
        return {"counted_runs": 99, "latency_ms": row.latency_ms.model_copy(update={"p99": None})}

    with pytest.raises(InputError, match="needs 459 counted runs, has 99"):
        choose(changed(study_results(("desktop",)), short), asked("latency_ms.p99<=6ms"))


def test_a_figure_that_is_no_number_decides_nothing() -> None:
    def odd(row: BenchRow) -> Mapping[str, object]:
        assert row.latency_ms is not None
        broken = row.latency_ms.model_copy(update={"mean": float("nan")})
        return {"latency_ms": broken} if row.requested_rate == 0.99 else {}

    chosen = on("desktop", changed(study_results(("desktop",)), odd), asked("latency_ms.mean<=6ms"))
    assert at(chosen, 0.99).status == "undecided"
    assert at(chosen, 0.99).judgements[0].missing == "nan in one of its trials, which is no figure"
    assert chosen.best is not None


def test_scores_that_are_gone_leave_the_trials() -> None:
    results = dataclasses.replace(study_results(("desktop",)), on_board={})
    [told] = at(on("desktop", results, asked("auc_drop<=0.05")), 0.9).judgements
    assert told.figure is not None
    assert told.figure.basis == "trials"
