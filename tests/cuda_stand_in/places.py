"""A binding of CUDA under one Python, over the stand-in: scenarios.py is run there, in processes of its own."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import cuda_stand_in
from agent import worker_folder

NEWEST_DRIVER = 13000  # a PyCUDA made with the cuda.h of one version needs a driver that is no older
SCENARIOS = Path(__file__).with_name("scenarios.py")


@dataclass(frozen=True)
class Place:
    """`binding`: "libcuda" or "pycuda"; `code`: the folder of the worker's package; `library`: the stand-in."""

    binding: str
    python: str
    code: Path
    library: Path

    def run(self, scenario: str, binding: str | None = None, **changes: str) -> Any:
        """What the scenario says, with these variables of its process changed; it ends well and prints nothing else."""
        said, printed = self.heard(scenario, binding, **changes)
        assert printed == ""
        return said

    def heard(self, scenario: str, binding: str | None = None, **changes: str) -> tuple[Any, str]:
        """What it says, and what was printed to stderr: PyCUDA tells some failures there alone."""
        variables = cuda_stand_in.environment(self.library) | {"PYTHONPATH": str(self.code)} | changes
        ended = subprocess.run(
            [self.python, str(SCENARIOS), scenario, binding or self.binding],
            env=worker_folder.environment(variables),
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout), ended.stderr


def compiled(folder: Path, driver: int = NEWEST_DRIVER) -> Path:
    """The stand-in; skipped where there is no compiler."""
    try:
        return cuda_stand_in.library(folder, driver)
    except cuda_stand_in.NoCompilerError as error:
        pytest.skip(str(error))
