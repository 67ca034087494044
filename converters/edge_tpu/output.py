"""What the compiler prints, read: its success with all its figures, or which of its failures it is.

Its texts are documented nowhere; those below are from outputs in public issues, each beside its pattern. Issues are of
https://github.com/google-coral/edgetpu/issues unless they say otherwise.
"""

import re
import signal
from dataclasses import dataclass

from converters.edge_tpu.errors import (
    CompilerCrashedError,
    CompilerTimeoutError,
    DataTypeError,
    EdgeTpuError,
    InternalCompilerError,
    LargeActivationsError,
    ModelRefusedError,
    NothingMappedError,
    NotQuantisedError,
    OperatorVersionError,
    UnexpectedOutputError,
)
from converters.edge_tpu.report import Row
from converters.tflite_file import operator_name

ON_A_CPU = "or run the int8 file on the board's CPU: --cpu"

_VERSION = re.compile(r"^Edge TPU Compiler version (\S+)", re.MULTILINE)
_ROW = re.compile(r"^(?P<operator>[A-Za-z0-9_\-]+)[ \t]+(?P<count>\d+)[ \t]+(?P<status>\S.*?)[ \t\r]*$", re.MULTILINE)
_TABLE = re.compile(r"^Operator[ \t]+Count[ \t]+Status[ \t\r]*$", re.MULTILINE)
_SUCCESS = re.compile(r"^Models? compiled successfully in \d+ ms", re.MULTILINE)
_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
# 45, 147, 631, 845
_OPERATOR_VERSION = re.compile(r"Didn't find op for builtin opcode '(?P<operator>\w+)' version '(?P<version>\d+)'")
# 667, 818, 862: TFLite's words for an operator that came after it
_OPERATOR_NUMBER = re.compile(r"Op builtin_code out of range: (?P<number>\d{1,9})")
# 4, 728
_EXCEPTION = re.compile(r"terminating with uncaught exception of type (?P<what>.+)")
# 718, 829: TFLite's own words, which tell the operator
_ERROR = re.compile(r"^ERROR: (?P<what>.+)", re.MULTILINE)
# 482, 643, 811: the words of the shell that starts it
_SEGMENTATION = re.compile(r"Segmentation fault|Aborted\s+\(core dumped\)")
_SHELLS_SIGNAL = 128
"""A shell ends with this plus the number of the signal that ended its program; a shell starts the compiler (811)."""
_LAST_SIGNAL = 64
"""Linux: signal(7). An exit code beyond that is the program's own."""

_LAST_LINES = 6
_CHARACTERS = 200


@dataclass(frozen=True)
class Summary:
    """The figures of a success, as printed."""

    version: str
    operators: int
    operators_on_cpu: int
    subgraphs: int
    on_chip_bytes: int
    on_chip_remaining_bytes: int
    streamed_bytes: int
    rows: tuple[Row, ...]


def read_output(text: str, exit_code: int) -> Summary:
    """The figures of a compilation that mapped something; else the EdgeTpuError that tells why not."""
    if error := _failure(text, exit_code):
        raise error
    summary = _summary(text)
    mapped = summary.operators - summary.operators_on_cpu
    if mapped <= 0 or summary.subgraphs == 0:
        raise _nothing_mapped(summary.rows, summary.operators)
    return summary


def rows_of(text: str) -> tuple[Row, ...]:
    """The table of operators, of the output or of the log file that lies beside a compiled model."""
    found = _TABLE.search(text)
    if not found:
        return ()
    rows = _ROW.finditer(text, found.end())
    return tuple(Row(row["operator"], int(row["count"]), row["status"]) for row in rows)


def version_of(text: str) -> str:
    """The compiler's own, or "unknown"."""
    found = _VERSION.search(text)
    return found[1] if found else "unknown"


def _failure(text: str, exit_code: int) -> EdgeTpuError | None:
    """In the order of how much each tells."""
    if found := _OPERATOR_VERSION.search(text):
        return OperatorVersionError(found["operator"], int(found["version"]))
    if found := _OPERATOR_NUMBER.search(text):
        return OperatorVersionError(operator_name(int(found["number"])), None)
    if found := _EXCEPTION.search(text):
        return _crashed(f"the exception {found['what'].strip()[:_CHARACTERS]}", text)
    for words, kind, message, hint in _FAILURES:
        if words in text:
            no_reason = ", and gives no reason" if kind is InternalCompilerError else ""
            return kind(message + (_said(text) or no_reason), hint)
    number = -exit_code if exit_code < 0 else exit_code - _SHELLS_SIGNAL
    if 0 < number <= _LAST_SIGNAL or _SEGMENTATION.search(text):
        return _crashed(signal.Signals(number).name if number in set(signal.Signals) else "a signal", text)
    if exit_code or not _SUCCESS.search(text):
        return not_understood(f"it ended with {exit_code} and no success", text)
    return None


