"""How long to wait after a crash, and when to give up."""

from collections import deque

CRASHES_ALLOWED = 5
CRASH_WINDOW_S = 60.0
FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 10.0


class Crashes:
    """Of one model. Times are those of time.monotonic(), in seconds."""

    def __init__(self) -> None:
        self._at: deque[float] = deque(maxlen=CRASHES_ALLOWED)
        self._in_a_row = 0

    def add(self, at: float, ready_since: float | None) -> None:
        """One more; `ready_since` None where it died while it was loaded again."""
        if ready_since is not None and at - ready_since >= CRASH_WINDOW_S:
            self._in_a_row = 0
        self._in_a_row += 1
        self._at.append(at)

    @property
    def are_too_many(self) -> bool:
        """Whether the last CRASHES_ALLOWED came within CRASH_WINDOW_S."""
        return len(self._at) == CRASHES_ALLOWED and self._at[-1] - self._at[0] < CRASH_WINDOW_S

    @property
    def backoff_s(self) -> float:
        """Doubles with each crash that no quiet CRASH_WINDOW_S came before: slow loads may never be too many."""
        return min(FIRST_BACKOFF_S * 2.0 ** (self._in_a_row - 1), LONGEST_BACKOFF_S)
