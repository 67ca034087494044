"""What a worker with TensorRT holds: of its own, with libraries of hundreds of megabytes, and of the GPU."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conformance import workers
from conformance.models import HEAVY_BYTES
from conformance.workers import Place, Worker
from gpu.conftest import REAL, REAL_NAME, STAND_IN, Machine

from agent import worker_folder

pytestmark = pytest.mark.timeout(600)
OF_PLACES = pytest.mark.parametrize("place", [STAND_IN, REAL], indirect=True, scope="module")

MOST_BYTES = 8_000_000_000
"""More than CUDA and TensorRT take; a figure in the wrong unit is above."""

LOADS, SETTLED = 50, 10
"""Of a real driver and library the first loads leave what later ones find: kernels, a pool."""

SPARE_BYTES = 16 << 20
"""Other programs use the GPU. A load that left its inputs and outputs alone would show as 50 times 2 MiB: cuMemAlloc
gives pages of that size."""


@OF_PLACES
def test_the_baseline_the_load_and_the_runs_of_this_process(echo: Worker) -> None:
    assert echo.loaded is not None
    assert echo.loaded.unmet == {}
    assert echo.loaded.baseline_bytes is not None
    assert echo.loaded.load_peak_bytes is not None
    assert 1_000_000 < echo.loaded.baseline_bytes <= echo.loaded.load_peak_bytes < MOST_BYTES
    reply, _ = echo.bench(30)
    if reply["run_peak_bytes"] is None:
        assert reply["unmet"]["run_peak_bytes"]  # a kernel that does not let the peak be taken anew
    else:
        assert 1_000_000 < reply["run_peak_bytes"] < MOST_BYTES


@OF_PLACES
def test_what_a_model_holds_shows_on_the_gpu_or_in_the_process(place: Place) -> None:
    """On a GPU with memory of its own the weights are there; the plan was in the process while it was loaded."""
    with workers.loaded(place, place.maker.heavy()) as worker:
        reply, _ = worker.bench(2)
        assert worker.loaded is not None
        assert worker.loaded.baseline_bytes is not None
        assert worker.loaded.load_peak_bytes is not None
        assert worker.loaded.load_peak_bytes - worker.loaded.baseline_bytes >= HEAVY_BYTES
        if place.folder.name == REAL_NAME and reply["accelerator_bytes"] is not None:
            assert HEAVY_BYTES <= reply["accelerator_bytes"] < MOST_BYTES


def test_fifty_loads_leave_nothing_on_the_gpu(machine: Machine, example: Path, tmp_path: Path) -> None:
    code = worker_folder.install(tmp_path)
    folders = [str(code), *filter(None, [machine.variables.get("PYTHONPATH")])]
    environment = worker_folder.environment({**machine.variables, "PYTHONPATH": ":".join(folders)})
    script, source = Path(__file__).with_name("loading.py"), example / "autoencoder.onnx"
    command = [sys.executable, str(script), str(source), str(tmp_path), str(LOADS)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stderr
    free_bytes = json.loads(done.stdout.splitlines()[-1])
    assert len(free_bytes) == LOADS
    settled, last = free_bytes[SETTLED : 2 * SETTLED], free_bytes[-SETTLED:]
    assert max(settled) - max(last) <= (SPARE_BYTES if machine.is_real else 0)
