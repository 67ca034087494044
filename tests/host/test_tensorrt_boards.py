"""A user's way to each board with TensorRT, from the model file to the row: over stand-ins, by every version's own API.

What a board computes here is ONNX Runtime's; nothing of this says how fast or how exact a board is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import live
import numpy as np
import pytest
import tensorrt_boards
import zoo
from onnx import TensorProto, helper
from told import Told

from compression.example import write_example
from contract.api import Activation
from contract.profile import Profile, read_profile
from host.benching import Request as BenchRequest
from host.benching import bench
from host.bundle import Bundle
from host.client import AgentClient
from host.converting import Request, make
from host.deploying import deploy
from host.errors import BoardError, DoesNotRunError, InputError
from host.facts import on_board
from host.store import Store
from host.temporary import temporarily
from host.verifying import verify

BOARDS = [
    ("jetson-nano", "8.2"),
    ("orin-nano", "8.5"),
    ("orin-nano", "8.6"),
    ("orin-nano", "10.3"),
    ("orin-nano", "10.16"),
    ("desktop-tensorrt", "11"),
]
MODEL = "autoencoder-95.onnx"


@dataclass(frozen=True)
class Board:
    """A running one, with what this host knows of it."""

    agent: live.Agent
    client: AgentClient
    profile: Profile
    example: Path
    store: Store

    def deploy(self, precision: str, name: str = "m") -> Activation:
        bundle = converted(self.example, self.profile.name, self.profile.runtime_version, precision)
        return deploy(self.client, name, bundle, Told(), lambda: self.store)


@cache
def converted(example: Path, board: str, version: str | None, precision: str) -> Bundle:
    """Of the example, for a board that was asked for its version; made once for all tests."""
    profile = read_profile(board).model_copy(update={"runtime_version": version})
    request = Request(example / MODEL, {}, precision=precision, calibrate=example / "good")
    return make(request, profile, lambda step: None)


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stand-ins")


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("example")
    write_example(folder)
    return folder


@contextmanager
def running(
    folder: Path, stand_ins: Path, example: Path, board: str, version: str, **variables: str
) -> Iterator[Board]:
    facts = tensorrt_boards.facts(stand_ins, board, version, **variables)
    with (
        live.listening(folder / "data", profile=board, token=live.TOKEN, **facts) as agent,
        AgentClient.connect("board", f"http://127.0.0.1:{agent.port}", live.TOKEN) as client,
    ):
        known = on_board(read_profile(board), client)
        yield Board(agent, client, known, example, Store.open(folder / "results.sqlite"))


@pytest.mark.parametrize(("board", "version"), BOARDS)
def test_from_the_model_to_the_row(board: str, version: str, stand_ins: Path, example: Path, tmp_path: Path) -> None:
    with running(tmp_path, stand_ins, example, board, version) as found:
        assert found.profile.runtime_version is not None
        assert found.profile.runtime_version.startswith(version)
        first = found.deploy("fp16")
        assert first.build is not None
        assert first.build.reason == "the board has none of this model yet"
        assert first.sqnr_db is not None  # half precision is to be seen
        assert first.sqnr_db > first.tolerance_db == 40
        assert first.threshold_board not in (None, first.threshold_model)
        again = found.deploy("fp16", name="m")
        assert (again.unchanged, again.bundle) == (True, first.bundle)
        [row] = bench(found.client, found.store, BenchRequest("m", runs=20, interrupt=True), Told())
        assert row.accelerator_ms.mean is not None
        assert row.latency_ms is not None
        assert 0 < row.accelerator_ms.mean <= row.latency_ms.mean
        assert row.environment is not None
        assert row.environment.runtime_details["cuda_binding"] == "libcuda"
        assert "pageable" in row.environment.runtime_details["host_buffers"]
        assert row.memory is not None
        assert row.memory.build_peak_bytes is not None
        shared = board != "desktop-tensorrt"
        assert (row.memory.accelerator_peak_bytes is None) == shared
        assert row.stopped_models == (("m",) if shared else ())


@pytest.mark.parametrize(("board", "version"), [("jetson-nano", "8.2"), ("orin-nano", "8.6"), ("orin-nano", "10.3")])
def test_64_bit_integers_come_out_of_every_version(
    board: str, version: str, stand_ins: Path, example: Path, tmp_path: Path
) -> None:
    """Below TensorRT 10 an engine has none: the worker makes them of 32 bits."""
    nodes = [helper.make_node("ArgMax", ["x"], ["y"], axis=1, keepdims=0)]
    wide = zoo.tensor("y", (1, 8, 8), TensorProto.INT64)
    model = zoo.save(zoo.model(nodes, [zoo.tensor("x", (1, 3, 8, 8))], [wide]), tmp_path, "argmax.onnx")
    with running(tmp_path, stand_ins, example, board, version) as found:
        bundle = make(Request(model, {}, precision="fp32"), found.profile, lambda step: None)
        assert (bundle.manifest.artifact is not None) == version.startswith("8.")
        activation = deploy(found.client, "m", bundle, Told(), lambda: found.store)
        assert activation.sqnr_db is None


@pytest.mark.parametrize(("board", "version"), [("orin-nano", "10.3"), ("desktop-tensorrt", "11")])
def test_every_precision_of_the_profile(
    board: str, version: str, stand_ins: Path, example: Path, tmp_path: Path
) -> None:
    with running(tmp_path, stand_ins, example, board, version) as found:
        reached = {precision: found.deploy(precision, name=precision) for precision in found.profile.precisions}
    assert set(reached) == {"fp16", "fp32", "tf32", "int8"}
    assert reached["fp32"].sqnr_db is None  # TF32 was switched off: it is on by default, and would show
    for precision in ("fp16", "tf32", "int8"):
        sqnr_db = reached[precision].sqnr_db
        assert sqnr_db is not None
        assert sqnr_db > reached[precision].tolerance_db
    keys = {activation.build.key for activation in reached.values() if activation.build}
    assert len(keys) == 4


def test_int8_is_refused_for_a_nano_with_the_reason_and_without_images_everywhere(tmp_path: Path) -> None:
    model = zoo.save(zoo.convolution(), tmp_path)  # it brings no good images, which would do

    def asked(board: str) -> None:
        make(Request(model, {}, precision="int8"), read_profile(board), lambda step: None)

    with pytest.raises(InputError, match=r"SM 5\.3") as refused:
        asked("jetson-nano")
    assert refused.value.code == "refused_precision"
    with pytest.raises(InputError, match="int8 needs images") as needs:
        asked("orin-nano")
    assert "--calibrate" in needs.value.hint


def test_int8_of_several_inputs_takes_its_ranges_from_tensors(tmp_path: Path) -> None:
    dims = (1, 4, 8, 8)
    nodes = [helper.make_node("Sub", ["a", "b"], ["d"]), helper.make_node("Conv", ["d", "kernel"], ["y"])]
    inputs, outputs = [zoo.tensor(name, dims) for name in "ab"], [zoo.tensor("y", (1, 3, 8, 8))]
    model = zoo.save(zoo.model(nodes, inputs, outputs, [zoo.weights("kernel", 3, 4, 1, 1)]), tmp_path)
    (tmp_path / "tensors").mkdir()
    for number in range(3):
        np.savez(tmp_path / "tensors" / f"{number}.npz", b=np.full(dims, number / 3), a=np.ones(dims))
    request = Request(model, {}, precision="int8", calibrate=tmp_path / "tensors", trial_build_s=0.0)
    manifest = make(request, read_profile("orin-nano"), lambda step: None).manifest
    assert (manifest.golden.source, manifest.golden.count, manifest.provenance.precision) == ("tensors", 3, "int8")


def test_a_nano_asks_before_it_stops_another_model_to_build(stand_ins: Path, example: Path, tmp_path: Path) -> None:
    with running(tmp_path, stand_ins, example, "jetson-nano", "8.2") as found:
        found.deploy("fp16", name="first")
        with pytest.raises(BoardError, match="it serves first") as refused:
            found.deploy("fp32", name="second")
        assert refused.value.code == "build_needs_board"
        assert "--stop-others" in refused.value.hint
        bundle = converted(example, found.profile.name, found.profile.runtime_version, "fp32")
        asked: list[str] = []
        deploy(found.client, "second", bundle, Told(), lambda: found.store, lambda why: bool(asked.append(why)) or True)
        assert len(asked) == 1
        assert {model.name: model.state for model in found.client.models()} == {"first": "ready", "second": "ready"}
        with temporarily(found.client, bundle, Told()):  # its engine is there: nothing has to be stopped
            pass


@pytest.mark.parametrize(("board", "version"), [BOARDS[0], BOARDS[5]])
def test_verify(board: str, version: str, stand_ins: Path, example: Path, tmp_path: Path) -> None:
    with running(tmp_path, stand_ins, example, board, version) as found:
        checks = verify(found.client, found.profile, Told())
        assert [check.what for check in checks if check.failure] == []
        kept = [check.detail for check in checks if check.what == "deployed again"]
        assert len(kept) == 3
        assert all(detail.startswith("engine kept") for detail in kept)


@pytest.mark.parametrize(
    ("fault", "code", "told"),
    [
        ("unsupported_operator=ConvTranspose", "model_refused", "ConvTranspose"),
        ("build_memory_fatal", "out_of_memory", "needs more memory than there is"),
        ("nvmap_exhausted", "out_of_memory", "NvMapMemAlloc"),
        ("build_killed", "worker_crashed", "ran out of memory"),
        ("build_none", "build_failed", "did not say why"),
        ("truncated_plan", "engine_mismatch", "another version of TensorRT, or is damaged"),
        ("other_sm=86", "engine_mismatch", "another kind of device"),
        ("context_none", "out_of_memory", "made no context"),
        ("execute_false", "run_failed", "did not run the engine"),
    ],
)
def test_what_goes_wrong_on_a_board_is_a_result_with_its_reason(
    fault: str, code: str, told: str, stand_ins: Path, example: Path, tmp_path: Path
) -> None:
    faults = {"BOARDFIT_TENSORRT_FAULTS": fault}
    with running(tmp_path, stand_ins, example, "orin-nano", "10.3", **faults) as found:
        with pytest.raises(DoesNotRunError) as failed:
            found.deploy("fp16")
        assert failed.value.code == code
        assert told in failed.value.message
        assert failed.value.hint
        [row] = found.store.rows()
        assert (row.failure_code, row.precision) == (code, "fp16")
        assert found.client.models() == []


def test_a_gpu_that_does_not_start_is_told_apart_from_one_that_is_not_there(
    stand_ins: Path, example: Path, tmp_path: Path
) -> None:
    reasons = {}
    for name, failing in (("broken", "cuInit:1+:999"), ("absent", "cuInit:1+:100")):
        faults = {"BOARDFIT_CUDA_FAIL": failing}
        with running(tmp_path / name, stand_ins, example, "orin-nano", "10.3", **faults) as found:
            [info] = [info for info in found.client.agent().runtimes if info.key == "trt"]
            assert info.unavailable is not None
            reasons[name] = info.unavailable
            with pytest.raises(BoardError):
                found.deploy("fp16")
    assert "CUDA_ERROR_UNKNOWN (999)" in reasons["broken"]
    assert "CUDA_ERROR_NO_DEVICE (100)" in reasons["absent"]
