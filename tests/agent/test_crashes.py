"""When to try again, and when to give up."""

import pytest

from agent.crashes import Crashes


def test_the_fifth_crash_within_a_minute_is_one_too_many() -> None:
    crashes = Crashes()
    for at in (0.0, 10.0, 20.0, 30.0):
        crashes.add(at, None)
        assert not crashes.are_too_many
    crashes.add(59.9, None)
    assert crashes.are_too_many


def test_crashes_that_are_spread_out_are_never_too_many() -> None:
    crashes = Crashes()
    for number in range(50):
        crashes.add(number * 15.0, None)
        assert not crashes.are_too_many


def test_backoff_doubles_up_to_ten_seconds() -> None:
    crashes = Crashes()
    waits = []
    for number in range(10):
        crashes.add(number * 100.0, None)
        waits.append(crashes.backoff_s)
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10])


def test_a_quiet_minute_starts_backoff_anew_and_a_shorter_time_does_not() -> None:
    crashes = Crashes()
    crashes.add(0.0, None)
    crashes.add(59.0, ready_since=1.0)
    assert crashes.backoff_s == pytest.approx(0.2)
    crashes.add(119.0, ready_since=59.0)
    assert crashes.backoff_s == pytest.approx(0.1)
