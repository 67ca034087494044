import pytest

from agent.telemetry.readings import NO_SOURCE, Readings, attempt, combine


def test_the_first_source_that_knows_gives_the_figure() -> None:
    both = combine([Readings(power_mode="MAXN", clocks_mhz={"gpu": 921.6}), Readings(power_mode="schedutil")])
    assert both.power_mode == "MAXN"
    assert both.clocks_mhz == {"gpu": 921.6}


def test_tables_are_joined_and_the_first_source_wins() -> None:
    both = combine([Readings(clocks_mhz={"gpu": 921, "cpu0": 1}), Readings(clocks_mhz={"cpu0": 2, "cpu1": 3})])
    assert both.clocks_mhz == {"gpu": 921, "cpu0": 1, "cpu1": 3}


def test_a_reason_goes_once_another_source_knows() -> None:
    blind = Readings(unmet={"power_mode": "no nvpmodel", "clocks_mhz": "none", "temperatures_c.gpu": "off"})
    both = combine([blind, Readings(power_mode="schedutil", clocks_mhz={"cpu0": 1}, temperatures_c={"gpu": 40})])
    assert not both.unmet.keys() & {"power_mode", "clocks_mhz", "temperatures_c.gpu", "temperatures_c"}


def test_of_two_reasons_the_first_source_s_stays() -> None:
    both = combine([Readings(unmet={"power_mode": "first"}), Readings(unmet={"power_mode": "second"})])
    assert both.unmet["power_mode"] == "first"


def test_a_figure_of_no_source_has_a_reason_too() -> None:
    nothing = combine([])
    assert set(nothing.unmet.values()) == {NO_SOURCE}
    assert {"cpu_percent", "temperatures_c", "power_mode", "swap_used_bytes"} <= nothing.unmet.keys()


def test_a_table_all_of_whose_sensors_are_off_is_not_said_to_have_no_source() -> None:
    assert "temperatures_c" not in combine([Readings(unmet={"temperatures_c.gpu": "off"})]).unmet


def test_nought_and_no_are_figures() -> None:
    readings = combine([Readings(cpu_percent=0.0, swap_used_bytes=0, clocks_held=False, throttle_events=0)])
    assert not readings.unmet.keys() & {"cpu_percent", "swap_used_bytes", "clocks_held", "throttle_events"}
    assert (readings.cpu_percent, readings.clocks_held) == (0.0, False)


def test_a_bug_is_not_taken_for_a_missing_sensor() -> None:
    unmet: dict[str, str] = {}
    assert attempt(unmet, ("a", "b"), int, "x") is None
    assert unmet.keys() == {"a", "b"}
    with pytest.raises(TypeError):
        attempt(unmet, "a", int, None)  # type: ignore[arg-type]
