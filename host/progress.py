"""How far a long command is: a bar on a terminal, plain lines elsewhere, always on stderr."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol, TextIO

from contract.api import Job

if TYPE_CHECKING:
    import rich.progress

LINE_EVERY_S = 5.0
SAME_LINE_EVERY_S = 60.0
BAR_EVERY_S = 0.25
_LONGEST_LINE = 60  # of a builder's words beside a bar


class Progress(Protocol):
    """What a flow tells."""

    def stage(self, text: str) -> None:
        """A new piece of work begins; one that goes on under the same name is told once."""

    def advance(self, done: int, total: int, detail: str = "") -> None:
        """So much of the piece under way is done; the total may be unknown (0). `detail` is what there is to say."""

    def note(self, text: str) -> None:
        """Something worth a line that stays."""

    def aside(self) -> AbstractContextManager[None]:
        """Nothing is drawn within: the user is asked something."""


class Lines:
    """A line per stage, and one every few seconds within it: where nothing is new, one a minute, as a sign of life."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._stage = self._told = ""
        self._told_at = time.monotonic()

    def stage(self, text: str) -> None:
        if text != self._stage:
            self._stage = text
            self._told_at = time.monotonic()
            self._print(f"{text} ...")

    def advance(self, done: int, total: int, detail: str = "") -> None:
        if not (total or detail):
            return
        now, text = time.monotonic(), f"{self._stage}: {_count(done, total, detail)}"
        if now - self._told_at >= (SAME_LINE_EVERY_S if text == self._told else LINE_EVERY_S):
            self._told_at, self._told = now, text
            self._print(text)

    def note(self, text: str) -> None:
        self._print(text)

    def aside(self) -> AbstractContextManager[None]:
        return nullcontext()

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class Bar:
    """One bar, its stage before it; drawn so seldom that it does not disturb what is measured beside it."""

    def __init__(self, bars: "rich.progress.Progress") -> None:
        self._bars = bars
        self._told_at = 0.0
        self._begin("")

    def stage(self, text: str) -> None:
        if text != self._stage:
            self._bars.remove_task(self._task)  # a total, once known, cannot be made unknown again
            self._begin(text)

    def advance(self, done: int, total: int, detail: str = "") -> None:
        now = time.monotonic()
        is_last = total and done == total
        if (total or detail) and (is_last or now - self._told_at >= BAR_EVERY_S):
            self._told_at = now
            self._bars.update(self._task, completed=done, total=total or None, count=_count(done, total, detail))

    def note(self, text: str) -> None:
        from rich.text import Text

        self._bars.console.print(Text(text))

    @contextmanager
    def aside(self) -> Iterator[None]:
        self._bars.stop()
        try:
            yield
        finally:
            self._bars.start()

    def _begin(self, text: str) -> None:
        self._stage = text
        self._task = self._bars.add_task(text, total=None, count="")


def _count(done: int, total: int, detail: str) -> str:
    count = (f"{done:,} of {total:,}",) if total else ()
    return ", ".join((*count, *filter(None, (detail,))))


def on_job(board: str, progress: Progress) -> Callable[[Job], None]:
    """Tells of one job on a board, and the last of what a builder there has said in the stage under way."""
    stage, lines_before = "", 0

    def tell(job: Job) -> None:
        nonlocal stage, lines_before
        if job.stage != stage:  # what was said before it was first seen may be of the stage before
            stage, lines_before = job.stage, job.line_count
        line = job.lines[-1].strip()[:_LONGEST_LINE] if job.line_count > lines_before else ""
        progress.stage(f"{board}: {job.stage}")
        progress.advance(job.done, job.total, line)

    return tell


@contextmanager
def shown() -> Iterator[Progress]:
    """The progress of one command, on stderr: stdout is for its result."""
    if not sys.stderr.isatty():
        yield Lines(sys.stderr)
        return
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(*_columns(), console=console, transient=True, refresh_per_second=1 / BAR_EVERY_S) as bars:
        yield Bar(bars)


def _columns() -> Iterator["rich.progress.ProgressColumn"]:
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeRemainingColumn

    yield SpinnerColumn()
    yield TextColumn("{task.description}", markup=False)
    yield BarColumn(bar_width=20)
    yield TextColumn("{task.fields[count]}", markup=False)
    yield TimeRemainingColumn()