def _crashed(what: str, text: str) -> CompilerCrashedError:
    return CompilerCrashedError(
        f"{what} ended the Edge TPU's compiler (version {version_of(text)})",
        f"try once more, as it is not the same each time; change the model's layers, {ON_A_CPU}",
    )


def _said(text: str) -> str:
    """What its errors tell, where there are any; in part, as a line may be long and there may be many."""
    lines = [found["what"].strip()[:_CHARACTERS] for found in _ERROR.finditer(text)][-_LAST_LINES:]
    return f"; it says: {' / '.join(lines)}" if lines else ""


_FAILURES: tuple[tuple[str, type[EdgeTpuError], str, str], ...] = (
    (  # 168, 213, 313
        "Model not quantized",
        NotQuantisedError,
        "the Edge TPU's compiler finds that the model is not quantised",
        "the Edge TPU takes int8 alone: convert it with --precision int8",
    ),
    (  # 686
        "Compilation timeout",
        CompilerTimeoutError,
        "the Edge TPU's compiler ran out of its time, which large feature maps usually cause",
        f"take smaller images or fewer channels, give it longer, {ON_A_CPU}",
    ),
    (  # 439, 449, 608, 653
        "large activation tensors",
        LargeActivationsError,
        "the model's feature maps are too large for the Edge TPU",
        f"take smaller images (say 256x256) or fewer channels in the first layers, {ON_A_CPU}",
    ),
    (  # 829, 831
        "Model failed in Tflite interpreter",
        ModelRefusedError,
        "TFLite, inside the Edge TPU's compiler, cannot run the model",
        f"give every input a size that is known (--input-shape), {ON_A_CPU}",
    ),
    (  # 79, 845
        "Invalid model",
        ModelRefusedError,
        "the Edge TPU's compiler cannot read the model",
        f"convert it again; if that does not help, please report it with the model, {ON_A_CPU}",
    ),
    (  # 47, 92, 157, 173, 211
        "Internal compiler error",
        InternalCompilerError,
        "the Edge TPU's compiler has an internal error",
        f"try once more, as it is not the same each time; take smaller images or simpler layers, {ON_A_CPU}",
    ),
    (  # 800, 903
        "Compilation failed!",
        InternalCompilerError,
        "the Edge TPU's compiler failed",
        f"take smaller images or simpler layers, {ON_A_CPU}",
    ),
)
"""Words of the output, the error they are, what to tell."""


def _summary(text: str) -> Summary:
    """UnexpectedOutputError where a figure is missing, or contradicts another."""
    rows = rows_of(text)
    operators = _count("Total number of operations", text)
    told = re.search(r"^Number of operations that will run on CPU: (\d+)", text, re.MULTILINE)
    left = int(told[1]) if told else sum(row.count for row in rows if not row.mapped)
    if rows and (
        sum(row.count for row in rows) != operators or sum(row.count for row in rows if not row.mapped) != left
    ):
        raise not_understood(f"its table of operators does not add up to {operators}, {left} of them on the CPU", text)
    return Summary(
        version_of(text),
        operators,
        left,
        _count("Number of Edge TPU subgraphs", text),
        _size("On-chip memory used for caching model parameters", text),
        _size("On-chip memory remaining for caching model parameters", text),
        _size("Off-chip memory used for streaming uncached model parameters", text),
        rows,
    )


def _count(label: str, text: str) -> int:
    found = re.search(rf"^{label}: (\d+)\s*$", text, re.MULTILINE)
    if not found:
        raise not_understood(f"it does not tell the {label.lower()}", text)
    return int(found[1])


def _size(label: str, text: str) -> int:
    found = re.search(rf"^{label}: (\d+(?:\.\d+)?)(B|KiB|MiB|GiB)\s*$", text, re.MULTILINE)
    if not found:
        raise not_understood(f"it does not tell the {label.lower()}", text)
    return round(float(found[1]) * _UNITS[found[2]])


def _nothing_mapped(rows: tuple[Row, ...], operators: int) -> NothingMappedError:
    reasons = ", ".join(f"{row.count} {row.operator} ({row.status})" for row in rows[:8]) or "it does not tell why"
    statuses = {row.status for row in rows}
    kind = DataTypeError if statuses == {"Operation is working on an unsupported data type"} else NothingMappedError
    return kind(
        f"the Edge TPU's compiler succeeds, but would run none of the {operators} operators there: {reasons}",
        f"look at the first operator in `host inspect`: it stops all after it; change it, {ON_A_CPU}",
    )


def not_understood(what: str, text: str) -> UnexpectedOutputError:
    """With the compiler's version and its last words."""
    lines = [line.strip()[:_CHARACTERS] for line in text.splitlines() if line.strip()][-_LAST_LINES:]
    return UnexpectedOutputError(
        f"the Edge TPU's compiler (version {version_of(text)}) is not understood: {what}; it said last: "
        + (" / ".join(lines) or "nothing"),
        "boardfit knows version 16.0; with that one, please report this with the model",
    )
