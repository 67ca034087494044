import threading
import time

import pytest

from host.errors import BusyError, DoesNotRunError, UnansweredError, UnreachableError
from host.load import sending
from host.load.sending import CONNECTIONS, send

SECOND = 1_000_000_000


def nothing(*_: object) -> None: ...


def test_every_request_is_sent_once() -> None:
    asked: list[int] = []
    done: list[int] = []
    step = send(asked.append, 2000.0, SECOND, 300, done.append)
    assert sorted(asked) == list(range(300))
    assert (step.sent, step.requests, step.refused) == (300, 300, 0)
    assert (step.per_s, step.deadline_ns) == (2000.0, SECOND)
    assert all(step.latency_ns > 0)
    assert all(step.host_ns <= step.latency_ns)
    assert done[-1] == 300
    assert done == sorted(done)


def test_none_waits_for_the_one_before() -> None:
    """All are under way at once: in a closed loop the first would wait here for ever."""
    together = threading.Barrier(20, timeout=20)
    step = send(lambda _: together.wait(), 1000.0, SECOND, 20, nothing)
    assert step.refused == 0


def test_latency_is_counted_from_the_moment_at_which_a_request_was_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """On one connection, 10 ms each, due every ms: the last has waited for all before it, and says so."""
    monkeypatch.setattr(sending, "CONNECTIONS", 1)
    step = send(lambda _: time.sleep(0.01), 1000.0, SECOND, 10, nothing)
    assert all(latency_ns >= 10e6 * (number + 1) - 1e6 * number for number, latency_ns in enumerate(step.latency_ns))
    # That was not the host's own lateness: its one connection was taken.
    assert all(step.latency_ns - step.host_ns >= 10e6)


def test_none_is_sent_before_it_is_due() -> None:
    began = time.perf_counter_ns()
    sent: dict[int, int] = {}
    send(lambda number: sent.update({number: time.perf_counter_ns()}), 100.0, SECOND, 10, nothing)
    assert all(sent[number] - began >= sending.LEAD_NS + number * 10_000_000 for number in range(10))


class TestWhoseLimitItIs:
    """Above it every connection is taken, whoever has it."""

    @pytest.fixture(autouse=True)
    def a_machine_with_much_else_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It gives little of a core: what computes has more than this on any, what waits has less."""
        monkeypatch.setattr("host.load.step.BUSY_SHARE", 0.05)

    def test_the_hosts(self) -> None:
        """20 ms of its time for each, due every 5 ms."""

        def compute(_: int) -> None:
            until_s = time.thread_time() + 0.02
            while time.thread_time() < until_s:
                pass

        taken = send(compute, 200.0, SECOND // 200, 30, nothing)
        assert taken.missed == 30
        assert taken.host_was_late
        assert taken.fails_by_the_host

    def test_the_boards(self) -> None:
        """One after the other, 20 ms each."""
        board = threading.Lock()

        def wait(_: int) -> None:
            with board:
                time.sleep(0.02)

        taken = send(wait, 200.0, SECOND // 200, 30, nothing)
        assert taken.missed == 30
        assert not taken.fails_by_the_host


@pytest.mark.parametrize("error", [BusyError("full", "-"), UnansweredError("late", "-")])
def test_what_is_refused_or_not_answered_is_missed_and_the_others_go_on(error: Exception) -> None:
    def ask(number: int) -> None:
        if number % 3 == 0:
            raise error

    step = send(ask, 2000.0, 20 * SECOND, 30, nothing)
    assert (step.sent, step.refused, step.missed) == (30, 10, 10)
    assert list(step.answered) == [number % 3 != 0 for number in range(30)]
    assert len(step.samples_ns()) == 20


@pytest.mark.parametrize("error", [UnreachableError("gone", "-"), DoesNotRunError("crashed", "-"), ZeroDivisionError()])
def test_what_else_goes_wrong_ends_it(error: Exception) -> None:
    asked: list[int] = []

    def ask(number: int) -> None:
        asked.append(number)
        if number == 5:
            raise error

    before = threading.active_count()
    with pytest.raises(type(error)):
        send(ask, 20.0, SECOND, 10_000, nothing)
    assert len(asked) < 5 + CONNECTIONS
    assert threading.active_count() == before


def test_it_ends_as_soon_as_the_deadline_cannot_be_kept() -> None:
    def refuse(_: int) -> None:
        raise BusyError("full", "-")

    step = send(refuse, 500.0, SECOND, 10_000, nothing, until_it_fails=True)
    assert 100 < step.sent < 10_000
    assert not step.within
    assert not step.fails_by_the_host


def test_an_interrupt_ends_it_at_once() -> None:
    asked: list[int] = []

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        send(asked.append, 1.0, SECOND, 3600, interrupt)  # an hour
    assert len(asked) < 60
    assert threading.active_count() == before


def test_a_request_that_hangs_is_not_waited_for_when_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "GRACE_S", 0.01)
    answer = threading.Event()

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send(lambda _: answer.wait(), 100.0, SECOND, 5, interrupt)
    answer.set()
