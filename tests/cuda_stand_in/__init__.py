"""A stand-in for the library of CUDA's driver: a real libcuda.so.1 that ctypes, PyCUDA or another library can load.

cuda_stand_in.library(folder)           compiles it there, for a process that is started with the library's folder on
cuda_stand_in.environment(library)      ... LD_LIBRARY_PATH: the variables for it
cuda_stand_in.counters(folder)          what a process that was started so holds, or held when it ended

A device address is an address of the host. What is copied on a stream, and an event recorded there, waits until the
stream, the event or the context is synchronised: a stand-in for TensorRT that reads its inputs at once reads rubbish.
As the real one does, it enqueues its work: cuLaunchHostFunc(stream, function, argument) calls `function(argument)` when
its turn comes, and within it no CUDA function may be called.

Set by variables of the process, here with their defaults:

    BOARDFIT_CUDA_SM=87                     the compute capability, 8.7
    BOARDFIT_CUDA_NAME=Stand-in             of the device
    BOARDFIT_CUDA_INTEGRATED=1              it shares the memory of the CPU, as a Jetson's does
    BOARDFIT_CUDA_TOTAL_BYTES=8000000000    more than that is CUDA_ERROR_OUT_OF_MEMORY
    BOARDFIT_CUDA_DEVICES=1                 0: cuInit finds none
    BOARDFIT_CUDA_FAIL=                     "cuMemAlloc_v2:3:2,cuInit:1+:100": the third cuMemAlloc_v2 gives 2, every
                                            cuInit from the first on 100; functions by the names they are exported under
    BOARDFIT_CUDA_COUNTERS=                 a folder: each process keeps a file of its counters there

Counted: `device`, `pinned`, `streams`, `events` that are there, `device_bytes`, `pinned_bytes`, `contexts` (the primary
one, retained and not released), `pushed` (made current and not popped), `waiting` (on streams), `abandoned` (was there
as its context went), and how often each function was called. In the process itself: `const char *boardfit_counters()`
gives the text, `void boardfit_fail(const char *)` is another BOARDFIT_CUDA_FAIL and counts calls from 0 again.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

LEFT = (
    "device",
    "pinned",
    "streams",
    "events",
    "device_bytes",
    "pinned_bytes",
    "contexts",
    "pushed",
    "waiting",
    "abandoned",
)
"""What a process that gave everything back has none of."""

_SOURCE = Path(__file__).with_name("driver.c")


class NoCompilerError(Exception):
    """There is none on this machine; the message says which was looked for."""


def library(folder: Path, driver: int = 12060, cuda_h: Path | None = None) -> Path:
    """`driver`: the version of CUDA, 10020 for 10.2; it decides which functions there are. NoCompilerError.

    With the folder `cuda_h` of a real cuda.h, the compiler compares every function with its prototype there.
    """
    made = folder / "libcuda.so.1"
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise NoCompilerError(f"there is no C compiler {os.environ.get('CC', 'cc')!r} on the PATH")
    real = [] if cuda_h is None else ["-DWITH_CUDA_H", f"-I{cuda_h}"]
    flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-fPIC", "-shared", "-Wl,-soname,libcuda.so.1"]
    command = [compiler, *flags, *real, f"-DDRIVER={driver}", "-o", str(made), str(_SOURCE)]
    compiled = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert compiled.returncode == 0, compiled.stderr
    assert compiled.stderr == ""
    return made


def environment(library: Path, counters: Path | None = None) -> dict[str, str]:
    """For a process that is to find this library, and to keep its counters in that folder."""
    folders = [str(library.parent), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    made = {"LD_LIBRARY_PATH": os.pathsep.join(folders)}
    return made if counters is None else made | {"BOARDFIT_CUDA_COUNTERS": str(counters)}


def counters(folder: Path) -> dict[int, Mapping[str, int]]:
    """Of every process that kept them there, by its process id; also while it runs, and after it was killed."""
    return {int(file.name): parsed(file.read_bytes()) for file in folder.iterdir()}


def parsed(text: bytes) -> Mapping[str, int]:
    """What is not named there is 0."""
    rows = [line.split() for line in text.rstrip(b"\0").decode("ascii").splitlines()]
    return dict.fromkeys(LEFT, 0) | {name: int(value) for name, value in rows}
