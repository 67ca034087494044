"""The loop over a real socket, with runtimes made for the question: figures, reasons, and what never ends a worker."""

import mmap
import resource
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from looping import LOAD, Made, X, Y, serve

from agent.worker import loop, memory, wire
from agent.worker.errors import LoadFailedError, RunFailedError
from agent.worker.quantise import Converter
from agent.worker.runtimes.base import Layer, Tensor


def test_a_run_reads_and_writes_its_own_slot(monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap) -> None:
    arena[128:144] = np.arange(4, dtype=np.float32).tobytes()
    _, reply = serve(monkeypatch, arena, Made(), LOAD, {"op": "infer", "slot": 1})
    assert reply["id"] == 2
    assert np.frombuffer(arena[192:208], np.float32).tolist() == [0, 2, 4, 6]
    assert arena[64:80] == bytes(16)


def test_the_accelerator_s_mean_is_of_all_runs_but_the_first(monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap) -> None:
    replies = serve(monkeypatch, arena, Made([9.0, 0.001, 0.002, 0.006]), LOAD, _bench(4))
    assert replies[1]["ok"]["accelerator_ns"] == pytest.approx(3e6)


@pytest.mark.parametrize("said", [[None, 0.1, None], [0.1, 0.1, None], [None, None, 0.1], []])
def test_a_mean_that_is_not_of_every_run_is_none(
    monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap, said: list[float | None]
) -> None:
    replies = serve(monkeypatch, arena, Made(said), LOAD, _bench(3))
    assert replies[1]["ok"]["accelerator_ns"] is None


def test_the_accelerator_s_time_of_one_run_is_passed_on(monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap) -> None:
    replies = serve(monkeypatch, arena, Made([0.25e-6, None]), LOAD, *[{"op": "infer", "slot": 0}] * 2)
    assert [reply["ok"]["accelerator_ns"] for reply in replies[1:]] == [250, None]


def test_samples_are_nanoseconds_of_the_run_alone(monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap) -> None:
    class Slow(Made):
        def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
            time.sleep(0.05)
            return super().bind(inputs, outputs)

        def run(self, binding: Any) -> float | None:
            time.sleep(0.005)
            return super().run(binding)

    serve(monkeypatch, arena, Slow(), LOAD, _bench(5))
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
        serve(monkeypatch, arena, Counting(), load, {**_bench(2), "slots": 1, "samples": 0})
    assert max(faults) < size // mmap.PAGESIZE // 10


def test_a_run_that_fails_ends_the_bench_and_not_the_worker(monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap) -> None:
    runtime = Made([None, RunFailedError("out of what", "give more")])
    replies = serve(monkeypatch, arena, runtime, LOAD, _bench(9), {"op": "infer", "slot": 0})
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
    loaded, benched = serve(monkeypatch, arena, Made(), LOAD, _bench(2))
    assert loaded["ok"]["baseline_bytes"] > 0
    assert loaded["ok"]["load_peak_bytes"] is None
    assert loaded["ok"]["unmet"] == {"load_peak_bytes": "/proc/self/status has no VmHWM"}
    assert benched["ok"]["unmet"] == {"run_peak_bytes": "/proc/self/status has no VmHWM"}
    monkeypatch.setattr(memory, "reset_peak", refused)
    monkeypatch.setattr(memory, "peak_bytes", lambda: 1)
    _, benched = serve(monkeypatch, arena, Made(), LOAD, _bench(2))
    assert benched["ok"]["run_peak_bytes"] is None
    assert "Permission denied" in benched["ok"]["unmet"]["run_peak_bytes"]


def test_a_dimension_the_runtime_does_not_know_is_the_manifest_s(
    monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap
) -> None:
    runtime = Made(inputs=[Tensor("x", "float32", (None, 4))])
    assert "ok" in serve(monkeypatch, arena, runtime, LOAD)[0]
    (reply,) = serve(monkeypatch, arena, runtime, {**LOAD, "inputs": [{**X, "shape": [1, 5]}]})
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
    first, second = serve(monkeypatch, arena, runtime, message, LOAD)
    assert first["id"] == 1
    assert first["error"]["code"] == "worker_bug"
    assert "Traceback" in first["error"]["traceback"]
    assert second["id"] == 2


