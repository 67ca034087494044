"""What does `/infer` add to a model? Against a hand-written FastAPI + ONNX Runtime app, in turn, block by block.

Raw tensor in and out, 1x3x256x256 float32, an identity model, one keep-alive connection each, 2,000 requests each.
Ours goes through a process boundary; bar: its p50 is no more than the other's.
"""

import http.client
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.agents import IMAGE, identity_model, put, running, scratch
from benchmarks.verdict import machine, tell

REQUESTS = 2000
BLOCK = 100
HEADERS = {"Content-Type": "application/octet-stream"}


def main() -> bool:
    print(f"Overhead of /infer. {machine()}, {REQUESTS} requests each in blocks of {BLOCK}")
    with_one, with_many = _compare(1), _compare(0)
    return with_one and with_many


def _compare(threads: int) -> bool:
    body = np.random.default_rng(0).random(IMAGE, np.float32).tobytes()
    with scratch() as folder, running(folder) as agent:
        put(agent, "identity", identity_model(), folder, {"threads": threads})
        with _handwritten(folder / "identity.onnx", threads) as port:
            ours, theirs = _connect(agent.port), _connect(port)
            for connection in (ours, theirs):
                _block(connection, body)
            ours_us: list[float] = []
            theirs_us: list[float] = []
            for _ in range(REQUESTS // BLOCK):
                ours_us += _block(ours, body)
                theirs_us += _block(theirs, body)
    ratio = statistics.median(ours_us) / statistics.median(theirs_us)
    setting = "1 thread" if threads else "ONNX Runtime's own choice of threads"
    for name, times in (("ours", ours_us), ("by hand", theirs_us)):
        p50, p90, p99 = np.percentile(times, [50, 90, 99])
        print(f"  {setting}, {name}: p50 {p50:.0f} us, p90 {p90:.0f} us, p99 {p99:.0f} us")
    return tell(f"{setting}: p50 of ours / by hand = {ratio:.2f}, at most 1", ratio <= 1)


def _block(connection: http.client.HTTPConnection, body: bytes) -> list[float]:
    """Microseconds of BLOCK requests, one after the other."""
    times = []
    for _ in range(BLOCK):
        start = time.perf_counter()
        connection.request("POST", "/infer", body, HEADERS)
        answer = connection.getresponse().read()
        times.append((time.perf_counter() - start) * 1e6)
        if answer != body:
            raise AssertionError("an identity model gave something else")
    return times


def _connect(port: int) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


@contextmanager
def _handwritten(model: Path, threads: int) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    script = str(Path(__file__).with_name("handwritten_app.py"))
    process = subprocess.Popen([sys.executable, script, str(model), str(port), str(threads)])
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
