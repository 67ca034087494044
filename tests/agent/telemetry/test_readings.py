import pytest

from agent.telemetry.readings import Readings, attempt, combine
from contract.api import NOT_FOR_THIS_BOARD


def test_the_first_source_that_knows_gives_the_figure() -> None:
    both = combine([Readings(power_mode="MAXN", clocks_mhz={"gpu": 921.6}), Readings(power_mode="schedutil")])
    assert both.power_mode == "MAXN"
    assert both.clocks_mhz == {"gpu": 921.6}


def test_tables_are_joined_and_the_first_source_wins() -> None:
    both = combine([Readings(clocks_mhz={"gpu": 921, "cpu0": 1}), Readings(clocks_mhz={"cpu0": 2, "cpu1": 3})])
    assert both.clocks_mhz == {"gpu": 921, "cpu0": 1, "cpu1": 3}
    both = combine(
        [
            Readings(power_mw={"VDD_IN": 5000}, clock_limits_mhz={"gpu": 918}),
            Readings(power_mw={"VDD_IN": 1, "VDD_SOC": 1500}, clock_limits_mhz={"cpu0": 1510}),
        ]
    )
    assert both.power_mw == {"VDD_IN": 5000, "VDD_SOC": 1500}
    assert both.clock_limits_mhz == {"gpu": 918, "cpu0": 1510}


def test_what_is_counted_is_as_the_source_of_the_counter_has_it() -> None:
    current, heat = Readings(throttle_events=3), Readings(throttle_events=4, heat_is_counted=True)
    nothing = Readings(heat_is_counted=True, unmet={"throttle_events": "no counter"})
    assert [combine(parts).heat_is_counted for parts in ([current, heat], [heat, current])] == [False, True]
    assert [combine(parts).heat_is_counted for parts in ([nothing, current], [nothing], [])] == [False] * 3


def test_a_reason_goes_once_another_source_knows() -> None:
    blind = Readings(unmet={"power_mode": "no nvpmodel", "clocks_mhz": "none", "temperatures_c.gpu": "off"})
    both = combine([blind, Readings(power_mode="schedutil", clocks_mhz={"cpu0": 1}, temperatures_c={"gpu": 40})])
    assert not both.unmet.keys() & {"power_mode", "clocks_mhz", "temperatures_c.gpu", "temperatures_c"}


def test_of_two_reasons_the_first_source_s_stays() -> None:
    both = combine([Readings(unmet={"power_mode": "first"}), Readings(unmet={"power_mode": "second"})])
    assert both.unmet["power_mode"] == "first"


def test_a_figure_of_no_source_has_a_reason_too() -> None:
    nothing = combine([])
    assert set(nothing.unmet.values()) == {NOT_FOR_THIS_BOARD}
    assert {"cpu_percent", "temperatures_c", "power_mode", "swap_used_bytes"} <= nothing.unmet.keys()


def test_a_table_all_of_whose_sensors_are_off_is_not_said_to_have_no_source() -> None:
    assert "temperatures_c" not in combine([Readings(unmet={"temperatures_c.gpu": "off"})]).unmet


@pytest.mark.parametrize(
    ("gpu", "cpu", "held"),
    [
        (True, True, True),
        (True, False, False),
        (False, True, False),
        (None, True, None),  # the GPU's could not be read, and may be another
        (False, None, False),  # whatever the CPUs' are
        (None, None, None),
    ],
)
def test_clocks_are_held_where_all_are(gpu: bool | None, cpu: bool | None, held: bool | None) -> None:
    parts = [
        Readings(clocks_held=each, unmet={"clocks_held": f"no {name}"} if each is None else {})
        for name, each in (("GPU", gpu), ("cpufreq", cpu))
    ]
    both = combine(parts)
    assert both.clocks_held is held
    assert both.unmet.get("clocks_held") == (("no GPU" if gpu is None else "no cpufreq") if held is None else None)


def test_a_source_that_has_no_clocks_leaves_none_open() -> None:
    assert combine([Readings(cpu_percent=3.0), Readings(clocks_held=True)]).clocks_held is True


def test_nought_no_and_nobody_are_figures() -> None:
    readings = combine(
        [Readings(cpu_percent=0.0, swap_used_bytes=0, clocks_held=False, throttle_events=0, throttled_by=())]
    )
    assert not readings.unmet.keys() & {
        "cpu_percent",
        "swap_used_bytes",
        "clocks_held",
        "throttle_events",
        "throttled_by",
    }
    assert (readings.cpu_percent, readings.clocks_held) == (0.0, False)


def test_a_bug_is_not_taken_for_a_missing_sensor() -> None:
    unmet: dict[str, str] = {}
    assert attempt(unmet, ("a", "b"), int, "x") is None
    assert unmet.keys() == {"a", "b"}
    with pytest.raises(TypeError):
        attempt(unmet, "a", int, None)  # type: ignore[arg-type]  # that is the bug
