"""The loop over a real socket, with runtimes made for the question: figures, reasons, and what never ends a worker."""

import mmap
import resource
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from agent.worker import loop, memory, runtimes, wire
from agent.worker.errors import LoadFailedError, RunFailedError
from agent.worker.loop import Channel, Loop
from agent.worker.runtimes.base import Options, Runtime, Tensor

X = {"name": "x", "dtype": "float32", "shape": [1, 4]}
Y = {**X, "name": "y"}
LOAD = {
    "op": "load",
    "runtime": "made",
    "path": "/model",
    "options": {},
    "inputs": [X],
    "outputs": [Y],
    "slots": [{"inputs": [0], "outputs": [64]}, {"inputs": [128], "outputs": [192]}],
}


class Made(Runtime):
    """y = 2 x. `accelerator_s` is taken from run to run; an exception there is raised."""

    def __init__(
        self,
        accelerator_s: Sequence[float | Exception | None] = (),
        inputs: Sequence[Tensor] = (Tensor("x", "float32", (1, 4)),),
    ) -> None:
        self._accelerator_s = iter(accelerator_s)
        self._inputs = list(inputs)

    def _open(self, options: Options) -> str:
        return "7"

    def load(self, path: str) -> tuple[list[Tensor], list[Tensor]]:
        return self._inputs, [Tensor("y", "float32", (1, 4))]

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        return inputs[0], outputs[0]

    def run(self, binding: Any) -> float | None:
        source, target = binding
        target[...] = 2 * source
        said = next(self._accelerator_s, None)
        if isinstance(said, Exception):
            raise said
        return said


@pytest.fixture
def arena() -> Iterator[mmap.mmap]:
    with mmap.mmap(-1, 1 << 16) as memory_map:
        yield memory_map


def _serve(
    monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap, runtime: Runtime, *messages: wire.Message
) -> list[wire.Message]:
    """What a worker with `runtime` answers to these messages, all waiting from the start, and nothing after them."""
    monkeypatch.setattr(runtimes, "create", lambda _key: runtime)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for number, message in enumerate(messages, start=1):
            ours.sendall(wire.pack({**message, "id": number}))
        ours.shutdown(socket.SHUT_WR)
        served = Loop(Channel(theirs), arena)
        served.serve()
        del served  # its views of the arena
        theirs.shutdown(socket.SHUT_WR)
        unpacker = wire.Unpacker()
        replies: list[wire.Message] = []
        while data := ours.recv(1 << 16):
            replies += unpacker.feed(data)
    return replies


def test_a_run_reads_and_writes_its_own_slot(monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap) -> None:
    arena[128:144] = np.arange(4, dtype=np.float32).tobytes()
    _, reply = _serve(monkeypatch, arena, Made(), LOAD, {"op": "infer", "slot": 1})
    assert reply["id"] == 2
    assert np.frombuffer(arena[192:208], np.float32).tolist() == [0, 2, 4, 6]
    assert arena[64:80] == bytes(16)


def test_the_accelerator_s_mean_is_of_all_runs_but_the_first(monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap) -> None:
    replies = _serve(monkeypatch, arena, Made([9.0, 0.001, 0.002, 0.006]), LOAD, _bench(4))
    assert replies[1]["ok"]["accelerator_ns"] == pytest.approx(3e6)


@pytest.mark.parametrize("said", [[None, 0.1, None], [0.1, 0.1, None], [None, None, 0.1], []])
def test_a_mean_that_is_not_of_every_run_is_none(
    monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap, said: list[float | None]
) -> None:
    replies = _serve(monkeypatch, arena, Made(said), LOAD, _bench(3))
    assert replies[1]["ok"]["accelerator_ns"] is None


def test_the_accelerator_s_time_of_one_run_is_passed_on(monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap) -> None:
    replies = _serve(monkeypatch, arena, Made([0.25e-6, None]), LOAD, *[{"op": "infer", "slot": 0}] * 2)
    assert [reply["ok"]["accelerator_ns"] for reply in replies[1:]] == [250, None]


def test_samples_are_nanoseconds_of_the_run_alone(monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap) -> None:
    class Slow(Made):
        def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
            time.sleep(0.05)
            return super().bind(inputs, outputs)

        def run(self, binding: Any) -> float | None:
            time.sleep(0.005)
            return super().run(binding)

    _serve(monkeypatch, arena, Slow(), LOAD, _bench(5))
    samples_ns = np.frombuffer(arena[1024 : 1024 + 40], np.int64)
    assert (samples_ns >= 5_000_000).all()
    assert np.median(samples_ns) < 50_000_000


