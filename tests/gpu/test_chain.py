"""A user's way through the profile desktop-tensorrt: deploy in every precision, prove, bench, profile, build anew."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import live
import pytest
from gpu.conftest import GPU, Machine
from told import Told

from benchmarks.gpu.board import PROFILE
from contract.api import Activation
from contract.profile import Profile, read_profile
from contract.results import BenchRow
from host.benching import Request as BenchRequest
from host.benching import bench
from host.bundle import Bundle
from host.client import AgentClient
from host.converting import Request, make
from host.deploying import deploy
from host.errors import DoesNotRunError
from host.facts import on_board
from host.profiling import profile_layers
from host.store import Store
from host.verifying import verify

pytestmark = pytest.mark.timeout(1800)
RUNS = 100
BUFFERS = re.compile(r"(pinned|pageable) \(pinned (\d+\.\d+) ms, pageable (\d+\.\d+) ms for the copies of a run\)")


@dataclass(frozen=True)
class Board:
    """A running agent, with what this host knows of its board."""

    client: AgentClient
    profile: Profile
    store: Store
    data_dir: Path

    def deploy(self, bundle: Bundle, name: str) -> Activation:
        return deploy(self.client, name, bundle, Told(), lambda: self.store)

    def engine(self, activation: Activation) -> Path:
        assert activation.build is not None
        return self.data_dir / "engines" / activation.build.key / "model.engine"


@cache
def converted(example: Path, version: str, precision: str) -> Bundle:
    profile = read_profile(PROFILE).model_copy(update={"runtime_version": version})
    request = Request(example / "autoencoder-95.onnx", {}, precision=precision, calibrate=example / "good")
    return make(request, profile, lambda step: None)


def bundle_for(board: Board, example: Path, precision: str) -> Bundle:
    assert board.profile.runtime_version is not None
    return converted(example, board.profile.runtime_version, precision)


@pytest.fixture
def board(machine: Machine, tmp_path: Path) -> Iterator[Board]:
    with running(machine, tmp_path) as found:
        yield found


@contextmanager
def running(machine: Machine, folder: Path) -> Iterator[Board]:
    with (
        live.listening(folder / "data", profile=PROFILE, token=live.TOKEN, **machine.facts) as agent,
        AgentClient.connect("gpu", f"http://127.0.0.1:{agent.port}", live.TOKEN) as client,
    ):
        profile = on_board(read_profile(PROFILE), client)
        yield Board(client, profile, Store.open(folder / "results.sqlite"), folder / "data")


def test_every_precision_is_built_and_proven_and_runs(board: Board, example: Path) -> None:
    assert set(board.profile.precisions) == {"fp32", "tf32", "fp16", "int8"}
    reached = {each: board.deploy(bundle_for(board, example, each), each) for each in board.profile.precisions}
    for activation in reached.values():
        assert activation.build is not None
        assert activation.build.reason is not None
        assert re.search("none of this model yet|precision is", activation.build.reason)
        assert activation.golden_count == 8
        assert activation.sqnr_db is None or activation.sqnr_db > activation.tolerance_db
        assert activation.threshold_board is not None
    assert reached["fp16"].sqnr_db is not None  # half precision, and 8 bits, are to be seen
    assert reached["int8"].sqnr_db is not None
    assert len({activation.build.key for activation in reached.values() if activation.build}) == 4
    for precision in reached:
        [row] = bench(board.client, board.store, BenchRequest(precision, runs=RUNS, interrupt=True), Told())
        check_row(row)
    layers = profile_layers(board.client, "fp16", 20, interrupt=True, progress=Told()).layers
    assert layers
    assert sum(layer.mean_ms for layer in layers) > 0
    assert all(layer.name and layer.mean_ms >= 0 for layer in layers)


def check_row(row: BenchRow) -> None:
    """The time of the GPU is within that of the run, and the way to the GPU is the one that was faster."""
    assert row.failure is None
    assert (row.requested_runs, row.counted_runs) == (RUNS, RUNS - 1)
    assert row.latency_ms is not None
    assert row.accelerator_ms.mean is not None
    assert 0 < row.accelerator_ms.mean <= row.latency_ms.mean
    assert row.memory is not None
    assert row.memory.build_peak_bytes is not None
    assert row.environment is not None
    details = row.environment.runtime_details
    assert details["cuda_binding"] in ("libcuda", "pycuda")
    assert re.search(r", sm_\d+, CUDA \d+\.\d+$", details["device"])
    assert int(details["scratch_bytes"]) >= 0
    told = BUFFERS.fullmatch(details["host_buffers"])
    assert told is not None, details["host_buffers"]
    chosen, pinned_ms, pageable_ms = told[1], float(told[2]), float(told[3])
    assert chosen == ("pinned" if pinned_ms < pageable_ms else "pageable") or pinned_ms == pageable_ms  # as rounded


def test_an_engine_is_kept_and_a_damaged_one_is_refused_and_built_anew(board: Board, example: Path) -> None:
    bundle = bundle_for(board, example, "fp16")
    first = board.deploy(bundle, "first")
    assert [path.stat().st_size > 0 for path in (board.data_dir / "engines").glob("timing-*.cache")] == [True]
    kept = board.deploy(bundle, "kept")
    assert kept.build is not None
    assert kept.build.reason is None
    engine = board.engine(first)
    engine.write_bytes(bytes(engine.stat().st_size))  # of the right size: only TensorRT can tell
    with pytest.raises(DoesNotRunError) as refused:
        board.deploy(bundle, "damaged")
    assert refused.value.code == "engine_mismatch"
    assert "deploy the model again" in refused.value.hint
    rebuilt = board.deploy(bundle, "rebuilt")
    assert rebuilt.build is not None
    assert rebuilt.build.reason == "the one that was there is damaged"
    assert board.engine(rebuilt) == engine
    assert rebuilt.sqnr_db is None or rebuilt.sqnr_db > rebuilt.tolerance_db
    assert {found.name for found in board.client.models()} == {"first", "kept", "rebuilt"}


@pytest.mark.parametrize("machine", [GPU], indirect=True)  # over a stand-in: tests/host/test_tensorrt_boards.py
def test_verify(board: Board) -> None:
    checks = verify(board.client, board.profile, Told())
    assert [(check.subject, check.what, check.detail) for check in checks if check.failure] == []
    kept = [check.detail for check in checks if check.what == "deployed again"]
    assert len(kept) == 3
    assert all(detail.startswith("engine kept") for detail in kept)