@pytest.mark.parametrize("error", [LoadFailedError("é" * 3_000_000, "shorter"), KeyError("x" * 3_000_000)])
def test_an_error_of_any_length_still_fits_a_frame(
    monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap, error: Exception
) -> None:
    (_, reply, after) = serve(monkeypatch, arena, Made([error]), LOAD, *[{"op": "infer", "slot": 0}] * 2)
    assert 1000 < len(reply["error"]["message"]) < 10_000
    assert "[...]" in reply["error"]["message"]
    assert len(reply["error"].get("traceback", "")) < 10_000
    assert "ok" in after


def test_a_load_says_what_was_there_before_it_and_what_was_decided(
    monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap
) -> None:
    class Deciding(Made):
        def details(self) -> dict[str, str]:
            return {"host_buffers": "pinned"}

    monkeypatch.setattr(memory, "available_bytes", lambda: 12345)
    (reply,) = serve(monkeypatch, arena, Deciding(), LOAD)
    assert reply["ok"]["available_bytes"] == 12345
    assert reply["ok"]["details"] == {"host_buffers": "pinned"}
    assert reply["ok"]["unmet"] == {}


def test_memory_of_the_board_that_cannot_be_read_has_its_reason(
    monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap
) -> None:
    def unknown() -> int:
        raise ValueError("/proc/meminfo has no MemAvailable")

    monkeypatch.setattr(memory, "available_bytes", unknown)
    (reply,) = serve(monkeypatch, arena, Made(), LOAD)
    assert reply["ok"]["available_bytes"] is None
    assert reply["ok"]["unmet"] == {"available_bytes": "/proc/meminfo has no MemAvailable"}


class Noting(Made):
    """Notes what is asked of it; `fails` in one of these."""

    def __init__(self, fails: str = "") -> None:
        super().__init__()
        self.asked: list[str] = []
        self._fails = fails

    def _note(self, what: str) -> None:
        self.asked.append(what)
        if what == self._fails:
            raise LoadFailedError("no", "yes")

    def warm_up(self, path: str) -> None:
        self._note(f"warm_up {path}")

    def load(self, path: str) -> tuple[list[Tensor], list[Tensor]]:
        self._note(f"load {path}")
        return super().load(path)

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        self._note("bind")
        return super().bind(inputs, outputs)

    def close(self) -> None:
        self.asked.append("close")


def test_a_tiny_model_is_run_before_the_baseline_is_taken(monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap) -> None:
    runtime = Noting()

    def resident() -> int:
        runtime.asked.append("baseline")
        return 5

    monkeypatch.setattr(memory, "resident_bytes", resident)
    serve(monkeypatch, arena, runtime, LOAD)
    assert runtime.asked == ["warm_up /model", "baseline", "load /model", "bind", "bind"]


@pytest.mark.parametrize("fails", ["warm_up /model", "load /model", "bind"])
def test_a_load_that_fails_gives_back_what_it_took(
    monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap, fails: str
) -> None:
    runtime = Noting(fails)
    refused, unloaded = serve(monkeypatch, arena, runtime, LOAD, {"op": "infer", "slot": 0})
    assert refused["error"] == {"code": "load_failed", "message": "no", "hint": "yes"}
    assert unloaded["error"]["code"] == "worker_bug"
    assert runtime.asked[-2:] == [fails, "close"]


def test_one_that_is_not_what_the_manifest_says_is_given_back_too(
    monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap
) -> None:
    runtime = Noting()
    (refused,) = serve(monkeypatch, arena, runtime, {**LOAD, "inputs": []})
    assert refused["error"]["code"] == "signature_mismatch"
    assert runtime.asked[-1] == "close"


