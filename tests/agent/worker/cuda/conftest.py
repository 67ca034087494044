"""Both bindings of CUDA over the stand-in driver, each under the Pythons that have it.

`libcuda`    ctypes over the library alone, under the oldest Python of a board and the running one
`place`      the same, and PyCUDA under the Python that cuda_stand_in/compiled_pycuda.py prepares, and under those that
             the variable BOARDFIT_PYCUDA_PYTHON names (`:` between them)
"""

import os
import sys
from pathlib import Path

import environments
import pytest
from cuda_stand_in import compiled_pycuda
from cuda_stand_in.places import Place, compiled

from agent import worker_folder

RUNNING = "running"
OLDEST = next(each for each in environments.WORKERS if each.name == "3.6-nano")
LIBCUDA = [("libcuda", RUNNING), ("libcuda", OLDEST.name)]
OTHERS = [python for python in os.environ.get("BOARDFIT_PYCUDA_PYTHON", "").split(os.pathsep) if python]
PYCUDA = [("pycuda", python) for python in (compiled_pycuda.BASE.name, *OTHERS)]


@pytest.fixture(scope="session")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the worker's package."""
    return worker_folder.install(tmp_path_factory.mktemp("code"))


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("cuda"))


@pytest.fixture(scope="session", params=LIBCUDA, ids="-".join)
def libcuda(request: pytest.FixtureRequest, code: Path, library: Path) -> Place:
    return _place(*request.param, code, library)


@pytest.fixture(scope="session", params=[*LIBCUDA, *PYCUDA], ids="-".join)
def place(request: pytest.FixtureRequest, code: Path, library: Path) -> Place:
    return _place(*request.param, code, library)


def _place(binding: str, python: str, code: Path, library: Path) -> Place:
    known = {
        RUNNING: lambda: (None, sys.executable),
        OLDEST.name: lambda: (environments.missing(OLDEST), environments.interpreter(OLDEST)),
        compiled_pycuda.BASE.name: lambda: (compiled_pycuda.missing(), compiled_pycuda.interpreter()),
    }
    reason, interpreter = known[python]() if python in known else (None, python)
    if reason is not None:
        pytest.skip(f"Python {python}: {reason}")
    return Place(binding, str(interpreter), code, library)
