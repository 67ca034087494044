"""A worker that serves: what it says of itself, single runs, and many runs in one message."""

import time

import environments
import numpy as np
import pytest
from bundles import Bundle
from conformance import workers
from conformance.models import HEAVY_BYTES
from conformance.workers import MOST_RUNS, UNTOUCHED, Place, Worker, random_tensors

from agent.worker import wire

RUNS = 30


def _pinned(environment: environments.Environment, package: str) -> str | None:
    """The version that the environment was made with; None for the running Python, which may have any."""
    versions = dict(requirement.split("==") for requirement in environment.requirements)
    return versions.get(package)


def test_the_probe_gives_the_python_and_the_version_of_the_runtime(place: Place) -> None:
    assert place.offer.python_version is not None
    assert place.offer.python_version.startswith(f"{place.environment.python}.")
    assert place.offer.version
    if place.runtime == "ort":
        assert place.offer.version == (_pinned(place.environment, "onnxruntime") or place.offer.version)


def test_the_hello_has_the_wire_version_and_the_worker_s_python_and_numpy(place: Place, echo: Worker) -> None:
    hello = echo.process.channel.hello.result()
    assert hello["hello"] == wire.WIRE_VERSION
    assert hello["python"] == echo.process.python_version == place.offer.python_version
    assert hello["numpy"] == (_pinned(place.environment, "numpy") or hello["numpy"])


def test_a_load_gives_the_version_that_the_probe_gave(place: Place, echo: Worker) -> None:
    assert echo.loaded is not None
    assert echo.loaded.runtime_version == place.offer.version


def test_every_element_type_comes_back_bit_by_bit_in_place(echo: Worker, model: Bundle) -> None:
    slot = echo.arena.slots[0]
    for seed in range(3):
        tensors = random_tensors(model.manifest.signature, seed)
        expected = [tensor.tobytes() for tensor in tensors]
        assert echo.infer(slot, tensors) == expected
        assert echo.inputs(slot) == expected


def test_a_run_touches_no_other_slot_and_nothing_beyond_them(echo: Worker, model: Bundle) -> None:
    tensors = [random_tensors(model.manifest.signature, slot.index) for slot in echo.arena.slots]
    for slot in echo.arena.slots:
        echo.fill(slot, tensors[slot.index])
    beyond = bytes(echo.arena.extra(4096))
    done = []
    for slot in reversed(echo.arena.slots):
        echo.request(op="infer", slot=slot.index)
        done.append(slot.index)
        for other in echo.arena.slots:
            outputs = b"".join(echo.outputs(other))
            if other.index in done:
                assert outputs == b"".join(tensor.tobytes() for tensor in tensors[other.index])
            else:
                assert set(outputs) == {UNTOUCHED}
    assert bytes(echo.arena.extra(4096)) == beyond


def test_computed_outputs_are_what_the_host_computed(place: Place) -> None:
    bundle = place.maker.computing()
    signature, files = bundle.manifest.signature, bundle.files
    expected = np.frombuffer(files["golden/outputs.bin"], np.float32).reshape(-1, signature.output_bytes // 4)
    with workers.loaded(place, bundle) as worker:
        for slot, content, wanted in zip(worker.arena.slots, bundle.golden_inputs(), expected, strict=False):
            (output,) = worker.infer(slot, [np.frombuffer(content, np.float32)])
            np.testing.assert_allclose(np.frombuffer(output, np.float32), wanted, rtol=1e-4, atol=1e-5)


def test_what_is_converted_is_timed_apart(place: Place) -> None:
    bundle = place.maker.computing()
    with workers.loaded(place, bundle) as worker:
        worker.fill(worker.arena.slots[0], [np.frombuffer(bundle.golden_inputs()[0], np.float32)])
        began = time.perf_counter_ns()
        said = worker.request(op="infer", slot=0)
        waited_ns = time.perf_counter_ns() - began
        reply, samples_ns = worker.bench(RUNS)
    if bundle.manifest.artifact is None:
        assert (said["convert_ns"], reply["convert_ns"]) == (None, None)
    else:
        assert 0 < said["convert_ns"] < waited_ns - said["run_ns"]
        assert 0 < reply["convert_ns"] < 100 * samples_ns.max()


def test_the_time_of_a_run_is_within_what_the_caller_waited(echo: Worker) -> None:
    began = time.perf_counter_ns()
    reply = echo.request(op="infer", slot=0)
    waited_ns = time.perf_counter_ns() - began
    assert 0 < reply["run_ns"] < waited_ns
    assert reply["accelerator_ns"] is None or 0 < reply["accelerator_ns"] <= reply["run_ns"]


def test_there_is_a_sample_of_each_run_and_none_beyond(echo: Worker) -> None:
    echo.arena.extra(8 * (RUNS + 1))[:] = bytes(8 * (RUNS + 1))
    began = time.perf_counter_ns()
    reply, samples_ns = echo.bench(RUNS)
    waited_ns = time.perf_counter_ns() - began
    assert (samples_ns > 0).all()
    assert samples_ns.sum() < waited_ns
    assert bytes(echo.arena.extra(8 * (RUNS + 1))[-8:]) == bytes(8)
    assert reply["accelerator_ns"] is None or reply["accelerator_ns"] > 0


def test_the_inputs_of_all_slots_are_run_in_turn(echo: Worker, model: Bundle) -> None:
    for slot in echo.arena.slots:
        echo.fill(slot, random_tensors(model.manifest.signature, slot.index))
    echo.bench(len(echo.arena.slots))
    for slot in echo.arena.slots:
        assert echo.outputs(slot) == echo.inputs(slot)


def test_progress_is_told_at_most_four_times_a_second(echo: Worker) -> None:
    runs, ran_ns = 1000, 0
    while ran_ns < 0.3e9:
        progress: list[tuple[int, int]] = []
        began = time.perf_counter()
        _, samples_ns = echo.bench(runs, progress)
        lasted_s, ran_ns = time.perf_counter() - began, samples_ns.sum()
        done, totals = [done for done, _ in progress], {total for _, total in progress}
        assert len(progress) <= lasted_s / 0.25
        assert totals <= {runs}
        assert done == sorted(set(done))
        assert all(0 < each <= runs for each in done)
        runs = min(MOST_RUNS, int(runs * 0.5e9 / ran_ns))
    assert progress


def test_the_peak_of_the_runs_is_of_this_process(echo: Worker) -> None:
    reply, _ = echo.bench(RUNS)
    if "run_peak_bytes" in reply["unmet"]:
        assert reply["run_peak_bytes"] is None
        pytest.skip(reply["unmet"]["run_peak_bytes"])
    assert 1_000_000 < reply["run_peak_bytes"] < 1_000_000_000


def test_the_baseline_is_below_the_peak_of_the_load(echo: Worker) -> None:
    assert echo.loaded is not None
    assert echo.loaded.unmet == {}
    assert echo.loaded.baseline_bytes is not None
    assert echo.loaded.load_peak_bytes is not None
    assert 1_000_000 < echo.loaded.baseline_bytes <= echo.loaded.load_peak_bytes < 1_000_000_000


def test_what_a_model_holds_shows_above_the_baseline(place: Place) -> None:
    with workers.loaded(place, place.maker.heavy()) as worker:
        reply, _ = worker.bench(2)
        assert worker.loaded is not None
        assert worker.loaded.baseline_bytes is not None
        peaks = [worker.loaded.load_peak_bytes, reply["run_peak_bytes"]]
        above = max(peak for peak in peaks if peak is not None) - worker.loaded.baseline_bytes
        assert HEAVY_BYTES <= above < 10 * HEAVY_BYTES
