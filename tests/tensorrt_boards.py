"""Boards with TensorRT as far as this machine can be one: workers over stand-ins for TensorRT and for CUDA's driver.

    facts = tensorrt_boards.facts(tmp_path, "jetson-nano", "8.2")     keys for live.listening(profile="jetson-nano")

What they compute is ONNX Runtime's; what they accept, refuse and need is NVIDIA's (tests/tensorrt_stand_in).
"""

import os
import sys
from pathlib import Path
from typing import Any

import cuda_stand_in
import environments
import pytest
from tensorrt_stand_in.placing import place

from contract.profile import read_profile

# The Python that JetPack 4, 5, 6 and 7 have each version for; None is the running one.
_NAMES = {"8.2": "3.6", "8.5": "3.8", "8.6": "3.10", "10.3": "3.10", "10.16": "3.12", "11": None}
ENVIRONMENTS = {
    version: next((each for each in environments.WORKERS if each.name == name), None)
    for version, name in _NAMES.items()
}
COMPUTE_CAPABILITIES = {"jetson-nano": "53", "orin-nano": "87", "desktop-tensorrt": "89"}


def facts(folder: Path, board: str, version: str, **variables: str) -> dict[str, Any]:
    """What the board's profile needs to find the stand-ins under `folder`. Skips where its Python is not there.

    `variables`: further ones of the workers, e.g. BOARDFIT_TENSORRT_FAULTS.
    """
    environment = {
        **read_profile(board).worker_environment,
        **stand_ins(folder, version),
        "BOARDFIT_CUDA_SM": COMPUTE_CAPABILITIES[board],
        "BOARDFIT_CUDA_INTEGRATED": "0" if board == "desktop-tensorrt" else "1",
        **variables,
    }
    return {
        "pythons": (python(version),),
        "worker_environment": environment,
        "sensors": ("procfs", "thermal"),
        "probed": True,
    }


def stand_ins(folder: Path, version: str) -> dict[str, str]:
    """The variables by which a worker finds both, made under `folder` where they are not there yet."""
    return cuda_stand_in.environment(_driver(folder)) | {"PYTHONPATH": str(_tensorrt(folder, version))}


def python(version: str) -> str:
    """An interpreter as the boards with this TensorRT have it. Skips where there is none."""
    environment = ENVIRONMENTS[version]
    if environment is None:
        return sys.executable
    reason = environments.missing(environment)
    if reason is not None:
        pytest.skip(f"Python {environment.name}: {reason}")
    return os.fspath(environments.interpreter(environment))


def _driver(folder: Path) -> Path:
    made = folder / "driver"
    if not made.exists():
        made.mkdir(parents=True)
        try:
            cuda_stand_in.library(made)
        except cuda_stand_in.NoCompilerError as error:
            pytest.skip(str(error))
    return made / "libcuda.so.1"


def _tensorrt(folder: Path, version: str) -> Path:
    made = folder / f"tensorrt-{version}"
    return made if made.exists() else place(made, version)
