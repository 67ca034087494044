"""The highest rate at which a board keeps a deadline, each step told as it ends."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from host.errors import InputError
from host.load.conveyor import MOST_PER_S, Conveyor
from host.load.search import MOST_TIMES_EXPECTED, START_SHARE, TRIES, search, seconds_expected
from host.load.sending import Ask, send
from host.load.step import Step
from host.progress import Progress
from host.report.load import STEPS_HEAD, in_words, rate_in_words, step_line
from host.statistics import runs_needed


@dataclass(frozen=True)
class Found:
    """`step`: of the highest rate that kept the deadline; `kept` False: none did, it is the lowest one tried.

    `limited_by_host`: the lowest rate above it was not kept because this host was late, or busy.
    """

    step: Step
    kept: bool
    limited_by_host: bool


def check_runs(runs: int) -> None:
    """InputError where p99 of so many, the first not counted, cannot be told."""
    needed = runs_needed(99) + 1
    if runs < needed:
        raise InputError(
            f"--rate max goes by p99, and {runs} runs are too few to tell it: it needs {needed}, the first not counted",
            f"--runs {needed}, or more",
            "too_few_runs",
        )


def find(ask: Ask, conveyor: Conveyor, requests: int, in_turn_per_s: float, board: str, progress: Progress) -> Found:
    """Looks for it, with so many requests at each rate. What `ask` raises: as `send`.

    `in_turn_per_s`: how many the board answers where each waits for the one before.
    """
    start = START_SHARE * in_turn_per_s
    expected_s = seconds_expected(start, requests, MOST_PER_S)
    most_s = MOST_TIMES_EXPECTED * expected_s
    progress.note(
        f"looking for the highest rate, {requests:,} requests at each: about {in_words(expected_s)}, "
        f"{in_words(most_s)} at most; nothing is stored until it is over"
    )
    progress.note(STEPS_HEAD)
    steps: list[Step] = []
    give_up_at = time.monotonic() + most_s

    def holds(per_s: float) -> bool:
        progress.stage(f"{board}: {rate_in_words(per_s)}")
        step = send(ask, per_s, conveyor.deadline_ns(per_s), requests, told(progress, requests), until_it_fails=True)
        progress.note(step_line(step))
        steps.append(step)
        return step.within

    def may_try(per_s: float) -> bool:
        in_time = time.monotonic() + TRIES * requests / per_s < give_up_at
        if not in_time:
            progress.note(f"not tried: {rate_in_words(per_s)}, which would take it beyond {in_words(most_s)}")
        return in_time

    found = found_among(steps, search(start, holds, may_try, MOST_PER_S))
    if found.limited_by_host:
        progress.note("this host could not send at a higher rate: the board may take more")
    return found


def told(progress: Progress, requests: int) -> Callable[[int], None]:
    """The run that comes first is not among `requests`, and is among the runs."""
    return lambda done: progress.advance(done + 1, requests + 1)


def found_among(steps: Sequence[Step], highest: float | None) -> Found:
    """`steps` in the order they were taken, some of them at the rate that was kept, if one was."""
    above = [step for step in steps if highest is None or step.per_s > highest]
    lowest = min(above, key=lambda step: step.per_s, default=None)
    limited_by_host = lowest is not None and lowest.fails_by_the_host
    kept = [step for step in steps if step.within and step.per_s == highest]
    if kept:
        return Found(kept[-1], True, limited_by_host)
    assert lowest is not None
    return Found(lowest, False, limited_by_host)
