"""The Pythons that workers are tested under, each with what a board would have, and the agent's own environment.

`python tests/environments.py` prepares under .environments/ what is missing there; a second time it only looks. What
cannot be had is said, and its tests are skipped with that reason: the exit status is 0 all the same.

environments.WORKERS                    every Environment of a worker but the running Python, which needs none
environments.TFLITE                     tflite-runtime 2.14, the last, which numpy 2 is too new for
environments.AGENT                      the running Python with deploy/agent-requirements.txt alone
environments.missing(environment)       why it is not there, to be said as a test is skipped; None where it is
environments.interpreter(environment)   its python
"""

import fcntl
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".environments"
_RUNNING = "{}.{}".format(*sys.version_info)
_AT_ONCE = 4
_DEADLINE_S = 600.0


class NotPreparedError(Exception):
    """There is no such environment on this machine; the message says why."""


@dataclass(frozen=True)
class Environment:
    """A Python of version `python` with `requirements`, in which a worker must offer `runtimes`.

    Without the dependencies of the requirements, or with them: a session of ONNX Runtime needs none but numpy, while
    its wheel names half a gigabyte of others; LiteRT's interpreter likewise.
    """

    name: str
    python: str
    requirements: tuple[str, ...]
    runtimes: frozenset[str] = frozenset({"null", "ort"})
    with_dependencies: bool = False


