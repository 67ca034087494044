"""A Python that has PyCUDA: 3.6 with 2020.1, as on a Jetson Nano, compiled here for the stand-in to be its driver.

`python -m cuda_stand_in.compiled_pycuda`, in tests/, prepares it under .environments/, beside those of environments.py:
70 seconds of one core and 80 MB, once. No toolkit of CUDA is needed: its headers are a package. What cannot be had is
said, and the exit status is 0 all the same.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import environments
from environments import Environment

import cuda_stand_in

VERSION = "2020.1"
BASE = Environment("3.6-pycuda", "3.6", ("numpy==1.13.3", "six==1.17.0"), frozenset({"null"}))
TOOLS = (
    "nvidia-cuda-runtime-cu11==11.8.89",  # cuda.h
    "nvidia-cuda-profiler-api-cu11==11.8.86",  # cudaProfiler.h
    "setuptools==59.6.0",  # the last for Python 3.6
)
_SETTINGS = """
CUDA_INC_DIR = {headers!r}
CUDADRV_LIB_DIR = [{library!r}]
CUDA_ENABLE_CURAND = False
USE_SHIPPED_BOOST = True
"""


def missing() -> str | None:
    """Why it is not there, to be said as a test is skipped; None where it is."""
    if environments.missing(BASE) is None and (_site() / "pycuda").exists():
        return None
    return "run `python -m cuda_stand_in.compiled_pycuda` in tests/"


def interpreter() -> Path:
    """Its python, where it is there."""
    return environments.interpreter(BASE)


def prepare() -> str | None:
    """Makes it, unless it is there; why not, where it cannot be had."""
    environments.prepare(BASE)
    reason = environments.missing(BASE)
    if reason is not None or missing() is None:
        return reason
    with tempfile.TemporaryDirectory(dir=environments.FOLDER) as folder:
        try:
            _compile(Path(folder)).rename(_site() / "pycuda")
        except cuda_stand_in.NoCompilerError as error:
            return str(error)
        except subprocess.CalledProcessError as error:
            return f"{error.cmd[:4]} ended with {error.returncode}: {error.stderr.strip()[-300:]}"
    return None


def _compile(folder: Path) -> Path:
    """The compiled package, whole."""
    driver, tools, source, made = (folder / name for name in ("driver", "tools", "source", "made"))
    driver.mkdir()
    (driver / "libcuda.so").symlink_to(cuda_stand_in.library(driver).name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    _run(*pip, "install", "--quiet", "--no-deps", "--only-binary=:all:", f"--target={tools}", *TOOLS)
    # pip asks the source for its name and version, which runs its setup.py once under the running Python.
    _run(*pip, "download", "--quiet", "--no-deps", "--no-binary=pycuda", f"--dest={source}", f"pycuda=={VERSION}")
    shutil.unpack_archive(source / f"pycuda-{VERSION}.tar.gz", source, filter="data")
    unpacked = source / f"pycuda-{VERSION}"
    headers = [str(path) for path in tools.glob("nvidia/*/include")]
    (unpacked / "siteconf.py").write_text(_SETTINGS.format(headers=headers, library=str(driver)))
    build = [str(interpreter()), "setup.py", "--quiet", "build", f"--build-lib={made}"]
    _run(*build, where=unpacked, PYTHONPATH=str(tools), CFLAGS="-O0 -w")
    return made / "pycuda"


def _run(*command: str, where: Path | None = None, **variables: str) -> None:
    environment = {**os.environ, **variables}
    subprocess.run(command, cwd=where, env=environment, check=True, capture_output=True, text=True, timeout=900)


def _site() -> Path:
    (site,) = interpreter().parents[1].glob("lib/python*/site-packages")
    return site


if __name__ == "__main__":
    print("Python 3.6 with PyCUDA:", prepare() or "ready")
