"""Processes that are somebody else's children: whether they are still there."""

import time
from collections.abc import Iterable
from pathlib import Path


def is_running(pid: int) -> bool:
    """Dead ones are not, also those that whoever adopted them has not looked at yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def are_gone(pids: Iterable[int], within_s: float) -> bool:
    """Whether none is running before `within_s` is over."""
    left, give_up_at = list(pids), time.monotonic() + within_s
    while left := [pid for pid in left if is_running(pid)]:
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.005)
    return True