WITH_TFLITE = frozenset({"null", "ort", "tflite"})
WORKERS = (
    # What Ubuntu 18.04 has as python3-numpy, and so every Jetson Nano.
    Environment("3.6-nano", "3.6", ("numpy==1.13.3",), frozenset({"null"})),
    # The last that there are for each Python, of those that are still made the newest of November 2026.
    Environment("3.6", "3.6", ("numpy==1.19.5", "onnxruntime==1.10.0")),
    Environment("3.7", "3.7", ("numpy==1.21.6", "onnxruntime==1.14.1", "tflite-runtime==2.11.0"), WITH_TFLITE),
    Environment("3.8", "3.8", ("numpy==1.24.4", "onnxruntime==1.19.2")),
    Environment("3.9", "3.9", ("numpy==2.0.2", "onnxruntime==1.19.2")),
    Environment("3.10", "3.10", ("numpy==2.2.6", "onnxruntime==1.23.2")),
    Environment("3.12", "3.12", ("numpy==2.5.5", "onnxruntime==1.32.0")),
    Environment("3.13", "3.13", ("numpy==2.5.5", "onnxruntime==1.32.0", "ai-edge-litert==2.3.0"), WITH_TFLITE),
)
TFLITE = Environment("3.11-tflite", "3.11", ("numpy==1.26.4", "tflite-runtime==2.14.0"), frozenset({"null", "tflite"}))
AGENT = Environment(
    "agent",
    _RUNNING,
    tuple(
        line
        for line in (ROOT / "deploy" / "agent-requirements.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ),
    frozenset({"null"}),
    with_dependencies=True,
)


def missing(environment: Environment) -> str | None:
    """Why it is not there; None where it is."""
    if _is_ready(environment):
        return None
    failure = _failure(environment)
    return failure.read_text(encoding="utf-8") if failure.exists() else "run: python tests/environments.py"


def interpreter(environment: Environment) -> Path:
    """Its python, where it is there."""
    return _interpreter(_folder(environment))


def prepare(*asked: Environment) -> None:
    """Makes those that are missing, several at once, and says how it went."""
    wanted = [environment for environment in asked if not _is_ready(environment)]
    if not wanted:
        return
    with _turn(), ThreadPoolExecutor(_AT_ONCE) as pool:
        for environment, outcome in zip(wanted, pool.map(_outcome, wanted), strict=True):
            print(f"environment {environment.name}: {outcome}", flush=True)


def _outcome(environment: Environment) -> str:
    """How it went, in words."""
    if _is_ready(environment):
        return "ready"  # by somebody else, while this process waited for its turn
    began = time.monotonic()
    try:
        _make(environment)
    except NotPreparedError as error:
        _failure(environment).write_text(str(error), encoding="utf-8")
        return f"skipped: {error}"
    _failure(environment).unlink(missing_ok=True)
    return f"ready after {time.monotonic() - began:.0f} s ({', '.join(environment.requirements)})"


def _make(environment: Environment) -> None:
    """By rename, when all is there: a half of one is never found. NotPreparedError."""
    unfinished = FOLDER / f".unfinished-{environment.name}"
    folder = _folder(environment)
    for leftover in (unfinished, folder):
        if leftover.exists():
            shutil.rmtree(leftover)
    stamp = _stamp(environment)
    _run(str(_base(environment)), "-m", "venv", "--without-pip", str(unfinished))
    (site,) = unfinished.glob("lib/python*/site-packages")
    _run(sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--retries=1", *_what(environment, site))
    if not environment.with_dependencies:  # it works, and is compiled: pip compiles for its own Python alone
        modules = ", ".join(
            requirement.partition("==")[0].replace("-", "_") for requirement in environment.requirements
        )
        _run(str(_interpreter(unfinished)), "-I", "-c", f"import {modules}")
    (unfinished / "stamp").write_text(stamp, encoding="utf-8")
    unfinished.rename(folder)


def _what(environment: Environment, site: Path) -> list[str]:
    """To be installed for another Python by this one's pip: those of 3.6 and 3.7 are too old for today's registries."""
    place = ["--target", str(site), "--only-binary=:all:"]
    if environment.with_dependencies:  # for this Python, then: pip reads their markers with its own version in mind
        return [*place, *environment.requirements]
    version = ["--no-deps", "--no-compile", "--implementation=cp", f"--python-version={environment.python}"]
    return [*place, *version, *(f"--platform={tag}" for tag in _platforms()), *environment.requirements]


def _platforms() -> Iterator[str]:
    """Tags of the wheels that run here (PEP 600, and the names before it), best first."""
    machine = platform.machine()
    glibc_minor = int(platform.libc_ver()[1].split(".")[1])
    for minor in range(glibc_minor, 4, -1):
        yield f"manylinux_2_{minor}_{machine}"
    for legacy in ("manylinux2014", "manylinux2010", "manylinux1"):
        yield f"{legacy}_{machine}"


def _run(*command: str) -> None:
    """NotPreparedError has the last line it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=_DEADLINE_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotPreparedError(str(error)) from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr + error.stdout).strip().splitlines()[-1:]
        what = " ".join(command[1:4])
        raise NotPreparedError(f"{what!r} ended with {error.returncode}: {''.join(said)}") from error


def _base(environment: Environment) -> Path:
    """The interpreter it is made from: the running one, pyenv's newest of that version, or the PATH's."""
    if environment.python == _RUNNING:
        return Path(sys.executable)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [*pyenv.glob(f"versions/{environment.python}.*/bin/python{environment.python}")]
    on_path = shutil.which(f"python{environment.python}")
    if not found and on_path is None:
        raise NotPreparedError(f"there is no Python {environment.python} under {pyenv} or on the PATH")
    return max(found, key=lambda path: path.stat().st_mtime) if found else Path(str(on_path))


def _stamp(environment: Environment) -> str:
    """What it is made of: another text means another environment. NotPreparedError without an interpreter."""
    base = _base(environment).resolve()
    return "\n".join((str(base), str(base.stat().st_mtime_ns), *environment.requirements))


def _is_ready(environment: Environment) -> bool:
    try:
        return (_folder(environment) / "stamp").read_text(encoding="utf-8") == _stamp(environment)
    except (FileNotFoundError, NotPreparedError):
        return False


@contextmanager
def _turn() -> Iterator[None]:
    """One process at a time."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _folder(environment: Environment) -> Path:
    return FOLDER / environment.name


def _failure(environment: Environment) -> Path:
    return FOLDER / f"{environment.name}.failure"


def _interpreter(folder: Path) -> Path:
    return folder / "bin" / "python"


if __name__ == "__main__":
    prepare(*WORKERS, TFLITE, AGENT)
