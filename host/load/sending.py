"""Requests, each at the moment at which it is due, over several connections."""

import threading
import time
from collections.abc import Callable

import numpy as np

from host.errors import BusyError, UnansweredError
from host.load.step import Step, misses_allowed
from host.nanoseconds import NS_PER_S

CONNECTIONS = 64  # more than most boards' queues have places: what a board has no place for, it refuses at once
LEAD_NS = 100_000_000  # before the first is due, so that every thread is there by then
TELL_EVERY_S = 0.25
GRACE_S = 2.0  # for requests under way when it is broken off

Ask = Callable[[int], object]
"""Sends the request of this number and waits for its reply. Many threads call it at once."""


def send(
    ask: Ask,
    per_s: float,
    deadline_ns: int,
    requests: int,
    on_done: Callable[[int], None],
    *,
    until_it_fails: bool = False,
) -> Step:
    """Sends so many (at least one), and comes back when the last has its reply. `on_done` is told how many have theirs.

    BusyError and UnansweredError of `ask` are misses; whatever else it raises ends it, and is raised. `until_it_fails`:
    it ends as soon as p99 cannot be within the deadline any more, had this host sent each at its moment.
    """
    sender = _Sender(ask, per_s, deadline_ns, requests, misses_allowed(requests) if until_it_fails else requests)
    threads = [threading.Thread(target=sender.work, daemon=True) for _ in range(min(CONNECTIONS, requests))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(TELL_EVERY_S)
                on_done(sender.done)
                sender.check()
        sender.check()
    except BaseException:
        sender.stopped.set()
        give_up_at = time.monotonic() + GRACE_S
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(0.0, give_up_at - time.monotonic()))
        raise
    return sender.step()


class _Sender:
    """What the threads share. Each takes the next request, waits until it is due, sends it and waits for its reply."""

    def __init__(self, ask: Ask, per_s: float, deadline_ns: int, requests: int, most_missed: int) -> None:
        self.done = 0
        self.stopped = threading.Event()
        self._ask = ask
        self._per_s = per_s
        self._deadline_ns = deadline_ns
        self._requests = requests
        self._most_missed = most_missed
        self._missed = 0
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._left = iter(range(requests))
        self._ended = np.zeros(requests, np.bool_)
        self._answered = np.zeros(requests, np.bool_)
        self._latency_ns = np.zeros(requests, np.int64)
        self._host_ns = np.zeros(requests, np.int64)
        self._cpu_ns = 0
        self._first_due_ns = self._ended_ns = time.perf_counter_ns() + LEAD_NS

    def work(self) -> None:
        try:
            while (number := self._next()) is not None:
                self._send(number)
        except BaseException as error:  # it is raised by check(), as a future would: the thread has nobody to tell
            self._error = self._error or error
            self.stopped.set()

    def check(self) -> None:
        """Raises what a request has raised."""
        if self._error is not None:
            raise self._error

    def step(self) -> Step:
        ended = self._ended
        return Step(
            self._per_s,
            self._deadline_ns,
            self._requests,
            self._answered[ended],
            self._latency_ns[ended],
            self._host_ns[ended],
            self._cpu_ns / (self._ended_ns - self._first_due_ns),
        )

    def _next(self) -> int | None:
        with self._lock:
            return None if self.stopped.is_set() else next(self._left, None)

    def _send(self, number: int) -> None:
        due_ns = self._first_due_ns + round(number * NS_PER_S / self._per_s)
        free_ns = time.perf_counter_ns()  # before it, this connection was taken: by the board, or by a busy host
        if self.stopped.wait(max(0, due_ns - free_ns) / NS_PER_S):
            return
        self._host_ns[number] = time.perf_counter_ns() - max(due_ns, free_ns)
        cpu_ns = time.thread_time_ns()
        try:
            self._ask(number)
            self._answered[number] = True
        except (BusyError, UnansweredError):
            pass
        self._latency_ns[number] = time.perf_counter_ns() - due_ns
        self._end(number, time.thread_time_ns() - cpu_ns)

    def _end(self, number: int, cpu_ns: int) -> None:
        its_own_ns = self._latency_ns[number] - self._host_ns[number]
        with self._lock:
            self._ended[number] = True
            self.done += 1
            self._cpu_ns += cpu_ns
            self._ended_ns = time.perf_counter_ns()
            self._missed += bool(not self._answered[number] or its_own_ns > self._deadline_ns)
            if self._missed > self._most_missed:
                self.stopped.set()
