"""What came of requests at one rate: who missed the deadline, and whose fault that was. Pure."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contract.results import Load
from host.nanoseconds import NS_PER_MS
from host.statistics import Samples, runs_needed

LATE_SHARE = 0.1  # of the deadline: a request that the host sent later than this says something of the host
# Of one core, all that the threads of one interpreter have. In a host that is busier, a reply waits for the others for
# longer than its own takes, as in any queue: share / (1 - share) times that. Of hosts that could send no faster 0.67 to
# 0.94 was measured; beside a board that is the limit, with 20 ms for each, 0.04 to 0.16.
BUSY_SHARE = 0.5


def misses_allowed(requests: int) -> int:
    """How many may miss the deadline while p99 is within it: those above the rank of p99 (host/statistics)."""
    return requests - math.ceil(requests * 99 / 100)


@dataclass(frozen=True)
class Step:
    """`requests` were to be sent at a rate; the arrays, of shape (sent,), are of those that were, in that order.

    answered    bool: neither refused nor left without a reply
    latency_ns  int64, from the moment at which it was due to the end of the reply, whatever that was
    host_ns     int64, how much of that is the host's own: it had a connection free, and sent the request so late

    host_cpu_share  of one core: what the host itself computed to send them and to read their replies, from the moment
                    at which the first was due until the last had ended. That no connection was free tells nothing: the
                    host may have been the one they all waited for
    """

    per_s: float
    deadline_ns: int
    requests: int
    answered: npt.NDArray[np.bool_]
    latency_ns: Samples
    host_ns: Samples
    host_cpu_share: float

    @property
    def sent(self) -> int:
        return len(self.answered)

    @property
    def missed(self) -> int:
        return int(np.count_nonzero(~self.answered | (self.latency_ns > self.deadline_ns)))

    @property
    def refused(self) -> int:
        return int(np.count_nonzero(~self.answered))

    @property
    def within(self) -> bool:
        """All were sent, and p99 is within the deadline, a request without an answer being later than any other."""
        return self.sent == self.requests and self.missed <= misses_allowed(self.requests)

    @property
    def host_was_late(self) -> bool:
        """The host could not keep up: it sent more than 1 % of the requests late, or was busy for over BUSY_SHARE."""
        late = np.count_nonzero(self.host_ns > LATE_SHARE * self.deadline_ns)
        return self._host_was_busy or int(late) > misses_allowed(self.sent)

    @property
    def fails_by_the_host(self) -> bool:
        """It is not within the deadline, and would be if the host had sent each request at its moment; or may be, where
        the host was busy for over BUSY_SHARE. What the board has refused is its own, whatever the host did.
        """
        allowed = misses_allowed(self.sent)
        if self.within or self.refused > allowed:
            return False
        its_own = ~self.answered | (self.latency_ns - self.host_ns > self.deadline_ns)
        return self._host_was_busy or int(np.count_nonzero(its_own)) <= allowed

    @property
    def _host_was_busy(self) -> bool:
        return self.host_cpu_share > BUSY_SHARE

    def samples_ns(self) -> Samples:
        """Latency of the answered ones: int64 of shape (n,)."""
        return self.latency_ns[self.answered]

    def p99_ms(self) -> float | None:
        """Of all that were sent, one without an answer being later than any other: None where it is one of these, or
        where they are too few.
        """
        if self.sent < runs_needed(99):
            return None
        latest_ns = np.sort(np.where(self.answered, self.latency_ns, math.inf))[-1 - misses_allowed(self.sent)]
        return float(latest_ns) / NS_PER_MS if math.isfinite(latest_ns) else None

    def load(self, highest_per_s: float | None = None) -> Load:
        """Its part of a row."""
        return Load(
            offered_per_s=self.per_s,
            deadline_ms=self.deadline_ns / NS_PER_MS,
            missed=self.missed,
            missed_share=self.missed / self.sent,
            highest_parts_per_minute=None if highest_per_s is None else 60 * highest_per_s,
        )
