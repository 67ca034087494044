import itertools
import threading
from collections.abc import Callable

import pytest

from agent.telemetry.power_samples import LEAST_SAMPLES, PowerSamples


def after(count: int, read_mw: Callable[[], float]) -> PowerSamples:
    """Stopped once it has been read so often; a read that comes later is held until then."""
    enough, taken = threading.Event(), itertools.count(1)

    def counted() -> float:
        if next(taken) >= count:
            enough.set()
        return read_mw()

    samples = PowerSamples(counted, interval_s=0.001)
    with samples:
        assert enough.wait(5)
    return samples


def test_the_mean_of_what_was_read() -> None:
    read = itertools.chain([1000.0, 3000.0] * (LEAST_SAMPLES // 2), itertools.repeat(2000.0))
    samples = after(LEAST_SAMPLES, lambda: next(read))
    assert (samples.mean_mw, samples.unmet) == (pytest.approx(2000.0), None)


def test_too_few_samples_tell_nothing() -> None:
    with PowerSamples(lambda: 1000.0, interval_s=3600) as samples:
        pass
    assert samples.mean_mw is None
    assert samples.unmet == "too short to tell the power: 0 samples at 3600 s, and 10 are needed"


@pytest.mark.parametrize("error", [OSError("Resource temporarily unavailable"), ValueError("not a number: ''")])
def test_a_rail_that_goes_dark_is_a_reason_and_no_mean_of_the_rest(error: Exception) -> None:
    read = itertools.chain([1000.0] * LEAST_SAMPLES)

    def read_mw() -> float:
        try:
            return next(read)
        except StopIteration:
            raise error from None

    samples = after(LEAST_SAMPLES + 1, read_mw)
    assert (samples.mean_mw, samples.unmet) == (None, str(error))


def test_it_may_be_started_again_and_again_or_never() -> None:
    samples = PowerSamples(lambda: 1.0)
    for _ in range(2):
        samples.stop()
    assert "0 samples" in (samples.unmet or "")
    samples = PowerSamples(lambda: 1.0)
    for _ in range(2):
        samples.start()
    samples.stop()


def test_nothing_is_read_once_it_is_stopped() -> None:
    samples = after(1, lambda: 1.0)
    assert not [thread for thread in threading.enumerate() if thread.name == "power-samples"]
    samples.stop()
