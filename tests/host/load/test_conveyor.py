import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.load.conveyor import LEAST_PER_S, MOST_PER_S, Conveyor, read_conveyor, read_deadline


@pytest.mark.parametrize(
    ("text", "per_s"),
    [("20/s", 20), ("1200/min", 20), ("7200 / h", 2), ("50ms", 20), ("0.5s", 2), ("2 min", 1 / 120), ("1e1/s", 10)],
)
def test_rates_and_periods(text: str, per_s: float) -> None:
    assert read_conveyor(text) == Conveyor(pytest.approx(per_s))


def test_the_highest() -> None:
    assert read_conveyor("max") == Conveyor(None)


@given(st.floats(LEAST_PER_S * 1.01, MOST_PER_S * 0.99))
def test_every_rate_in_every_unit(per_s: float) -> None:
    for text in (
        f"{per_s!r}/s",
        f"{per_s * 60!r}/min",
        f"{per_s * 3600!r}/h",
        f"{1000 / per_s!r}ms",
        f"{1 / per_s!r}s",
    ):
        assert read_conveyor(text).per_s == pytest.approx(per_s)


@pytest.mark.parametrize("text", ["20", "", "/s", "20/ms/s", "20/day", "fast", "20hz", "2_0/s/", "maximum"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match="is not understood: a rate is like 20/s or 1200/min"):
        read_conveyor(text)


@pytest.mark.parametrize("text", ["0/s", "-5/s", "inf/s", "-0ms", "1e999/min"])
def test_a_rate_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not above 0 and finite"):
        read_conveyor(text)


def test_nan() -> None:
    for read in (read_conveyor, read_deadline):
        with pytest.raises(ValueError, match="'nans' is not understood"):
            read("nans")


@pytest.mark.parametrize("text", ["1e9/s", "0.01ms", "0.9/h", "2h", "1e-308/s"])
def test_beyond_what_a_host_can_send(text: str) -> None:
    with pytest.raises(ValueError, match=r"is outside 1/h to 10,000/s"):
        read_conveyor(text)


def test_a_subnormal_number() -> None:
    with pytest.raises(ValueError, match="too near to 0"):
        read_conveyor("1e-320ms")


@pytest.mark.parametrize(("text", "seconds"), [("40ms", 0.04), ("0.5s", 0.5), (" 1 min ", 60)])
def test_deadlines(text: str, seconds: float) -> None:
    assert read_deadline(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0ms", "not above 0"),
        ("-1s", "not above 0"),
        ("40", "not understood: a deadline is like 40ms"),
        ("20/s", "is a rate"),
        ("61s", "more than 60 s"),
    ],
)
def test_what_is_no_deadline(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_deadline(text)


def test_a_part_has_until_the_next_one_comes_or_its_own_deadline() -> None:
    assert Conveyor(20.0).deadline_ns(20.0) == 50_000_000
    assert Conveyor(None).deadline_ns(8.0) == 125_000_000
    assert Conveyor(20.0, deadline_s=0.04).deadline_ns(20.0) == 40_000_000
