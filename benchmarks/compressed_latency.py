"""What does compression buy on a desktop? The `medium` model at every rate, ONNX Runtime, one thread, in turn.

Weights are random: how long a model takes and what it holds does not depend on what it has learned. Every figure is of
`host bench`: a fresh worker each time, the mean of 999 runs, the peak memory of the model. Bars: each rate is faster
than the one before; at 99 % at least 5.5 times as fast and at most 0.15 of the memory; torch computes the same.
"""

import itertools
import statistics
import sys

import numpy as np
import onnx
import torch

from benchmarks.agents import Agent, noise, put, running, scratch
from benchmarks.verdict import machine, spread, tell
from compression.autoencoder import SPECS, reference_model
from compression.calibrate import reconstructor_of
from compression.compress import compress
from compression.training.module import OnnxModule
from contract.api import BenchRequest
from host.reproduction.plan import RATES

ROUNDS, RUNS = 3, 1000
AT = 0.99
LEAST_RATIO, MOST_MEMORY, MOST_DIFFERENCE = 5.5, 0.15, 1e-5


def main() -> bool:
    spec = SPECS["medium"]
    print(f"Latency by rate: {spec.weight_count / 1e6:.1f} M weights, 1 thread, {ROUNDS} rounds of {RUNS}. {machine()}")
    images = noise(spec.size)
    original = reference_model(spec, images, seed=0)
    models = {0.0: original, **{rate: compress(original, rate).model for rate in RATES}}
    latency_ms: dict[float, list[float]] = {rate: [] for rate in models}
    memory_mib: dict[float, list[float]] = {rate: [] for rate in models}
    with scratch() as folder, running(folder) as agent:
        for rate, model in models.items():
            put(agent, _name(rate), model, folder, {"threads": 1})
        for _ in range(ROUNDS):
            for rate in models:
                mean_ms, peak_mib = _measured(agent, _name(rate))
                latency_ms[rate].append(mean_ms)
                memory_mib[rate].append(peak_mib)
    for rate in models:
        print(f"  {rate:6.1%}: {spread(latency_ms[rate], ' ms', 2)}, {spread(memory_mib[rate], ' MiB', 1)}")
    return _verdict(latency_ms, memory_mib) & _same_in_torch(models, images)


def _verdict(latency_ms: dict[float, list[float]], memory_mib: dict[float, list[float]]) -> bool:
    medians = [statistics.median(each) for each in latency_ms.values()]
    falls = tell("faster at every step of the rate", all(b < a for a, b in itertools.pairwise(medians)))
    ratio = statistics.median([a / b for a, b in zip(latency_ms[0.0], latency_ms[AT], strict=True)])
    share = statistics.median([b / a for a, b in zip(memory_mib[0.0], memory_mib[AT], strict=True)])
    faster = tell(f"at {AT:.0%} {ratio:.2f} times as fast, at least {LEAST_RATIO}", ratio >= LEAST_RATIO)
    smaller = tell(f"at {AT:.0%} {share:.3f} of the memory, at most {MOST_MEMORY}", share <= MOST_MEMORY)
    return falls and faster and smaller


def _same_in_torch(models: dict[float, onnx.ModelProto], images: np.ndarray) -> bool:
    worst = 0.0
    for model in models.values():
        with torch.no_grad():
            [ours] = OnnxModule(model)(torch.from_numpy(images))
        theirs = reconstructor_of(model)(images)
        worst = max(worst, float(np.abs(ours.numpy() - theirs).max() / np.abs(theirs).max()))
    return tell(
        f"torch and ONNX Runtime differ by {worst:.1e} of the output, at most {MOST_DIFFERENCE:g}", worst <= 1e-5
    )


def _measured(agent: Agent, name: str) -> tuple[float, float]:
    """Mean latency in ms, the model's peak memory in MiB."""
    job = agent.client.wait(agent.client.bench(BenchRequest(model=name, runs=RUNS, interrupt=True)), lambda _job: None)
    assert job.measurement is not None
    peak = job.measurement.memory.model_peak_bytes
    assert peak is not None
    return float(np.frombuffer(agent.client.samples_ns(job), "<i8")[1:].mean()) / 1e6, peak / 2**20


def _name(rate: float) -> str:
    return f"rate-{rate:g}"


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
