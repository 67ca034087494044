"""When to try again, and when to give up; and what a crash means."""

import pytest

from agent.crashes import Crashes, while_loading
from agent.errors import WorkerCrashedError
from contract.manifest import RuntimeSpec


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


def test_a_segmentation_fault_as_the_delegate_loads_is_a_mismatch() -> None:
    crash = WorkerCrashedError("the worker crashed (SIGSEGV); it last printed: x", "try again")
    told = while_loading(crash, RuntimeSpec(key="tflite", file="m.tflite", options={"delegate": "edgetpu"}))
    assert told.message.startswith("runtime and delegate do not match: the worker crashed (SIGSEGV)")
    assert "libedgetpu1-std 16.0" in told.hint
    assert told.code == crash.code


@pytest.mark.parametrize(
    ("delegate", "who", "hanging"),
    [
        ("none", "TensorFlow Lite found", False),
        ("edgetpu", "TensorFlow Lite or the Edge TPU's library found", True),
    ],
)
def test_an_abort_as_tensorflow_lite_loads_is_a_check_of_its_own(delegate: str, who: str, hanging: bool) -> None:
    crash = WorkerCrashedError("the worker crashed (SIGABRT); it last printed: x", "try again")
    told = while_loading(crash, RuntimeSpec(key="tflite", file="m.tflite", options={"delegate": delegate}))
    assert told.message.startswith(who)
    assert crash.message in told.message
    assert "host convert" in told.hint
    assert ("power" in told.hint) == hanging


@pytest.mark.parametrize(
    ("key", "delegate", "how"),
    [
        ("tflite", "none", "the worker crashed (SIGSEGV)"),
        ("null", "edgetpu", "the worker crashed (SIGSEGV)"),
        ("ort", "none", "the worker crashed (SIGABRT)"),
        ("tflite", "edgetpu", "the worker was killed (SIGKILL): most likely the board ran out of memory"),
    ],
)
def test_any_other_crash_is_what_it_was(key: str, delegate: str, how: str) -> None:
    crash = WorkerCrashedError(how, "try again")
    assert while_loading(crash, RuntimeSpec(key=key, file="m.tflite", options={"delegate": delegate})) is crash
