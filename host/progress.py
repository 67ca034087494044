"""How far a long command is: a bar on a terminal, plain lines elsewhere, always on stderr."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    import rich.progress

LINE_EVERY_S = 5.0


class Progress(Protocol):
    """What a flow tells."""

    def stage(self, text: str) -> None:
        """A new piece of work begins; one that goes on under the same name is told once."""

    def advance(self, done: int, total: int) -> None:
        """So much of the piece under way is done."""


class Lines:
    """A line per stage, and one every few seconds within it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._stage = ""
        self._told_at = time.monotonic()

    def stage(self, text: str) -> None:
        if text != self._stage:
            self._stage = text
            self._told_at = time.monotonic()
            print(f"{text} ...", file=self._stream, flush=True)

    def advance(self, done: int, total: int) -> None:
        now = time.monotonic()
        if total and now - self._told_at >= LINE_EVERY_S:
            self._told_at = now
            print(f"{self._stage}: {done:,} of {total:,}", file=self._stream, flush=True)


class Bar:
    """One bar, its stage before it."""

    def __init__(self, bars: "rich.progress.Progress") -> None:
        self._bars = bars
        self._task = bars.add_task("", total=None)

    def stage(self, text: str) -> None:
        if text != self._bars.tasks[self._task].description:
            self._bars.reset(self._task, description=text, total=None)

    def advance(self, done: int, total: int) -> None:
        self._bars.update(self._task, completed=done, total=total or None)


@contextmanager
def shown() -> Iterator[Progress]:
    """The progress of one command, on stderr: stdout is for its result."""
    if not sys.stderr.isatty():
        yield Lines(sys.stderr)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield Bar(bars)
