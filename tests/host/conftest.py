"""Rows to store and to show; an agent to talk to, and a user's home."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import live
import numpy as np
import numpy.typing as npt
import pytest
from low_pass import build_autoencoder

from agent import preflight
from compression.autoencoder import set_inspection
from compression.data.capsule import write_dataset
from compression.data.mvtec import load_images, read_dataset
from contract.results import BenchRow, Conditions, Environment, Latency, Mean, Memory
from host.client import AgentClient
from host.store import Store
from inspection.preprocess import Preprocessing
from inspection.score import Score

START = datetime(2025, 11, 24, 7, 30, 0, 123456, tzinfo=UTC)
LETTERS = "abcdefghjk"

RowMaker = Callable[..., BenchRow]


def _conditions() -> Conditions:
    return Conditions(
        power_mode="15W", temperatures_c={"cpu": 51.5, "gpu": 48.0}, clocks_mhz={"cpu0": 1510.4}, swap_used_bytes=0
    )


def _environment() -> Environment:
    return Environment(
        profile="desktop",
        machine="Bench PC",
        os_image="Debian 12",
        kernel="6.1.0",
        cpu="x86",
        cpu_count=4,
        memory_total_bytes=2**33,
        python="3.11.7",
        runtime="ort",
        runtime_version="1.21.0",
        runtime_options={"threads": 2, "spin": False, "scale": 0.1, "mode": "all"},
        agent_version="0.1.0",
        before=_conditions(),
        after=None,
    )


@pytest.fixture
def make_row() -> RowMaker:
    """``make_row(3, board="coral")``: trial 3, measured at START + 3 min, everything else filled in."""

    def make(trial: int = 1, **changes: object) -> BenchRow:
        row = BenchRow(
            id=f"{LETTERS[trial]}0000001",
            session="s1",
            trial=trial,
            measured_at=START + timedelta(minutes=trial),
            board="desktop",
            model="capsules",
            bundle="3fa9" * 16,
            source_name="capsules.onnx",
            precision="fp32",
            through="worker",
            requested_runs=1000,
            inputs="golden",
            counted_runs=999,
            first_run_ms=34.5,
            latency_ms=Latency(
                mean=12.25, median=12.0, p90=13.0, p95=14.0, p99=15.0, min=11.0, max=0.1 + 0.2 + 16, std=1 / 3
            ),
            steady_from_run=40,
            accelerator_ms=Mean(mean=None),
            convert_ms=Mean(mean=0.25),
            memory=Memory(
                peak_memory_bytes=310 * 2**20,
                model_peak_bytes=9 * 2**20,
                baseline_bytes=301 * 2**20,
                load_peak_bytes=305 * 2**20,
                run_peak_bytes=None,
                accelerator_peak_bytes=None,
                system_delta_peak_bytes=None,
            ),
            weights=3_000_000_000,
            rate=0.99,
            environment=_environment(),
            flags=("throttled", "other_load"),
            stopped_models=("bottle",),
            unmet={"run_peak_bytes": "this kernel does not reset VmHWM"},
        )
        return BenchRow.model_validate({**row.model_dump(), **changes})

    return make


@pytest.fixture
def failed_row(make_row: RowMaker) -> RowMaker:
    """``failed_row(2)``: as make_row, of a model that did not run."""

    def make(trial: int = 1, **changes: object) -> BenchRow:
        none = dict.fromkeys(("counted_runs", "first_run_ms", "latency_ms", "steady_from_run", "memory", "environment"))
        what = {"failure": "no kernel for ConvTranspose", "failure_code": "build_failed"}
        convert = {"convert_ms": {"mean": None}, "unmet": {}, "flags": (), "stopped_models": ()}
        return make_row(trial, **{**none, **what, **convert, **changes})

    return make


@pytest.fixture
def samples_ns() -> npt.NDArray[np.int64]:
    """Of 1000 runs, the first one slow."""
    samples = np.random.default_rng(0).integers(11_000_000, 16_000_000, 1000)
    samples[0] = 34_500_000
    return samples


@pytest.fixture(autouse=True)
def quick_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent in this process watches others' load for no time, and so has nothing to tell of it."""
    monkeypatch.setattr(preflight, "LOAD_WINDOW_S", 0.0)


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Agent]:
    """One for a whole module, with a token: what a test deploys there has a name of its own."""
    with live.listening(tmp_path_factory.mktemp("agent"), token=live.TOKEN) as running:
        yield running


@pytest.fixture
def client(agent: live.Agent) -> Iterator[AgentClient]:
    """Of that agent."""
    with AgentClient.connect("board", f"http://127.0.0.1:{agent.port}", live.TOKEN) as connected:
        yield connected


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Empty results."""
    return Store.open(tmp_path / "results.sqlite")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has nothing yet, on a terminal of 80 columns."""
    monkeypatch.setenv("BOARDFIT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BOARDFIT_RESULTS", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path / "home"


@pytest.fixture(scope="session")
def capsules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 32 x 32 pixels: 8 images to train on, 4 good and 10 defective ones, two of each kind. Not to be
    changed: a test that does copies it.
    """
    folder = tmp_path_factory.mktemp("capsules") / "set"
    write_dataset(folder, seed=3, train=8, good=4, bad=10, size=32)
    return folder


@pytest.fixture(scope="session")
def untrained(capsules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An autoencoder around that data set's mean image, which decides by the smoothed error, above 0.01."""
    dataset, preprocessing = read_dataset(capsules), Preprocessing(height=32, width=32)
    mean = load_images(dataset, dataset.train, preprocessing).mean(axis=0)
    model = build_autoencoder(0, 32, mean)
    set_inspection(model, preprocessing, Score(threshold=0.01))
    path = tmp_path_factory.mktemp("untrained") / "capsules.onnx"
    path.write_bytes(model.SerializeToString())
    return path