def test_a_bench_says_what_is_held_on_an_accelerator(monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap) -> None:
    class Holding(Made):
        def accelerator_bytes(self) -> int | None:
            return 500

    for runtime, held in ((Holding(), 500), (Made(), None)):
        _, reply = serve(monkeypatch, arena, runtime, LOAD, _bench(2))
        assert reply["ok"]["accelerator_bytes"] == held


def test_a_profile_is_of_one_slot(monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap) -> None:
    class Layered(Made):
        def profile(self, binding: Any, runs: int) -> list[Layer]:
            binding[1][...] = 7
            return [Layer("conv", 0.5 * runs), Layer("relu", 0.25)]

    arena[:256] = bytes(256)
    _, reply = serve(monkeypatch, arena, Layered(), LOAD, {"op": "profile", "slot": 1, "runs": 3})
    assert reply["ok"] == {"layers": [["conv", 1.5], ["relu", 0.25]]}
    assert arena[64:80] == bytes(16)
    assert np.frombuffer(arena[192:208], np.float32).tolist() == [7] * 4


def _artifact(tensor: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """int8, at the scale 0.5 and the zero point 3, in the order (1, 0)."""
    made = {"name": tensor["name"], "dtype": "int8", "shape": [4, 1], "order": [1, 0]}
    return {**made, "quantisation": {"scale": 0.5, "zero_point": 3}, **changes}


QUANTISED = {**LOAD, "artifact": {"inputs": [_artifact(X)], "outputs": [_artifact(Y)]}}


class Quantised(Made):
    """y = 2 x, of the integers. `said`: of the file itself."""

    def __init__(self, said: Any = None, **options: Any) -> None:
        super().__init__(inputs=[Tensor("x", "int8", (4, 1))], **options)
        self._said = said

    def load(self, path: str) -> tuple[list[Tensor], list[Tensor]]:
        inputs, _ = super().load(path)
        return inputs, [Tensor("y", "int8", (4, 1))]

    def quantisation(self) -> Any:
        return self._said


def test_what_the_file_takes_and_gives_is_converted_in_each_slot(
    monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap
) -> None:
    first, second = np.array([-1.5, 0, 1, 2], np.float32), np.array([5, -5, 0.5, 0], np.float32)
    arena[:16], arena[128:144] = first.tobytes(), second.tobytes()
    _, one, other = serve(
        monkeypatch, arena, Quantised(), QUANTISED, {"op": "infer", "slot": 1}, {"op": "infer", "slot": 0}
    )
    # By scale 0.5 and zero point 3: 2 * (2 x + 3) - 3 = 2 * (2 x) + 3, and so 2 x + 1.5
    assert np.frombuffer(arena[64:80], np.float32).tolist() == (2 * first + 1.5).tolist()
    assert np.frombuffer(arena[192:208], np.float32).tolist() == (2 * second + 1.5).tolist()
    assert one["ok"]["convert_ns"] > 0
    assert other["ok"]["convert_ns"] > 0


def test_where_nothing_is_converted_there_is_no_time_of_it(monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap) -> None:
    for load in (LOAD, {**LOAD, "artifact": None}):
        _, ran, benched = serve(monkeypatch, arena, Made(), load, {"op": "infer", "slot": 0}, _bench(3))
        assert ran["ok"]["convert_ns"] is None
        assert benched["ok"]["convert_ns"] is None


def test_a_bench_converts_before_and_after_each_run_and_its_samples_are_without(
    monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap
) -> None:
    encode, decode, calls = Converter.encode, Converter.decode, []

    def slow_encode(self: Converter, inputs: Sequence[Any]) -> None:
        calls.append("encode")
        time.sleep(0.2 if len(calls) == 1 else 0.004)
        encode(self, inputs)

    def slow_decode(self: Converter, outputs: Sequence[Any]) -> None:
        calls.append("decode")
        time.sleep(0.004)
        decode(self, outputs)

    monkeypatch.setattr(Converter, "encode", slow_encode)
    monkeypatch.setattr(Converter, "decode", slow_decode)
    arena[:16] = np.ones(4, np.float32).tobytes()
    _, reply = serve(monkeypatch, arena, Quantised(), QUANTISED, _bench(4))
    assert calls == ["encode", "decode"] * 4
    assert 8e6 <= reply["ok"]["convert_ns"] < 50e6  # the first is not in it
    assert np.frombuffer(arena[1024:1056], np.int64).max() < 4e6
    assert np.frombuffer(arena[64:80], np.float32).tolist() == [3.5] * 4


def test_one_run_has_no_mean_of_conversions(monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap) -> None:
    _, reply = serve(monkeypatch, arena, Quantised(), QUANTISED, _bench(1))
    assert reply["ok"]["convert_ns"] is None


def test_a_profile_is_converted_too(monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap) -> None:
    class Layered(Quantised):
        def profile(self, binding: Any, runs: int) -> list[Layer]:
            self.run(binding)
            return [Layer("all", 1)]

    arena[128:144] = np.ones(4, np.float32).tobytes()
    _, reply = serve(monkeypatch, arena, Layered(), QUANTISED, {"op": "profile", "slot": 1, "runs": 1})
    assert reply["ok"] == {"layers": [["all", 1]]}
    assert np.frombuffer(arena[192:208], np.float32).tolist() == [3.5] * 4


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"name": "z"}, "z"), ({"dtype": "uint8"}, "uint8"), ({"shape": [1, 4], "order": [0, 1]}, "[1, 4]")],
)
def test_a_file_that_is_not_what_the_artifact_says(
    monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap, changes: dict[str, Any], named: str
) -> None:
    for kind, tensor in (("inputs", X), ("outputs", Y)):
        artifact = {**QUANTISED["artifact"], kind: [_artifact(tensor, **changes)]}
        (reply,) = serve(monkeypatch, arena, Quantised(), {**QUANTISED, "artifact": artifact})
        assert reply["error"]["code"] == "signature_mismatch"
        assert f"the model's {kind[:-1]} is" in reply["error"]["message"]
        assert named in reply["error"]["message"]


