"""What does compression buy on a GPU? A reference model at 0, 90 and 99 %, in fp32, fp16 and int8, in turn.

Weights are random: how long a model takes does not depend on what it has learned. Every figure is of `host bench`: a
fresh worker each time, the mean of 999 runs, and the GPU's own share of it. Bar: in each precision, 99 % is faster than
the whole.
"""

import statistics
from dataclasses import dataclass
from pathlib import Path

from benchmarks.agents import noise
from benchmarks.gpu.board import Board
from benchmarks.verdict import spread, tell
from compression.autoencoder import SPECS, AutoencoderSpec, reference_model
from compression.compress import compress


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    spec: AutoencoderSpec = SPECS["large"]
    rounds: int = 3
    runs: int = 1000
    rates: tuple[float, ...] = (0.0, 0.9, 0.99)
    precisions: tuple[str, ...] = ("fp32", "fp16", "int8")


@dataclass(frozen=True)
class Times:
    """Mean milliseconds of one trial: of a run, and of that on the GPU."""

    latency_ms: float
    accelerator_ms: float


def main(board: Board, folder: Path, size: Size | None = None) -> bool:
    """Whether every bar is met."""
    asked = size or Size()
    weights = f"{asked.spec.weight_count / 1e6:.1f} M weights"
    print(f"Latency by rate and precision on a GPU: {weights}, {asked.rounds} rounds of {asked.runs}")
    original = reference_model(asked.spec, noise(asked.spec.size), seed=0)
    for rate in asked.rates:
        model = compress(original, rate).model if rate else original
        for precision in asked.precisions:
            board.put(_name(rate, precision), model, folder, precision)
    found: dict[tuple[float, str], list[Times]] = {
        (rate, precision): [] for precision in asked.precisions for rate in asked.rates
    }
    for _ in range(asked.rounds):
        for rate, precision in found:
            found[rate, precision].append(_measured(board, _name(rate, precision), asked.runs))
    for (rate, precision), times in found.items():
        latency, on_gpu = [each.latency_ms for each in times], [each.accelerator_ms for each in times]
        print(f"  {precision} {rate:4.0%}: {spread(latency, ' ms')}, on the GPU {spread(on_gpu, ' ms')}")
    whole, least = asked.rates[0], asked.rates[-1]
    passed = [
        _is_faster(f"{each}: at {least:.0%}", found[whole, each], found[least, each]) for each in asked.precisions
    ]  # every one is told
    return all(passed)


def _is_faster(subject: str, whole: list[Times], compressed: list[Times]) -> bool:
    ratio = statistics.median([a.latency_ms / b.latency_ms for a, b in zip(whole, compressed, strict=True)])
    return tell(f"{subject} {ratio:.2f} times as fast, more than 1", ratio > 1)


def _measured(board: Board, name: str, runs: int) -> Times:
    measurement, samples_ns = board.measured(name, runs)
    assert measurement.accelerator_ns_mean is not None, "TensorRT's runs are between two events"
    return Times(float(samples_ns.mean()) / 1e6, measurement.accelerator_ns_mean / 1e6)


def _name(rate: float, precision: str) -> str:
    return f"rate-{rate:g}-{precision}"
