from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from told import Told

from host.errors import InputError, UnreachableError
from host.load import finding
from host.load.conveyor import Conveyor
from host.load.finding import check_runs, find
from host.load.search import CLOSE_ENOUGH
from host.load.step import Step

MS = 1_000_000
IN_TURN_PER_S = 40.0
Send = Callable[..., Step]


def board_of(limit_per_s: float, *, late_ms: int = 0, cpu_share: float = 0.0) -> Send:
    """Stands in for `send`: each request takes 1 ms up to a rate, and above it longer than its deadline; the host sends
    it so late then, and is so busy.
    """

    def send(
        _ask: object, per_s: float, deadline_ns: int, requests: int, on_done: Any, *, until_it_fails: bool
    ) -> Step:
        assert until_it_fails
        on_done(requests)
        slow = per_s > limit_per_s
        latency_ns = np.full(requests, deadline_ns + MS if slow else MS)
        host_ns = np.full(requests, late_ms * MS if slow else 0)
        share = cpu_share if slow else 0.0
        return Step(per_s, deadline_ns, requests, np.ones(requests, bool), latency_ns, host_ns, share)

    return send


def nothing(_: int) -> None: ...


def test_runs_that_say_nothing_of_p99_are_refused() -> None:
    check_runs(460)
    with pytest.raises(
        InputError, match="459 runs are too few to tell it: it needs 460, the first not counted"
    ) as raised:
        check_runs(459)
    assert raised.value.code == "too_few_runs"
    assert raised.value.hint == "--runs 460, or more"


def test_the_highest_rate_and_its_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "send", board_of(33.0))
    told = Told()
    found = find(nothing, Conveyor(None, 0.05), 459, IN_TURN_PER_S, "line-3", told)
    assert found.kept
    assert found.step.within
    assert found.step.per_s <= 33.0 < found.step.per_s * CLOSE_ENOUGH
    assert not found.limited_by_host
    assert told.done[-1] == (460, 460)
    assert "line-3: 20/s (1,200 parts per minute)" in told.stages


def test_its_time_and_every_step_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "send", board_of(33.0))
    told = Told()
    find(nothing, Conveyor(), 459, IN_TURN_PER_S, "line-3", told)
    assert told.notes[0] == (
        "looking for the highest rate, 459 requests at each: about 2 min, 6 min at most; nothing is stored until it is "
        "over"
    )
    assert told.notes[1:3] == [
        "  Parts/min  Requests/s Deadline ms    p99 ms         Missed",
        "    1,200.0          20       50.00     1.000       0 of 459  kept",
    ]
    assert "    2,400.0          40       25.00     26.00     459 of 459  not kept" in told.notes


def test_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "send", board_of(0.0))
    told = Told()
    found = find(nothing, Conveyor(), 459, IN_TURN_PER_S, "line-3", told)
    assert not found.kept
    assert not found.step.within
    assert found.step.per_s == 2.5
    assert told.notes[-1] == "not tried: 1.25/s (75 parts per minute), which would take it beyond 6 min"


@pytest.mark.parametrize("host", [{"late_ms": 50}, {"cpu_share": 0.9}])
def test_a_host_that_is_slower_than_the_board_says_so(host: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "send", board_of(33.0, **host))
    told = Told()
    found = find(nothing, Conveyor(None, 0.05), 459, IN_TURN_PER_S, "line-3", told)
    assert found.kept
    assert found.limited_by_host
    assert told.notes[-1] == "this host could not send at a higher rate: the board may take more"
    assert any(note.endswith("not kept, by this host") for note in told.notes)


def test_it_ends_when_the_time_it_told_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = iter(range(0, 10**6, 100))  # each look at the clock is 100 s later
    monkeypatch.setattr(finding.time, "monotonic", lambda: next(now_s))
    monkeypatch.setattr(finding, "send", board_of(33.0))
    told = Told()
    found = find(nothing, Conveyor(), 459, IN_TURN_PER_S, "line-3", told)
    assert found.kept
    assert found.step.per_s < 33.0 / CLOSE_ENOUGH
    assert told.notes[-1].startswith("not tried: ")


def test_a_board_that_goes_away_ends_it() -> None:
    def gone(_: int) -> None:
        raise UnreachableError("gone", "-")

    with pytest.raises(UnreachableError):
        find(gone, Conveyor(), 459, IN_TURN_PER_S, "line-3", Told())
