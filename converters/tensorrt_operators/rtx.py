"""NVIDIA's own ONNX parser and builder, from TensorRT-RTX on the host: no GPU is needed.

It runs in a child process (rtx_child.py): a crash, an abort, a hang or a kill by the system ends that alone. What the
two agree on is a JSON object, which `read_answer` holds the child to.
"""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from threading import Event, Timer
from typing import IO, Any, Self

PARSE_S = 60.0
"""For starting, loading the library and parsing; the models of this project's tests take under 1 s."""

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
    """What parser and builder made of a model; `log` has the library's errors, the last 20.

    built    None where the builder was not asked, or gave no answer
    unbuilt  why that is so, in words; "" where it answered
    """

    version: str
    parsed: bool
    built: bool | None
    refusals: tuple[Refusal, ...]
    log: tuple[str, ...]
    unbuilt: str = ""

    @property
    def name(self) -> str:
        return f"TensorRT-RTX {self.version}"


@dataclass(frozen=True)
class NoAnswer:
    """Why there is none: not installed, cannot be imported, crashed, took too long."""

    reason: str


def examine(
    model: bytes,
    build_s: float,
    on_part: Callable[[str], None] = lambda text: None,
    command: Sequence[str] | None = None,
    parse_s: float = PARSE_S,
) -> Answer | NoAnswer:
    """Parse `model`, a self-contained ONNX file, and try to build it for `build_s` seconds at most; 0: not at all.

    `on_part` hears what is being done. Never raises because of what the library does.
    """
    on_part("parsing with TensorRT-RTX")
    with TemporaryFile() as stderr:
        try:
            child = _Child(command or COMMAND, stderr)
        except OSError as error:
            return NoAnswer(f"TensorRT-RTX could not be started: {error}")
        with child:
            parsed = child.next_line(parse_s, model)
            answer = _answer(parsed) if parsed else NoAnswer(f"TensorRT-RTX {child.end}")
            if not isinstance(answer, Answer) or answer.built is not None:
                return answer
            if not build_s:
                return replace(answer, unbuilt="was not asked")
            on_part(f"building with TensorRT-RTX, for at most {build_s:g} s")
            built = child.next_line(build_s)
            finished = _answer(built) if built else None
            return finished if isinstance(finished, Answer) else replace(answer, unbuilt=child.end)


class _Child:
    """The process that has the library. It is gone when this is left, however it is.

    end  why it said no more, in words
    """

    def __init__(self, command: Sequence[str], stderr: IO[bytes]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)
        self._stderr = stderr
        self.end = "gave no answer that can be read"  # where a line was no answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        with self._process:
            self._process.kill()

    def next_line(self, timeout_s: float, model: bytes | None = None) -> bytes:
        """What it says next, once it has all of `model`; empty where it ends without, or is ended after `timeout_s`."""
        late = Event()

        def stop() -> None:
            late.set()
            self._process.kill()

        timer = Timer(timeout_s, stop)
        timer.start()
        try:
            line = self._conversation(model)
        finally:
            timer.cancel()
        if not line:
            self.end = f"did not end within {timeout_s:g} s" if late.is_set() else self._last_words()
        return line

    def _conversation(self, model: bytes | None) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if model is not None:
            with suppress(BrokenPipeError), self._process.stdin as stdin:  # it may end before it has read all
                stdin.write(model)
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
        return line

    def _last_words(self) -> str:
        self._stderr.seek(0)
        return f"{_end(self._process.returncode)}{_last_line(self._stderr.read())}"


def _answer(line: bytes) -> Answer | NoAnswer:
    try:
        return read_answer(json.loads(line))
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
        built=None if answer["built"] is None else _flag(answer["built"]),
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
        return f"ended with {returncode}" if returncode else "ended without an answer"
    return f"was killed by signal {-returncode}" + (" (out of memory?)" if -returncode == signal.SIGKILL else "")


def _last_line(stderr: bytes) -> str:
    lines = stderr.decode(errors="replace").split("\n")
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f": {said[:200]}" if said else ""
