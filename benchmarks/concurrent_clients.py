"""64 clients at once for 30 s on one model whose queue holds 8.

Bars: no answer but 200 and 503 with Retry-After; p99 of the answers below 3 x queue length x model latency; memory
flat: the resident sets of agent and worker grow by less than 2 % + 1 MB from a third of the time to the end.
A client that got a 503 asks again after 50 ms, far sooner than Retry-After says: that is the harder case.
"""

import asyncio
import collections
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.agents import IMAGE, Agent, noise, put, running, scratch
from benchmarks.verdict import machine, tell
from compression.autoencoder import AutoencoderSpec, reference_model

CLIENTS = 64
SECONDS = 30.0
AGAIN_S = 0.05


def main() -> bool:
    print(f"{CLIENTS} clients for {SECONDS:g} s. {machine()}")
    with scratch() as folder, running(folder) as agent:
        put(agent, "autoencoder", reference_model(AutoencoderSpec(256), noise(256), seed=0), folder, {"threads": 1})
        model_s = _alone(agent)
        load = asyncio.run(_load(agent))
        queue_length = agent.client.stats().models[0].queue_length
    bound_s = 3 * queue_length * model_s
    p99_s = float(np.percentile(load.latencies_s, 99))
    print(f"  model alone {model_s * 1e3:.1f} ms; answers {dict(load.answers)}; p99 {p99_s * 1e3:.0f} ms")
    for name, (early, late) in load.resident_mb.items():
        print(f"  {name}: {early:.1f} MB after {SECONDS / 3:g} s, {late:.1f} MB at the end")
    return all(
        [
            tell("no answer but 200, and 503 with Retry-After", set(load.answers) <= {"200", "503 with Retry-After"}),
            tell(f"p99 below 3 x {queue_length} x model latency = {bound_s * 1e3:.0f} ms", p99_s < bound_s),
            tell("memory flat", all(late < early * 1.02 + 1 for early, late in load.resident_mb.values())),
        ]
    )


class Load:
    """What the clients saw."""

    def __init__(self) -> None:
        self.answers: collections.Counter[str] = collections.Counter()
        self.latencies_s: list[float] = []
        self.resident_mb: dict[str, tuple[float, float]] = {}


def _alone(agent: Agent) -> float:
    """Seconds of one request at a time, the median of 50."""
    body = np.random.default_rng(0).random(IMAGE, np.float32).tobytes()
    times = []
    for _ in range(50):
        began = time.perf_counter()
        agent.client.infer("autoencoder", body, accept="application/octet-stream")
        times.append(time.perf_counter() - began)
    return sorted(times)[25]


async def _load(agent: Agent) -> Load:
    load = Load()
    until = time.perf_counter() + SECONDS
    worker = agent.client.stats().models[0].worker_pid
    assert worker is not None
    clients = [asyncio.create_task(_client(agent.port, until, load)) for _ in range(CLIENTS)]
    await asyncio.sleep(SECONDS / 3)
    early = {"agent": _resident_mb(agent.pid), "worker": _resident_mb(worker)}
    await asyncio.sleep(SECONDS * 2 / 3 - 1)
    load.resident_mb = {
        "agent": (early["agent"], _resident_mb(agent.pid)),
        "worker": (early["worker"], _resident_mb(worker)),
    }
    await asyncio.gather(*clients)
    return load


async def _client(port: int, until: float, load: Load) -> None:
    body = np.random.default_rng(0).random(IMAGE, np.float32).tobytes()
    head = (
        f"POST /infer HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/octet-stream\r\n"
        f"Accept: application/octet-stream\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    while time.perf_counter() < until:
        try:
            answer, elapsed_s = await _ask(port, head + body)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            answer, elapsed_s = f"{type(error).__name__}", 0.0
        load.answers[answer] += 1
        if answer == "200":
            load.latencies_s.append(elapsed_s)
        else:
            await asyncio.sleep(AGAIN_S)


async def _ask(port: int, request: bytes) -> tuple[str, float]:
    """One request on a connection of its own: status, seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    try:
        began = time.perf_counter()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        status = head.split(b" ")[1].decode()
        if status == "503" and b"retry-after:" in head:
            status = "503 with Retry-After"
        return status, time.perf_counter() - began
    finally:
        writer.close()


def _resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0]) * 1024 / 1e6


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
