"""Between the caller's arrays and the device: straight, or by way of pinned memory, whichever is faster here."""

import time
from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

import numpy

from .cuda import Cuda

_TRIES = 20


class Move(NamedTuple):
    """One tensor's way. `array`: the caller's, as uint8 [size]; `staged`: pinned, of that size, or None."""

    address: int
    array: Any
    staged: Optional[Any]

    def begin_in(self, cuda: Cuda, stream: int) -> None:
        if self.staged is None:
            cuda.copy_in(self.address, self.array, stream)
        else:
            self.staged[...] = self.array
            cuda.copy_in(self.address, self.staged, stream)

    def begin_out(self, cuda: Cuda, stream: int) -> None:
        cuda.copy_out(self.array if self.staged is None else self.staged, self.address, stream)

    def end_out(self) -> None:
        """After the stream was waited for."""
        if self.staged is not None:
            self.array[...] = self.staged


class Choice(NamedTuple):
    """Which way was faster: the median seconds of all copies of a run, by both."""

    pinned_s: float
    pageable_s: float

    @property
    def is_pinned(self) -> bool:
        return self.pinned_s < self.pageable_s

    def __str__(self) -> str:
        return "%s (pinned %.3f ms, pageable %.3f ms for the copies of a run)" % (
            "pinned" if self.is_pinned else "pageable",
            self.pinned_s * 1e3,
            self.pageable_s * 1e3,
        )


def move(address: int, array: Any, staged: Optional[Any]) -> Move:
    """Of a C-contiguous array of any type."""
    return Move(address, array.reshape(-1).view(numpy.uint8), staged)


def choose(cuda: Cuda, stream: int, inputs: Sequence[Tuple[int, Any]], outputs: Sequence[Tuple[int, Any]]) -> Choice:
    """Tries both for these pairs of a device's address and pinned memory. Raises CudaError.

    Pinned memory is what CUDA copies from best; but on a board that is not I/O-coherent (Jetson Nano) the CPU does not
    cache it, and writing and reading it may cost more than the driver's own staging saves.
    """
    # Written pages: what was never written is one page of zeros, read from the cache.
    there = [Move(address, numpy.ones(len(pinned), numpy.uint8), pinned) for address, pinned in inputs]
    back = [Move(address, numpy.ones(len(pinned), numpy.uint8), pinned) for address, pinned in outputs]

    def straight(moves: List[Move]) -> List[Move]:
        return [each._replace(staged=None) for each in moves]

    ways = ((there, back), (straight(there), straight(back)))
    times = [[], []]  # type: List[List[float]]
    for attempt in range(_TRIES + 1):
        for (inward, outward), taken in zip(ways, times):  # in turn, as clocks rise meanwhile
            start = time.perf_counter()
            copies(cuda, stream, inward, outward)
            if attempt:  # the first is slower
                taken.append(time.perf_counter() - start)
    pinned_s, pageable_s = (sorted(taken)[_TRIES // 2] for taken in times)
    return Choice(pinned_s, pageable_s)


def copies(
    cuda: Cuda, stream: int, there: Sequence[Move], back: Sequence[Move], run: Callable[[], None] = lambda: None
) -> None:
    """In, `run`, out, all on the stream, and waits for it."""
    for each in there:
        each.begin_in(cuda, stream)
    run()
    for each in back:
        each.begin_out(cuda, stream)
    cuda.synchronise(stream)
    for each in back:
        each.end_out()
