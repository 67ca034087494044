"""Where the compiler is, and one run of it: in a folder of its own, ended with its children where it takes too long."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from converters.edge_tpu.errors import CompilerAbsentError, CompilerTimeoutError
from converters.edge_tpu.output import ON_A_CPU

PROGRAM = "edgetpu_compiler"
MODEL = "model.tflite"
COMPILED = "model_edgetpu.tflite"
_GRACE_S = 30.0
"""How much longer than the time that it is told itself: it stops by itself, and tells so."""

_HOW_TO_GET_IT = (
    "install it (x86-64 Debian or Ubuntu, from https://packages.cloud.google.com/apt coral-edgetpu-stable, the package "
    "edgetpu-compiler), or run it in a container: --docker, or compile the kept int8 file elsewhere "
    f"(edgetpu_compiler -s FILE) and give the result: --compiled FILE, {ON_A_CPU}"
)


@dataclass(frozen=True)
class Compiler:
    """How a model is compiled for the Edge TPU.

    docker     in a container, which is made the first time (deploys from any machine with Docker)
    compiled   not at all: the user has compiled the model elsewhere, and this is the file
    timeout_s  what the compiler is given for one model; its own default
    """

    docker: bool = False
    compiled: Path | None = None
    timeout_s: float = 180.0


@dataclass(frozen=True)
class Run:
    """How a run of the compiler ended."""

    output: str
    exit_code: int


def flags(folder: str, timeout_s: float) -> list[str]:
    """Every operator's fate is told, the file goes into `folder`; the runtime asked for is the newest, as on Mendel.

    Flags: https://coral.ai/docs/edgetpu/compiler/#usage
    """
    return ["-s", "-o", folder, "--timeout_sec", str(max(1, round(timeout_s))), f"{folder}/{MODEL}"]


def run_from_path(folder: Path, timeout_s: float) -> Run:
    """CompilerAbsentError, CompilerTimeoutError."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise CompilerAbsentError(f"{PROGRAM}, Google's compiler for the Edge TPU, is not on PATH", _HOW_TO_GET_IT)
    return run([program, *flags(str(folder), timeout_s)], folder, timeout_s)


def run(command: Sequence[str], folder: Path, timeout_s: float, on_kill: Callable[[], None] = lambda: None) -> Run:
    """One run to its end, stderr among stdout. Whatever ends it early, Ctrl-C too, leaves no process behind.

    `on_kill` ends what is not among the children. CompilerTimeoutError.
    """
    with (folder / "output").open("w+b") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            exit_code = process.wait(timeout_s + _GRACE_S)
        except subprocess.TimeoutExpired as expired:
            raise CompilerTimeoutError(
                f"the Edge TPU's compiler did not end within {expired.timeout:.0f} s",
                f"take smaller images or simpler layers, {ON_A_CPU}",
            ) from expired
        finally:
            ended = process.returncode is not None
            _end(process)
            if not ended:
                on_kill()
        output.seek(0)
        return Run(output.read(_MOST_OUTPUT_BYTES).decode("utf-8", "replace"), exit_code)


_MOST_OUTPUT_BYTES = 2**24


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Of the process, which leads a group of its own, also the children that outlive it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
