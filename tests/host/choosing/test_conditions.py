import math
import operator
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.results import FIGURE_KEYS
from host.choosing.conditions import Constraint, Figure, Objective, judge, parse_constraint, parse_objective
from host.choosing.keys import better, units
from host.errors import InputError

OPERATORS = {"<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt}
FINITE = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("text", "key", "way", "bound"),
    [
        ("auc_drop<=0.01", "auc_drop", "<=", 0.01),
        ("auc_drop <= 1%", "auc_drop", "<=", 0.01),
        ("auc > 95 %", "auc", ">", 0.95),
        ("model_peak_bytes<=300MiB", "model_peak_bytes", "<=", 300 * 2**20),
        ("model_peak_bytes<1 gib", "model_peak_bytes", "<", 2**30),
        ("peak_memory_bytes<=300MB", "peak_memory_bytes", "<=", 300e6),
        ("peak_memory_bytes<=300", "peak_memory_bytes", "<=", 300),
        ("latency_ms.p99<=2.5", "latency_ms.p99", "<=", 2.5),
        ("latency_ms.p99<=.2s", "latency_ms.p99", "<=", 200),
        ("latency_ms.p99≤250us", "latency_ms.p99", "<=", 0.25),
        ("energy_mj.per_run<=0.1J", "energy_mj.per_run", "<=", 100),
        ("power_mw.run<5W", "power_mw.run", "<", 5000),
        ("rate>=9e-1", "rate", ">=", 0.9),
        ("weights<=1.5M", "weights", "<=", 1.5e6),
        ("macs<=1_000_000", "macs", "<=", 1e6),
        ("load.highest_parts_per_minute>=2/s", "load.highest_parts_per_minute", ">=", 120),
        ("float_auc_drop≥-0.5", "float_auc_drop", ">=", -0.5),
    ],
)
def test_a_condition(text: str, key: str, way: str, bound: float) -> None:
    made = parse_constraint(text)
    assert (made.key, made.operator, made.text) == (key, way, text)
    assert made.bound == pytest.approx(bound, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("", "bad_constraint", "in quotes"),
        ("auc_drop", "bad_constraint", "in quotes"),  # a shell has taken <=0.01 for a redirection
        ("auc_drop<=", "bad_constraint", "'auc_drop<='"),
        ("auc_drop=0.01", "bad_constraint", "<=, <, >= or >"),
        ("auc_drop==0.01", "bad_constraint", "<=, <, >= or >"),
        ("auc_drop=<0.01", "bad_constraint", "<=, <, >= or >"),
        ("0.01>=auc_drop", "unknown_key", "'0.01'"),
        ("auc_dorp<=0.01", "unknown_key", "did you mean 'auc_drop'?"),
        ("latency<=3ms", "unknown_key", "did you mean 'latency_ms.mean'?"),
        ("rate>=90", "bad_quantity", "rates are 0 to 1, or give 90%"),
        ("rate>=900%", "bad_quantity", "rates are 0 to 1"),
        ("auc_drop<=5", "bad_quantity", "it is -1 to 1, or give 5%"),
        ("board<=3", "unknown_key", "is no figure"),
        ("auc_drop<=nan", "bad_quantity", "'nan'"),
        ("auc_drop<=inf", "bad_quantity", "'inf'"),
        ("auc_drop<=1e999", "bad_quantity", "'1e999'"),
        ("auc_drop<=x", "bad_quantity", "'x'"),
        ("auc_drop<=1 2", "bad_unit", "'2' is no unit of 'auc_drop'"),
        ("auc_drop<=3ms", "bad_unit", "'ms' is no unit of 'auc_drop'"),
        ("model_peak_bytes<=3ms", "bad_unit", "'ms' is no unit of 'model_peak_bytes'"),
        ("latency_ms.mean<=3MiB", "bad_unit", "'MiB' is no unit of 'latency_ms.mean'"),
        ("energy_mj.per_run<=3MJ", "bad_unit", "'MJ' is no unit"),  # a thousand million times an mJ
        ("weights<=3m", "bad_unit", "'m' is no unit"),
    ],
)
def test_what_is_no_condition(text: str, code: str, told: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_constraint(text)
    assert raised.value.code == code
    assert told in f"{raised.value.message} {raised.value.hint}"


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(FIGURE_KEYS),
    st.sampled_from(sorted(OPERATORS)),
    FINITE,
    st.data(),
    st.sampled_from(["", " ", "  "]),
)
def test_every_key_takes_each_of_its_units(key: str, way: str, number: float, data: st.DataObject, space: str) -> None:
    unit = data.draw(st.sampled_from(["", *units(key)]))
    if "%" in units(key):
        number /= 1e6  # a share: 1 at most
    made = parse_constraint(f"{key}{space}{way}{space}{number!r}{space}{unit}")
    assert (made.key, made.operator) == (key, way)
    assert made.bound == pytest.approx(number * (units(key)[unit] if unit else 1), rel=1e-12, abs=1e-300)


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=30))
def test_any_text_is_a_condition_or_an_input_error(text: str) -> None:
    with suppress(InputError):
        assert math.isfinite(parse_constraint(text).bound)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(OPERATORS)), FINITE, st.tuples(FINITE, FINITE, FINITE).map(sorted))
def test_it_passes_where_every_value_of_the_interval_does_and_fails_where_none_does(
    way: str, bound: float, ends: list[float]
) -> None:
    low, value, high = ends
    constraint, figure = Constraint("auc", way, bound, ""), Figure(value, low, high, 3, "trials")
    holds = [OPERATORS[way](at, bound) for at in (low, value, high)]
    expected = "passes" if all(holds) else "undecided" if any(holds) else "fails"
    assert judge(constraint, figure) == expected
    assert judge(constraint, figure, point=True) == ("passes" if OPERATORS[way](value, bound) else "fails")
    assert (constraint.shortfall(value) == 0) == OPERATORS["<=" if constraint.is_upper else ">="](value, bound)


def test_one_trial_decides_nothing_but_by_its_estimate() -> None:
    constraint, figure = parse_constraint("latency_ms.mean<=5ms"), Figure(1.0, None, None, 1, "one trial")
    assert judge(constraint, figure) == "undecided"
    assert judge(constraint, figure, point=True) == "passes"


def test_an_objective_knows_which_way_is_better() -> None:
    assert parse_objective("latency_ms.mean") == Objective("latency_ms.mean", "lower")
    assert parse_objective("auc") == Objective("auc", "higher")
    assert parse_objective("max:model_peak_bytes") == Objective("model_peak_bytes", "higher")
    assert parse_objective("min:auc").cost(0.5) == 0.5
    assert parse_objective("auc").cost(0.5) == -0.5
    assert {key for key in FIGURE_KEYS if better(key) == "higher"} == {
        "auc",
        "float_auc",
        "rate",
        "load.offered_per_s",
        "load.highest_parts_per_minute",
    }


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("latency", "unknown_key", "did you mean 'latency_ms.mean'?"),
        ("latency_ms.men", "unknown_key", "did you mean 'latency_ms.mean'?"),
        ("least:auc", "bad_objective", "min:KEY or max:KEY"),
        (":auc", "bad_objective", "min:KEY or max:KEY"),
        ("", "unknown_key", "''"),
        ("model", "unknown_key", "is no figure"),
    ],
)
def test_what_is_no_objective(text: str, code: str, told: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_objective(text)
    assert raised.value.code == code
    assert told in f"{raised.value.message} {raised.value.hint}"
