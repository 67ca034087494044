"""On which device, with how many threads and in which precision a step is fastest: measured, not assumed.

On a loaded machine two threads took 807 ms for what one did in 129 ms; bfloat16 is fast where the processor has it in
hardware, and slow elsewhere.
"""

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from compression.errors import DeviceError
from compression.training.recipe import Precision

ROUNDS = 3
"""Steps per candidate; the fastest counts."""
CLEARLY = 0.9
"""More threads are taken where they bring a step down to this share: idle cores are somebody else's."""


@dataclass(frozen=True)
class Pace:
    """How steps are computed. A trained model's last digits depend on it."""

    device: str = "cpu"
    threads: int = 1
    precision: Precision = "fp32"

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Within, torch computes with as many threads."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def autocast(self) -> torch.autocast:
        """A context in which convolutions are computed in the precision of the pace."""
        return torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.precision == "bf16")


def checked_device(device: str) -> str:
    """DeviceError where torch has no such device on this machine."""
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError("torch finds no CUDA device on this machine", "take --device cpu, or install torch for CUDA")
    return device


def fastest(step: Callable[[Pace], None], device: str, threads: int | None, precision: Precision | None) -> Pace:
    """The pace at which `step` takes least time; `threads` and `precision` where they are given already."""
    counts = [threads] if threads else _counts() if device == "cpu" else [1]
    precisions: list[Precision] = [precision] if precision else ["fp32", "bf16"]
    candidates = [Pace(device, count, kind) for kind, count in itertools.product(precisions, counts)]
    if len(candidates) == 1:
        return candidates[0]
    best, least = candidates[0], float("inf")
    for candidate in candidates:
        taken = _seconds(step, candidate)
        if taken < least * (CLEARLY if candidate.precision == best.precision else 1):
            best, least = candidate, taken
    return best


def _counts() -> list[int]:
    """1, 2, 4 ... and all of the cores that this process may use."""
    cores = len(os.sched_getaffinity(0))
    return sorted({cores, *(2**power for power in range(cores.bit_length()) if 2**power <= cores)})


def _seconds(step: Callable[[Pace], None], candidate: Pace) -> float:
    times = []
    with candidate.kept():
        step(candidate)  # the first one also prepares kernels
        for _ in range(ROUNDS):
            start = time.perf_counter()
            step(candidate)
            if candidate.device == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
    return min(times)