RIGHT = (0.5, 3)


@pytest.mark.parametrize(
    ("inputs", "outputs", "named"),
    [
        ((0.25, 3), RIGHT, "input is x of the scale 0.25 and the zero point 3, the manifest says of the scale 0.5"),
        ((0.5, 4), RIGHT, "input is x of the scale 0.5 and the zero point 4"),
        (None, RIGHT, "input is x not quantised"),
        (RIGHT, (0.5, -3), "output is y of the scale 0.5 and the zero point -3"),
    ],
)
def test_another_scale_than_the_file_s_own_is_refused(
    monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap, inputs: Any, outputs: Any, named: str
) -> None:
    (reply,) = serve(monkeypatch, arena, Quantised(([inputs], [outputs])), QUANTISED)
    assert reply["error"]["code"] == "signature_mismatch"
    assert named in reply["error"]["message"]


def test_scales_are_compared_as_a_file_holds_them_and_none_are_asked_for_where_there_is_no_artifact(
    monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap
) -> None:
    tensors = {"scale": 0.1, "zero_point": 3}
    artifact = {
        "inputs": [_artifact(X, quantisation=tensors)],
        "outputs": [_artifact(Y, quantisation=None, dtype="int8")],
    }
    said = [(float(np.float32(0.1)), 3)], [(9.0, 9)]
    load = {**LOAD, "artifact": artifact, "outputs": [{**Y, "dtype": "int8"}]}
    assert "ok" in serve(monkeypatch, arena, Quantised(said), load)[0]
    raw = {
        **LOAD,
        "inputs": [{**X, "dtype": "int8", "shape": [4, 1]}],
        "outputs": [{**Y, "dtype": "int8", "shape": [4, 1]}],
    }
    assert "ok" in serve(monkeypatch, arena, Quantised(said), raw)[0]


def test_the_hello_is_what_the_wire_says() -> None:
    hello = loop.hello()
    assert hello["hello"] == wire.WIRE_VERSION
    assert hello["numpy"] == np.__version__
    assert set(hello) == {"hello", "python", "numpy"}


def _bench(runs: int) -> wire.Message:
    return {"op": "bench", "runs": runs, "slots": 2, "samples": 1024}
