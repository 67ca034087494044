"""Does `host bench` tell the model's own latency? Its mean against a bare session.run loop, in turn, pair by pair.

Same model, same inputs, same threads; each side in a fresh process each time. Bars: 0.98 to 1.02 on a model of about
10 ms; within 15 us on an identity model of 768 KB.
"""

import statistics
import subprocess
import sys
from pathlib import Path

import onnx

from benchmarks.agents import Agent, identity_model, noise, put, running, scratch
from benchmarks.verdict import machine, spread, tell
from compression.autoencoder import AutoencoderSpec, reference_model
from contract.api import BenchRequest
from host.converting import GOLDEN_INPUTS, MODEL_FILE

PAIRS = 9
RUNS = 1000
THREADS = 1


def main() -> bool:
    print(f"Fidelity of host bench. {machine()}, {THREADS} thread, {PAIRS} pairs of {RUNS} runs")
    with scratch() as folder, running(folder) as agent:
        slow = _pairs(agent, "autoencoder", reference_model(AutoencoderSpec(320), noise(320), seed=0), folder)
        quick = _pairs(agent, "identity", identity_model(), folder)
    ratios = [ours / bare for ours, bare in slow]
    differences_us = [(ours - bare) / 1e3 for ours, bare in quick]
    print(f"  autoencoder: bare loop {spread([bare / 1e6 for _, bare in slow], ' ms')}, ratio {spread(ratios)}")
    print(f"  identity: bare loop {spread([bare / 1e3 for _, bare in quick], ' us', 1)}, ", end="")
    print(f"difference {spread(differences_us, ' us', 1)}")
    first = tell("mean of host bench / bare loop within 0.98 to 1.02", 0.98 <= statistics.median(ratios) <= 1.02)
    second = tell("identity of 768 KB within 15 us", abs(statistics.median(differences_us)) <= 15)
    return first and second


def _pairs(agent: Agent, name: str, model: onnx.ModelProto, folder: Path) -> list[tuple[float, float]]:
    """(ours, bare) mean nanoseconds, in turn, the order swapped from pair to pair."""
    put(agent, name, model, folder, {"threads": THREADS})
    sides = [lambda: _ours(agent, name), lambda: _bare(folder, name)]
    bundle = put(agent, name, model, folder, {"threads": THREADS})
    bundle.write(folder / name)
    pairs = []
    for pair in range(PAIRS):
        order = (0, 1) if pair % 2 == 0 else (1, 0)
        means = {side: sides[side]() for side in order}
        pairs.append((means[0], means[1]))
    return pairs


def _ours(agent: Agent, name: str) -> float:
    job = agent.client.wait(agent.client.bench(BenchRequest(model=name, runs=RUNS, interrupt=True)), lambda _job: None)
    import numpy as np

    return float(np.frombuffer(agent.client.samples_ns(job), "<i8")[1:].mean())


def _bare(folder: Path, name: str) -> float:
    command = [sys.executable, str(Path(__file__).with_name("bare_loop.py"))]
    arguments = [str(folder / name / MODEL_FILE), str(folder / name / GOLDEN_INPUTS), str(THREADS), str(RUNS)]
    return float(subprocess.run([*command, *arguments], check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
