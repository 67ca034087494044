from dataclasses import replace
from typing import Any

import pytest

from agent.telemetry import Observation, OtherLoad, judge
from contract.results import Conditions

QUIET = OtherLoad(0.02)
MIB = 1 << 20


def observation(*, clocks: dict[str, float] | None = None, swap: int | None = 0, **more: Any) -> Observation:
    conditions = Conditions(
        power_mode="performance",
        temperatures_c={"cpu": 95.0},
        clocks_mhz={"cpu0": 1400.0, "cpu1": 1400.0} if clocks is None else clocks,
        swap_used_bytes=swap,
    )
    return replace(Observation(conditions, clocks_held=True, throttle_events=3, unmet={}), **more)


def test_a_quiet_board_has_no_flag_and_no_reason() -> None:
    verdict = judge(observation(), observation(), QUIET)
    assert (verdict.flags, verdict.unmet) == ((), {})


def test_all_at_once() -> None:
    verdict = judge(
        observation(), observation(clocks={"cpu0": 900, "cpu1": 900}, swap=5 * MIB, throttle_events=4), OtherLoad(1.5)
    )
    assert verdict.flags == ("throttled", "clocks_moved", "swapped", "other_load")


@pytest.mark.parametrize(("grown", "flags"), [(MIB, ()), (MIB + 4096, ("swapped",)), (-50 * MIB, ())])
def test_swapped_is_more_than_a_mebibyte_more(grown: int, flags: tuple[str, ...]) -> None:
    assert judge(observation(swap=60 * MIB), observation(swap=60 * MIB + grown), QUIET).flags == flags


@pytest.mark.parametrize(
    ("clocks", "flags"),
    [
        ({"cpu0": 1400.0, "cpu1": 400.0}, ()),  # one CPU idles lower: the highest is where it was
        ({"cpu0": 1340.0, "cpu1": 1340.0}, ()),
        ({"cpu0": 1320.0, "cpu1": 1320.0}, ("clocks_moved",)),
        ({"cpu0": 1400.0, "cpu1": 1480.0}, ("clocks_moved",)),
    ],
)
def test_held_clocks_move_when_their_highest_is_off_by_a_twentieth(
    clocks: dict[str, float], flags: tuple[str, ...]
) -> None:
    assert judge(observation(), observation(clocks=clocks), QUIET).flags == flags


def test_each_group_of_clocks_is_judged_for_itself() -> None:
    before = observation(clocks={"cpu0": 1400.0, "gpu": 921.6})
    assert judge(before, observation(clocks={"cpu0": 1400.0, "gpu": 614.4}), QUIET).flags == ("clocks_moved",)


def test_clocks_that_follow_the_load_are_not_judged_and_it_says_so() -> None:
    before = observation(clocks={"cpu0": 400.0}, clocks_held=False)
    verdict = judge(before, observation(clocks={"cpu0": 4200.0}, clocks_held=False), QUIET)
    assert verdict.flags == ()
    assert "follow the load" in verdict.unmet["flags.clocks_moved"]


@pytest.mark.parametrize("clocks", [{}, {"gpu": 921.6}])
def test_clocks_that_cannot_be_compared_are_not_judged(clocks: dict[str, float]) -> None:
    verdict = judge(observation(), observation(clocks=clocks), QUIET)
    assert verdict.flags == ()
    assert "flags.clocks_moved" in verdict.unmet


@pytest.mark.parametrize(("before", "after"), [(("gpu-throttle-alert",), ()), ((), ("cpu-throttle-alert",))])
def test_a_cooling_device_at_work_is_evidence(before: tuple[str, ...], after: tuple[str, ...]) -> None:
    """Also where nothing counts."""
    uncounted = observation(throttle_events=None, unmet={"throttle_events": "no counters"})
    for seen in (observation(), uncounted):
        verdict = judge(replace(seen, throttled_by=before), replace(seen, throttled_by=after), QUIET)
        assert (verdict.flags, verdict.unmet) == (("throttled",), {})


BLIND = {"throttled_by": None, "unmet": {"throttled_by": "no cooling device"}}


