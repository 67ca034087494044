"""What TensorRT writes to its logger, kept, and what we make of it.

TensorRT answers None, and says why to the logger alone. The texts below were collected from its users' reports; each is
a test (tests/agent/worker/trt/test_messages.py).
"""

import collections
import contextlib
import re
import threading
from typing import Any, Callable, Deque, List, NamedTuple, Optional, Pattern, Type

from ...errors import (
    AcceleratorError,
    BuildFailedError,
    EngineMismatchError,
    LoadFailedError,
    ModelRefusedError,
    OutOfMemoryError,
    WorkerError,
)

KEPT_LINES = 50
_QUOTED_LINES = 3

_LOWER_WORKSPACE = "stop other programs of the board, add swap for the build, or lower workspace_mib in its profile"


class Kind(NamedTuple):
    """A text that is known, what it means, and what to do about it."""

    pattern: Pattern[str]
    error: Type[WorkerError]
    meaning: str
    hint: str


def _kind(pattern: str, error: Type[WorkerError], meaning: str, hint: str) -> Kind:
    return Kind(re.compile(pattern), error, meaning, hint)


# The first that is found counts: what names a cause comes before what only says that something failed.
KINDS = (
    _kind(
        r"expecting compute [\d.]+ got compute [\d.]+|incompatible device",
        EngineMismatchError,
        "the engine was built on another kind of device",
        "deploy the model again: the board builds its own engine",
    ),
    _kind(
        r"expecting library version|[Vv]ersion tag does not match|magicTag|MAGIC_TAG|incompatible serialization"
        r"|parsePlan",
        EngineMismatchError,
        "the engine was built by another version of TensorRT, or is damaged",
        "deploy the model again: the board builds its own engine",
    ),
    _kind(
        r"NvRmMemInitNvmap failed: Permission denied|nvmap.*[Pp]ermission denied",
        AcceleratorError,
        "the agent's user may not use the GPU",
        "add it to the groups video and render (where there is one), and start the agent again",
    ),
    _kind(
        r"NvMapMemAlloc\w*: \d+ error 12",
        OutOfMemoryError,
        "the board has not enough memory for the GPU in one piece (nvmap)",
        "stop other programs and the desktop; swap does not help here",
    ),
    _kind(
        r"[Oo]ut ?[Oo]f ?[Mm]emory|cudaErrorMemoryAllocation|bad_alloc|\bOOM\b",
        OutOfMemoryError,
        "the board ran out of memory",
        _LOWER_WORKSPACE,
    ),
    _kind(
        # The first two in 8.x; from 10 on a checker comes before the importers.
        r"No importer registered for op|could not find plugin|No checker registered for op|Cannot find plugin"
        r"|Plugin not found|UNSUPPORTED_NODE",
        ModelRefusedError,
        "the board's TensorRT lacks an operator of the model",
        "export the model without it, or end the model before it",
    ),
    _kind(
        r"TRT only supports symmetric quantization|shiftIsAllZeros",
        ModelRefusedError,
        "the model is quantised with zero points, TensorRT takes symmetric quantisation alone",
        "deploy the model as it was before it was quantised, with --precision int8",
    ),
    _kind(
        r"[Ff][Pp]16 precision has been set for .*fp16 is not configured",
        ModelRefusedError,
        "the model asks for half precision itself",
        "deploy it with --precision fp16",
    ),
    _kind(
        r"[Ii]nt8 precision has been set for .*int8 is not configured",
        ModelRefusedError,
        "the model is quantised to int8 itself",
        "deploy it with --precision int8, or the float model where the GPU has no int8",
    ),
    _kind(
        r"hasImplicitBatchDimension",
        BuildFailedError,
        "the network was made without an explicit batch",
        "this is a fault of boardfit: please report it",
    ),
    _kind(
        r"no optimization profile has been defined",
        ModelRefusedError,
        "the model has dynamic shapes",
        "convert it again, with --input-shape",
    ),
)

_NO_TACTIC = re.compile(r"Could not find any implementation for node (.+?)\.(?=\)|\s|$)")
_SKIPPED_FOR_MEMORY = re.compile(r"Device memory is insufficient|insuff?icient memory")


class Log:
    """The last lines, from any thread; `say` hears each as it comes."""

    def __init__(self) -> None:
        self._lines: Deque[str] = collections.deque(maxlen=KEPT_LINES)
        self._writing = threading.Lock()
        self.say: Optional[Callable[[str], None]] = None

    def add(self, line: str) -> None:
        with self._writing:
            self._lines.append(line)
        self.tell(line)

    def tell(self, line: str) -> None:
        """Lets whoever listens hear it, and raises nothing: an exception here ends the process in TensorRT 8.2."""
        if self.say is not None:
            with contextlib.suppress(OSError):  # the agent is gone
                self.say(line)

    def take(self) -> List[str]:
        """The lines so far, which are then forgotten: what follows is of the next call."""
        with self._writing:
            lines = list(self._lines)
            self._lines.clear()
        return lines


def make_logger(trt: Any, log: Log) -> Any:
    """An ILogger that writes to `log`: warnings and errors to be kept, what it only tells while a build is heard."""
    serious = (trt.ILogger.Severity.WARNING, trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR)

    class Logger(trt.ILogger):  # type: ignore[misc]  # a class of a module that is only known at run time
        def __init__(self) -> None:
            trt.ILogger.__init__(self)  # pybind11 needs this very call

        def log(self, severity: Any, message: str) -> None:
            if severity in serious:
                log.add(message)
            elif severity == trt.ILogger.Severity.INFO:
                log.tell(message)

    return Logger()


def explained(doing: str, lines: List[str], otherwise: Type[WorkerError] = LoadFailedError) -> WorkerError:
    """The error that these lines mean; `otherwise` where none is known. `doing`: "TensorRT 8.2.1 did not load it"."""
    text = "\n".join(lines)
    for kind in KINDS:
        found = kind.pattern.search(text)
        if found:
            return kind.error("%s: %s%s" % (doing, kind.meaning, _quoted([_line_of(text, found.start())])), kind.hint)
    without_tactic = _NO_TACTIC.search(text)
    if without_tactic and _SKIPPED_FOR_MEMORY.search(text):
        meaning = "every way to run the node %s needs more memory than there is" % without_tactic.group(1)
        return OutOfMemoryError("%s: %s%s" % (doing, meaning, _quoted(lines)), _LOWER_WORKSPACE)
    if without_tactic:
        meaning = "there is no way to run the node %s here" % without_tactic.group(1)
        hint = "try another --precision, or more memory: workspace_mib in the board's profile"
        return BuildFailedError("%s: %s%s" % (doing, meaning, _quoted(lines)), hint)
    return otherwise(doing + _quoted(lines), "its own words are above; `host convert` checks the model on this machine")


def _line_of(text: str, at: int) -> str:
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    return text[start : end if end >= 0 else len(text)]


def _quoted(lines: List[str]) -> str:
    if not lines:
        return "; it did not say why"
    return "; it said: " + " | ".join(line.strip() for line in lines[-_QUOTED_LINES:])
