"""NVIDIA's own ONNX parser and builder, from TensorRT-RTX on the host: no GPU is needed.

It runs in a child process (rtx_child.py): a crash, an abort, a hang or a kill by the system ends that alone. What the
two agree on is one JSON object, which `read_answer` holds the child to.
"""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_S = 120.0
"""The models of this project's tests take under 2 s."""

COMMAND: Sequence[str] = (sys.executable, "-P", str(Path(__file__).with_name("rtx_child.py")))
"""-P: the child's own folder is not searched for modules; environment and site-packages are the parent's."""

INSTALL = "pip install 'boardfit[preflight]'"


@dataclass(frozen=True)
class Refusal:
    """What the parser said of a node; `operator` and `node` are "" where it named none.

    lacks  the parser does not have the operator at all
    """

    operator: str
    node: str
    lacks: bool
    text: str


@dataclass(frozen=True)
class Answer:
    """What parser and builder made of a model; `log` has the library's errors, the last 20."""

    version: str
    parsed: bool
    built: bool
    refusals: tuple[Refusal, ...]
    log: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"TensorRT-RTX {self.version}"


@dataclass(frozen=True)
class NoAnswer:
    """Why there is none: not installed, cannot be imported, crashed, took too long."""

    reason: str


def examine(model: bytes, command: Sequence[str] | None = None, timeout_s: float = TIMEOUT_S) -> Answer | NoAnswer:
    """Parse and build `model`, a self-contained ONNX file; never raises because of what the library does."""
    try:
        done = subprocess.run(command or COMMAND, input=model, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return NoAnswer(f"TensorRT-RTX did not answer within {timeout_s:g} s")
    except OSError as error:
        return NoAnswer(f"TensorRT-RTX could not be started: {error}")
    if done.returncode != 0:
        return NoAnswer(f"TensorRT-RTX {_end(done.returncode)}{_last_line(done.stderr)}")
    try:
        return read_answer(json.loads(done.stdout))
    except (ValueError, KeyError, TypeError) as error:
        return NoAnswer(f"TensorRT-RTX gave no answer that can be read ({type(error).__name__}: {error})")


def read_answer(answer: dict[str, Any]) -> Answer | NoAnswer:
    """The child's JSON object. Raises KeyError, TypeError or ValueError where it is not as agreed."""
    if set(answer) == {"absent"}:
        return NoAnswer(answer["absent"] or f"TensorRT-RTX is not installed: {INSTALL}")
    refusals = tuple(
        Refusal(str(one["operator"]), str(one["node"]), _flag(one["lacks"]), _plain(one["text"]))
        for one in answer["refusals"]
    )
    return Answer(
        version=str(answer["version"]),
        parsed=_flag(answer["parsed"]),
        built=_flag(answer["built"]),
        refusals=tuple(dict.fromkeys(refusals)),  # it repeats itself
        log=tuple(_plain(line) for line in answer["log"]),
    )


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


_SAID = re.compile(r'&& "(?P<said>[^"]+)"\s*$')
"""A failed check is quoted as C++: the condition, and the sentence for people."""


def _plain(text: str) -> str:
    said = _SAID.search(text)
    words = " ".join((said["said"] if said else text).split())
    return "it is not supported" if words == "false" else words.removeprefix("Assertion failed: ")


def _end(returncode: int) -> str:
    if returncode >= 0:
        return f"ended with {returncode}"
    return f"was killed by signal {-returncode}" + (" (out of memory?)" if -returncode == signal.SIGKILL else "")


def _last_line(stderr: bytes) -> str:
    lines = stderr.decode(errors="replace").split("\n")
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f": {said[:200]}" if said else ""