def test_no_run_pays_for_the_pages_of_its_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    size = 4_000_000
    faults = []

    class Counting(Made):
        def load(self, path: str) -> tuple[list[Tensor], list[Tensor]]:
            return [Tensor("x", "uint8", (size,))], [Tensor("y", "uint8", (size,))]

        def run(self, binding: Any) -> float | None:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            binding[1][...] = binding[0]
            faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
            return None

    x = {"name": "x", "dtype": "uint8", "shape": [size]}
    slots = [{"inputs": [4096], "outputs": [4096 + size]}]
    with mmap.mmap(-1, 3 * size) as arena:
        load = {**LOAD, "inputs": [x], "outputs": [{**x, "name": "y"}], "slots": slots}
        _serve(monkeypatch, arena, Counting(), load, {**_bench(2), "slots": 1, "samples": 0})
    assert max(faults) < size // mmap.PAGESIZE // 10


def test_a_run_that_fails_ends_the_bench_and_not_the_worker(monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap) -> None:
    runtime = Made([None, RunFailedError("out of what", "give more")])
    replies = _serve(monkeypatch, arena, runtime, LOAD, _bench(9), {"op": "infer", "slot": 0})
    assert replies[1] == {"id": 2, "error": {"code": "run_failed", "message": "out of what", "hint": "give more"}}
    assert "ok" in replies[2]


def test_figures_that_cannot_be_read_are_none_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap
) -> None:
    def refused() -> None:
        raise PermissionError(13, "Permission denied", "/proc/self/clear_refs")

    def unknown() -> int:
        raise ValueError("/proc/self/status has no VmHWM")

    monkeypatch.setattr(memory, "peak_bytes", unknown)
    loaded, benched = _serve(monkeypatch, arena, Made(), LOAD, _bench(2))
    assert loaded["ok"]["baseline_bytes"] > 0
    assert loaded["ok"]["load_peak_bytes"] is None
    assert loaded["ok"]["unmet"] == {"load_peak_bytes": "/proc/self/status has no VmHWM"}
    assert benched["ok"]["unmet"] == {"run_peak_bytes": "/proc/self/status has no VmHWM"}
    monkeypatch.setattr(memory, "reset_peak", refused)
    monkeypatch.setattr(memory, "peak_bytes", lambda: 1)
    _, benched = _serve(monkeypatch, arena, Made(), LOAD, _bench(2))
    assert benched["ok"]["run_peak_bytes"] is None
    assert "Permission denied" in benched["ok"]["unmet"]["run_peak_bytes"]


def test_a_dimension_the_runtime_does_not_know_is_the_manifest_s(
    monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap
) -> None:
    runtime = Made(inputs=[Tensor("x", "float32", (None, 4))])
    assert "ok" in _serve(monkeypatch, arena, runtime, LOAD)[0]
    (reply,) = _serve(monkeypatch, arena, runtime, {**LOAD, "inputs": [{**X, "shape": [1, 5]}]})
    assert reply["error"]["code"] == "signature_mismatch"
    assert "[None, 4]" in reply["error"]["message"]


@pytest.mark.parametrize(
    "message",
    [
        {"op": "nonsense"},
        {},
        {"op": "load"},
        {"op": "infer", "slot": 0},
        {"op": "bench", "runs": 1, "slots": 1, "samples": 0},
        {**LOAD, "slots": [{"inputs": [1 << 40], "outputs": [0]}]},
        {**LOAD, "inputs": [{**X, "dtype": "no such type"}]},
    ],
)
def test_what_the_agent_never_asks_is_a_bug_with_its_traceback_and_the_worker_stays(
    monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap, message: wire.Message
) -> None:
    dtype = message.get("inputs", [X])[0]["dtype"]
    runtime = Made(inputs=[Tensor("x", dtype, (1, 4))])
    first, second = _serve(monkeypatch, arena, runtime, message, LOAD)
    assert first["id"] == 1
    assert first["error"]["code"] == "worker_bug"
    assert "Traceback" in first["error"]["traceback"]
    assert second["id"] == 2


@pytest.mark.parametrize("error", [LoadFailedError("é" * 3_000_000, "shorter"), KeyError("x" * 3_000_000)])
def test_an_error_of_any_length_still_fits_a_frame(
    monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap, error: Exception
) -> None:
    (_, reply, after) = _serve(monkeypatch, arena, Made([error]), LOAD, *[{"op": "infer", "slot": 0}] * 2)
    assert 1000 < len(reply["error"]["message"]) < 10_000
    assert "[...]" in reply["error"]["message"]
    assert len(reply["error"].get("traceback", "")) < 10_000
    assert "ok" in after


def test_the_hello_is_what_the_wire_says() -> None:
    hello = loop.hello()
    assert hello["hello"] == wire.WIRE_VERSION
    assert hello["numpy"] == np.__version__
    assert set(hello) == {"hello", "python", "numpy"}


def _bench(runs: int) -> wire.Message:
    return {"op": "bench", "runs": runs, "slots": 2, "samples": 1024}
