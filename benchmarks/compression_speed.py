"""How long does a compression take? 39 M weights at 95 %, one thread, beside TensorLy's partial_tucker.

Ours is the whole call: fold, spectra, allocation, factors and surgery, from a model in memory to one in memory.
TensorLy gets the ranks that we chose, and only decomposes. Fresh processes in turn, CPU time. Bars: at most 2 s; at
least 8 times as fast at the same error.
"""

import fcntl
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from onnx import numpy_helper

from benchmarks.agents import noise
from benchmarks.verdict import machine, spread, tell
from compression.autoencoder import AutoencoderSpec, Floats, reference_model
from compression.compress import compress

SPEC = AutoencoderSpec(64, (64, 128, 256, 512, 1024, 512))
RATE = 0.95
PAIRS = 3
SWEEPS = 3
SAME_ERROR = 1.005
MOST_S, LEAST_RATIO = 2.0, 8.0

REQUIREMENT = "tensorly==0.9.0"
FOLDER = Path(__file__).parents[1] / ".environments" / REQUIREMENT.replace("==", "-")


class NotInstalledError(Exception):
    """TensorLy cannot be had; the message says why."""


def main() -> bool:
    print(f"Speed of compression: {SPEC.weight_count / 1e6:.1f} M weights at {RATE:.0%}, 1 thread. {machine()}")
    try:
        tensorly = _tensorly()
    except NotInstalledError as error:
        print(f"  without TensorLy: {error}")
        tensorly = None
    with tempfile.TemporaryDirectory() as folder:
        kernels, ranks = Path(folder) / "kernels.npz", Path(folder) / "ranks.json"
        np.savez(kernels, **trained_like(SPEC))  # type: ignore[arg-type]  # numpy types its keywords as flags
        ours: list[dict[str, Any]] = []
        theirs: list[dict[str, Any]] = []
        for _ in range(PAIRS):
            ours.append(_run([str(Path(__file__)), str(kernels)], Path(__file__).parents[1]))
            ranks.write_text(json.dumps(ours[0]["ranks"]), encoding="utf-8")
            if tensorly is not None:
                script = Path(__file__).with_name("tensorly_tucker.py")
                theirs.append(_run([str(script), str(kernels), str(ranks), str(SWEEPS)], tensorly))
    return _verdict(ours, theirs)


def trained_like(spec: AutoencoderSpec, seed: int = 0) -> dict[str, Floats]:
    """Seeded kernels by layer, whose singular values fall along both channel modes as those of a trained net do."""
    rng, kernels = np.random.default_rng(seed), {}
    for layer in spec.layers:
        kernel = rng.standard_normal(layer.kernel_shape, dtype=np.float32)
        for axis in (0, 1):
            turn = np.linalg.qr(rng.standard_normal((kernel.shape[axis],) * 2))[0]
            falling = (turn * (np.arange(kernel.shape[axis]) + 1.0) ** -0.5).astype(np.float32)
            kernel = np.moveaxis(np.tensordot(falling, kernel, (1, axis)), 0, axis)
        kernels[layer.name] = np.ascontiguousarray(kernel)
    return kernels


def ours(kernels_file: str) -> None:
    """In a process of its own: seconds of CPU, and the ranks and errors of the layers that got any."""
    with np.load(kernels_file) as arrays:
        kernels = {f"{layer.name}.weight": arrays[layer.name] for layer in SPEC.layers}
    model = reference_model(SPEC, noise(SPEC.size), seed=0)
    for tensor in model.graph.initializer:
        if tensor.name in kernels:
            tensor.CopyFrom(numpy_helper.from_array(kernels[tensor.name], tensor.name))
    start = time.process_time()
    compressed = compress(model, RATE)
    cpu_s = time.process_time() - start
    rows = [row for row in compressed.table.layers if row.ranks is not None]
    print(
        json.dumps(
            {
                "cpu_s": cpu_s,
                "rate": compressed.table.rate,
                # as the kernel's own axes lie
                "ranks": {row.name: (row.ranks or ())[:: 1 if row.operator == "Conv" else -1] for row in rows},
                "errors": {row.name: row.relative_error for row in rows},
            }
        )
    )


def _verdict(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> bool:
    seconds = [each["cpu_s"] for each in ours]
    print(f"  boardfit: {spread(seconds, ' s', 2)} of CPU, rate {ours[0]['rate']:.4%}")
    fast = tell(
        f"{SPEC.weight_count / 1e6:.1f} M weights in at most {MOST_S:g} s", statistics.median(seconds) <= MOST_S
    )
    if not theirs:
        return fast
    ratios = [their["cpu_s"] / our["cpu_s"] for our, their in zip(ours, theirs, strict=True)]
    errors = [ours[0]["errors"][name] / error for name, error in theirs[0]["errors"].items()]
    their_s = [each["cpu_s"] for each in theirs]
    print(f"  TensorLy, {SWEEPS} sweeps: {spread(their_s, ' s', 2)}, ratio {spread(ratios, '', 1)}")
    print(f"  relative error, boardfit / TensorLy, by layer: {spread(errors, '', 4)}")
    faster = statistics.median(ratios) >= LEAST_RATIO
    same = max(errors) <= SAME_ERROR
    return (
        tell(f"at least {LEAST_RATIO:g} times as fast as TensorLy, errors within {SAME_ERROR:g}", faster and same)
        and fast
    )


def _run(arguments: list[str], path: Path) -> dict[str, Any]:
    """What the script prints, as JSON, in a process with one thread and `path` to import from."""
    # They slow a current numpy down: OpenBLAS finds its best kernels by itself.
    environment = {
        name: value for name, value in os.environ.items() if name not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    }
    one = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**environment, **one, "PYTHONPATH": str(path)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _tensorly() -> Path:
    """The folder it is installed in, by rename when complete. NotInstalledError."""
    FOLDER.parent.mkdir(exist_ok=True)
    with (FOLDER.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if FOLDER.exists():
            return FOLDER
        unfinished = FOLDER.with_name(f".unfinished-{FOLDER.name}")
        shutil.rmtree(unfinished, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--retries=1", f"--target={unfinished}"]
        done = subprocess.run([*pip, REQUIREMENT], capture_output=True, text=True)
        if done.returncode:
            raise NotInstalledError(f"{REQUIREMENT} cannot be installed: {done.stderr.strip().splitlines()[-1]}")
        unfinished.rename(FOLDER)
        return FOLDER


if __name__ == "__main__":
    if len(sys.argv) > 1:
        ours(sys.argv[1])
    else:
        sys.exit(0 if main() else 1)
