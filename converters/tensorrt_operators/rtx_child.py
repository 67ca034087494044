"""Parse one model with TensorRT-RTX, then try to build it: the program of a child process.

The model comes in on stdin, JSON objects go out on what was stdout, one a line: what the parser says and then, where
that took the model, the same again with what became of the build. `rtx.py` reads them. It imports nothing of ours and
is started by its path, so that only the library has to be found. Text that C++ prints goes to stderr. If memory runs
out, this process is to go first.
"""

import contextlib
import importlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_LIBRARIES = ("tensorrt_rtx", "tensorrt_rtx_bindings")
"""The package NVIDIA documents, and the one that its wheels install."""


def main() -> None:
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    model = sys.stdin.buffer.read()
    library, reason = find_library()
    for said in [{"absent": reason}] if library is None else examine(library, model):
        answer.write(json.dumps(said) + "\n")
        answer.flush()
    os._exit(0)  # what the library does on its way out cannot spoil an answer that is given


def find_library() -> tuple[Any, str]:
    """The first library there is, or why there is none."""
    for name in _LIBRARIES:
        try:
            return importlib.import_module(name), ""
        except ModuleNotFoundError as error:
            if error.name != name:
                return None, f"{name} cannot be imported: {error}"
        except (ImportError, OSError, RuntimeError) as error:  # a library for another glibc, a missing shared object
            return None, f"{name} cannot be imported: {error}"
    return None, ""


def examine(library: Any, model: bytes) -> Iterator[dict[str, Any]]:
    """`built` is null while that is not known; the last answer has it."""
    log: list[str] = []

    class Log(library.ILogger):  # type: ignore[misc]  # known at run time alone
        def __init__(self) -> None:
            library.ILogger.__init__(self)

        def log(self, severity: Any, text: str) -> None:
            if severity <= library.ILogger.Severity.ERROR:
                log.append(text)

    logger = Log()
    builder = library.Builder(logger)
    network = builder.create_network(0)
    parser = library.OnnxParser(network, logger)
    parsed = bool(parser.parse(model))
    answer = {
        "version": library.__version__,
        "parsed": parsed,
        "built": None if parsed else False,
        "refusals": [_refusal(parser, parser.get_error(index)) for index in range(parser.num_errors)],
        "log": log[-20:],
    }
    yield answer
    if parsed:
        built = builder.build_serialized_network(network, builder.create_builder_config()) is not None
        yield {**answer, "built": built, "log": log[-20:]}


def _refusal(parser: Any, error: Any) -> dict[str, Any]:
    """`lacks`: the parser does not have the operator at all."""
    operator = error.node_operator()
    return {
        "operator": operator,
        "node": error.node_name(),
        "lacks": bool(operator) and not parser.supports_operator(operator),
        "text": error.desc(),
    }


if __name__ == "__main__":
    main()
