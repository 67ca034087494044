"""Ctrl-C, SIGTERM and SIGHUP: each ends a command by an exception, which puts things back on its way out."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_TERMINATING = (signal.SIGTERM, signal.SIGHUP)


class Terminated(KeyboardInterrupt):
    """SIGTERM, or SIGHUP as the terminal was closed: the command ends as it does on Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def listening() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP raise Terminated; one that is ignored (nohup) stays ignored."""
    previous = {number: signal.getsignal(number) for number in _TERMINATING}
    for number, handler in previous.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _terminate)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def held_back() -> Iterator[None]:
    """Within, none of these signals interrupts; one that came does so at the end of the block.

    For the moment between asking a board for a piece of work and knowing its id: work whose id nobody knows could not
    be cancelled. Only the main thread is ever interrupted, so that elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    numbers = (signal.SIGINT, *_TERMINATING)
    previous = {number: handler for number in numbers if callable(handler := signal.getsignal(number))}
    for number in previous:
        signal.signal(number, remember)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def _terminate(number: int, _frame: FrameType | None) -> None:
    raise Terminated(number)
