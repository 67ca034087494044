"""What TensorRT writes to its logger is kept, and what is known of it (failures.toml) becomes our errors."""

import threading
import tomllib
from pathlib import Path
from typing import Any

import pytest

from agent.worker.errors import LoadFailedError, OutOfMemoryError, WorkerError
from agent.worker.runtimes._trt.messages import KEPT_LINES, Log, explained, make_logger

FAILURES = tomllib.loads(Path(__file__).with_name("failures.toml").read_text(encoding="utf-8"))["failure"]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure["name"])
def test_a_known_text_is_our_error_with_what_to_do(failure: dict[str, str]) -> None:
    lines = failure["text"].splitlines()
    error = explained("TensorRT 8.2.1 built nothing", lines, UnknownError)
    assert type(error).__name__ == failure["error"]
    assert error.message.startswith("TensorRT 8.2.1 built nothing: ")
    assert error.hint
    assert any(line in error.message for line in lines)


class UnknownError(WorkerError):
    """What it is where nothing is known."""


def test_an_unknown_text_is_quoted() -> None:
    error = explained("TensorRT 10.3.0 did not load it", ["first", "second", "third", "something new"], LoadFailedError)
    assert type(error) is LoadFailedError
    assert error.message == "TensorRT 10.3.0 did not load it; it said: second | third | something new"


def test_silence_is_said() -> None:
    assert explained("TensorRT built nothing", []).message == "TensorRT built nothing; it did not say why"


def test_a_cause_counts_before_what_only_says_that_it_failed() -> None:
    lines = ["Could not find any implementation for node x.", "Cuda Runtime (out of memory)", "Build failed."]
    assert type(explained("it", lines)) is OutOfMemoryError


class FakeTensorRt:
    """ILogger as NVIDIA documents it: `log(severity, msg)` is overridden, and __init__ is called by name."""

    class ILogger:
        class Severity:
            INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

        def __init__(self) -> None:
            self.was_made = True


def test_warnings_are_kept_and_what_it_only_tells_is_heard_while_somebody_listens() -> None:
    log, severity = Log(), FakeTensorRt.ILogger.Severity
    logger: Any = make_logger(FakeTensorRt, log)
    heard: list[str] = []
    assert logger.was_made
    logger.log(severity.INFO, "nobody hears this")
    log.say = heard.append
    for level, text in ((severity.INFO, "told"), (severity.VERBOSE, "not told"), (severity.WARNING, "a warning")):
        logger.log(level, text)
    log.say = None
    logger.log(severity.INTERNAL_ERROR, "bad")
    assert heard == ["told", "a warning"]
    assert log.take() == ["a warning", "bad"]
    assert log.take() == []


def test_the_last_lines_are_kept_whatever_thread_they_come_from() -> None:
    log = Log()
    threads = [threading.Thread(target=lambda: [log.add("line") for _ in range(100)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.take() == ["line"] * KEPT_LINES
