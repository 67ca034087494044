import os
import signal
import subprocess
import sys
import threading

import pytest

from host import interrupts
from host.interrupts import Terminated

NUMBERS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])


@NUMBERS
def test_a_signal_raises_within_and_not_after(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Terminated, match=number.name) as raised, interrupts.listening():
        os.kill(os.getpid(), number)
    assert raised.value.number == number
    assert signal.getsignal(number) is before


def test_it_is_a_kind_of_keyboard_interrupt() -> None:
    assert issubclass(Terminated, KeyboardInterrupt)


def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupts.listening():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_what_comes_while_held_back_is_raised_at_the_end(number: signal.Signals, kind: type[BaseException]) -> None:
    reached = []

    def work() -> None:
        with interrupts.held_back():
            os.kill(os.getpid(), number)
            reached.append("the end of the block")
        reached.append("what is after it")

    with pytest.raises(kind), interrupts.listening():
        work()
    assert reached == ["the end of the block"]


def test_nothing_came_while_held_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interrupts.held_back():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_while_held_back_passes() -> None:
    with pytest.raises(ValueError, match="odd"), interrupts.held_back():
        raise ValueError("odd")


def test_in_another_thread_there_is_nothing_to_hold_back() -> None:
    seen: list[object] = []

    def work() -> None:
        with interrupts.held_back():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]


def test_a_signal_that_nobody_handles_still_ends_the_process() -> None:
    script = (
        "import os, signal\nfrom host import interrupts\n"
        "with interrupts.held_back():\n    os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert done.returncode == -signal.SIGTERM
