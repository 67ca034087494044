"""Does compression make a model possible that is not? An untrained model of 110 M weights under a limit of memory.

Labelled for what it is: random weights, that no accuracy follows from, and a limit that is set (RLIMIT_DATA of the
agent's processes) rather than a board's own. Bars: the original does not run, which is a recorded result; at 99 % it
does.
"""

import sys

import numpy as np

from benchmarks.agents import Agent, Quiet, converted, noise, put, running, scratch
from benchmarks.verdict import machine, tell
from compression.autoencoder import AutoencoderSpec, reference_model
from compression.compress import compress
from contract.api import BenchRequest
from host.errors import DoesNotRunError
from host.temporary import temporarily

HUGE = AutoencoderSpec(256, (64, 128, 256, 1024, 2048, 512), linear_bottleneck=True)
MEMORY_BYTES = 512 << 20
RATE, RUNS = 0.99, 100


def main() -> bool:
    print(
        f"An impossible model: {HUGE.weight_count / 1e6:.0f} M untrained weights, {MEMORY_BYTES >> 20} MiB. {machine()}"
    )
    original = reference_model(HUGE, noise(HUGE.size), seed=0)
    compressed = compress(original, RATE).model
    with scratch() as folder, running(folder, MEMORY_BYTES) as agent:
        refused = None
        try:
            with temporarily(agent.client, converted("original", original, folder, {"threads": 1}), Quiet()):
                pass
        except DoesNotRunError as error:
            refused = error.message
        put(agent, "compressed", compressed, folder, {"threads": 1})
        mean_ms, peak_mib = _measured(agent)
    print(f"  original: {refused or 'runs'}")
    print(f"  {RATE:.0%} of the weights removed: {mean_ms:.2f} ms, peak memory {peak_mib:.0f} MiB")
    for_memory = refused is not None and any(word in refused.lower() for word in ("alloc", "memory", "sigkill"))
    return tell("the original does not run for lack of memory, its compressed form does", for_memory)


def _measured(agent: Agent) -> tuple[float, float]:
    asked = BenchRequest(model="compressed", runs=RUNS, interrupt=True)
    job = agent.client.wait(agent.client.bench(asked), lambda _job: None)
    assert job.measurement is not None
    peak = job.measurement.memory.peak_memory_bytes
    assert peak is not None
    return float(np.frombuffer(agent.client.samples_ns(job), "<i8")[1:].mean()) / 1e6, peak / 2**20


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