def test_cooling_devices_that_cannot_be_read_leave_it_to_a_counter_of_heat() -> None:
    """Intel's."""
    blind = observation(heat_is_counted=True, **BLIND)
    quiet, grown = judge(blind, blind, QUIET), judge(blind, replace(blind, throttle_events=4), QUIET)
    assert (quiet.flags, quiet.unmet) == ((), {})
    assert (grown.flags, grown.unmet) == (("throttled",), {})


@pytest.mark.parametrize("moment", ["before", "after", "both"])
def test_where_current_alone_is_counted_throttling_by_heat_is_then_not_known(moment: str) -> None:
    """A Jetson's."""
    before = observation(**({} if moment == "after" else BLIND))
    after = observation(**({} if moment == "before" else BLIND))
    quiet, grown = judge(before, after, QUIET), judge(before, replace(after, throttle_events=4), QUIET)
    assert quiet.flags == ()
    assert quiet.unmet == {"flags.throttled": "current alone is counted here, and of heat: no cooling device"}
    assert (grown.flags, grown.unmet) == (("throttled",), {})


def moded(mode: str | None, *, limits: dict[str, float] | None = None, held: bool | None = False) -> Observation:
    """A board whose clocks follow the load, in a mode."""
    seen = observation(
        clock_limits_mhz=limits or {}, clocks_held=held, unmet={} if held is not None else {"clocks_held": "no GPU"}
    )
    return replace(seen, conditions=seen.conditions.model_copy(update={"power_mode": mode}))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (moded("15W"), moded("25W")),
        (moded("15W", held=None), moded("25W", held=None)),
        (moded("15W", limits={"gpu": 918}), moded("15W", limits={"gpu": 612})),
        (moded("15W", limits={"cpu0": 1510, "gpu": 612}), moded("15W", limits={"cpu0": 1510, "gpu": 918})),
        (moded("15W", held=True), moded("15W", held=False)),
        (moded("15W", held=False), moded("15W", held=True)),
    ],
    ids=["mode", "mode of clocks unknown", "cap lower", "cap higher", "let go", "caught"],
)
def test_a_setting_that_changed_is_told_though_clocks_follow_the_load(before: Observation, after: Observation) -> None:
    verdict = judge(before, after, QUIET)
    assert (verdict.flags, verdict.unmet) == (("clocks_moved",), {})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (moded("15W", limits={"gpu": 918}), moded("15W")),
        (moded(None, limits={"gpu": 918}), moded("15W", limits={"gpu": 918})),
        (moded("15W"), moded(None, limits={"cpu0": 1510})),
    ],
    ids=["limit after unknown", "mode before unknown", "mode after unknown"],
)
def test_a_setting_that_is_known_once_is_not_compared(before: Observation, after: Observation) -> None:
    verdict = judge(before, after, QUIET)
    assert verdict.flags == ()
    assert "follow the load" in verdict.unmet["flags.clocks_moved"]


def test_heat_alone_is_no_evidence_of_throttling() -> None:
    unseen = observation(throttle_events=None, unmet={"throttle_events": "no counters"})
    verdict = judge(unseen, unseen, QUIET)
    assert "throttled" not in verdict.flags
    assert verdict.unmet["flags.throttled"] == "no counters"


def test_what_one_observation_lacks_is_not_judged() -> None:
    blind = observation(
        swap=None,
        clocks_held=None,
        throttle_events=None,
        unmet={"swap_used_bytes": "no meminfo", "clocks_held": "no cpufreq", "throttle_events": "no counters"},
    )
    for before, after in ((observation(), blind), (blind, observation())):
        assert judge(before, after, QUIET).unmet == {
            "flags.throttled": "no counters",
            "flags.clocks_moved": "no cpufreq",
            "flags.swapped": "no meminfo",
        }


@pytest.mark.parametrize(("cores", "flags"), [(0.1, ()), (0.11, ("other_load",))])
def test_other_load_is_more_than_a_tenth_of_a_core(cores: float, flags: tuple[str, ...]) -> None:
    assert judge(observation(), observation(), OtherLoad(cores)).flags == flags


def test_a_load_that_was_not_told_is_not_judged() -> None:
    verdict = judge(observation(), observation(), OtherLoad(None, "0.20 s are too short"))
    assert verdict.flags == ()
    assert verdict.unmet == {"flags.other_load": "0.20 s are too short"}
