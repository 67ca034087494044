"""Puts a stand-in for NVIDIA's `tensorrt` where a Python finds it.

    python_path = place(tmp_path / "tensorrt-10.3", "10.3")
    subprocess.run([python, ...], env={..., "PYTHONPATH": str(python_path)})

The folder then holds one package, `tensorrt`, complete in itself: it may be copied or moved. The Python that imports it
is 3.6 or newer and has numpy and onnxruntime (1.10 or newer), which computes. Memory of the device is memory of the
host (tests/cuda_stand_in): an address is where the bytes lie.

`import tensorrt` there gives what that version of NVIDIA's has, and refuses the rest (module/_pybind.py). Environment:

BOARDFIT_TENSORRT_FAULTS    faults, e.g. "build_slow=2,build_killed"; all of them: surface/faults.json
BOARDFIT_CUDA_SM            compute capability where no CUDA driver is loaded, e.g. 87 (else the version's board's)

What was built for shows in the numbers: fp32 gives ONNX Runtime's outputs bit by bit; FP16 rounds float32 outputs to
float16, TF32 (on unless cleared, as in NVIDIA's; from compute capability 8.0 on) to 10 bits of mantissa.
"""

import json
import shutil
from pathlib import Path

HERE = Path(__file__).parent
VERSIONS: tuple[str, ...] = tuple(json.loads((HERE / "surface" / "versions.json").read_bytes())["versions"])
"""8.2, 8.5, 8.6, 10.3, 10.16 and 11, oldest first."""


def place(folder: Path, version: str) -> Path:
    """Makes `folder`, with `version` in it as the package `tensorrt`, and returns it, for PYTHONPATH.

    ValueError for a version there is none of; FileExistsError where the folder has a `tensorrt` already.
    """
    if version not in VERSIONS:
        raise ValueError(f"no stand-in for TensorRT {version!r}: {', '.join(VERSIONS)}")
    package = folder / "tensorrt"
    shutil.copytree(HERE / "module", package, ignore=shutil.ignore_patterns("__pycache__", "ruff.toml"))
    shutil.copytree(HERE / "surface", package / "_surface")
    (package / "_surface" / "version").write_text(version, encoding="utf-8")
    return folder
