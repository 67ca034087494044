"""Whether this Python has an NVIDIA GPU and TensorRT: asked without boardfit's own code, which is what is under test.

python benchmarks/gpu/presence.py -> the reason why not, or nothing
"""

import ctypes
import importlib
import subprocess
import sys
from pathlib import Path

_DEADLINE_S = 120.0  # a machine's first look at its GPU may start the kernel's driver


def why_none() -> str | None:
    """None where both are there. Asked in a process of its own: this one gets no context, and no libraries of CUDA.

    As a worker of the agent does, it pays no heed to variables PYTHON...
    """
    command = [sys.executable, "-E", str(Path(__file__))]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_DEADLINE_S)
    except subprocess.TimeoutExpired:
        return f"CUDA and TensorRT did not start within {_DEADLINE_S:.0f} s"
    if asked.returncode != 0:
        last = "".join(asked.stderr.strip().splitlines()[-1:])
        return f"to start CUDA and TensorRT ended with status {asked.returncode}: {last}"
    return asked.stdout.strip() or None


def _reason() -> str:
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        return f"there is no driver of an NVIDIA GPU: {error}"
    status, count = int(cuda.cuInit(0)), ctypes.c_int()
    if status:
        return f"the driver finds no NVIDIA GPU: cuInit gives {status}"
    status = int(cuda.cuDeviceGetCount(ctypes.byref(count)))
    if status or not count.value:
        return f"the driver finds no NVIDIA GPU: cuDeviceGetCount gives {status}, and {count.value} of them"
    try:
        importlib.import_module("tensorrt")
    except Exception as error:  # whatever it is, it is the reason
        return f"{sys.executable} has no TensorRT that works: {type(error).__name__}: {error}"
    return ""


if __name__ == "__main__":
    print(_reason())
