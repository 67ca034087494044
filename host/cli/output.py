"""What goes to stdout, tables and texts alike, and trouble to stderr."""

import errno
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from host.errors import HostError, UnreachableError, UnstoredError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from contract.api import Stats

PIPED_WIDTH = 120
WATCH_EVERY_S = 1.0


def take_any_character() -> None:
    """A character that the terminal's encoding lacks, or a file name that is no text, is shown as a "?"."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def say(text: str) -> None:
    """One line, or several."""
    try:
        click.echo(text)
    except OSError as error:
        _cannot_write(error)


def say_json(value: Any) -> None:
    """For programs: one line of JSON, in ASCII, whatever stdout's encoding is."""
    say(json.dumps(value))


def show(table: "RenderableType") -> None:
    """Prints a table; where stdout is no terminal, as wide as COLUMNS says, or 120."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else shutil.get_terminal_size((PIPED_WIDTH, 24)).columns
    try:
        Console(width=width, highlight=False, soft_wrap=False).print(table)
    except OSError as error:
        _cannot_write(error)


def flush() -> None:
    """Here, where it can be told, rather than as Python ends. HostError; a reader that has left is no error."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _cannot_write(error)


def watch(read: Callable[[], "Stats"], made: Callable[["Stats"], "RenderableType"]) -> None:
    """A table every second until Ctrl-C: in place on a terminal, one after the other elsewhere.

    A board that does not answer is told as such, and asked again.
    """

    def now() -> "RenderableType":
        from host.report.layout import text

        try:
            return made(read())
        except UnreachableError as error:
            return text(f"{error.message}; asking again", "red")

    if not sys.stdout.isatty():
        _every_second(lambda: show(now()))
    from rich.live import Live

    with Live(now(), auto_refresh=False) as shown:
        _every_second(lambda: shown.update(now(), refresh=True))


def watch_json(read: Callable[[], "Stats"]) -> None:
    """A line of JSON every second until Ctrl-C; of a board that does not answer, the error."""

    def tell_now() -> None:
        try:
            say_json(read().model_dump(mode="json"))
        except UnreachableError as error:
            say_json(_form(error))

    _every_second(tell_now)


def tell(error: HostError, as_json: bool) -> None:
    """For a person on stderr; after --json for programs on stdout. What was measured and not stored goes to stdout."""
    with suppress(OSError):  # stdout may be what the error is about
        if isinstance(error, UnstoredError):
            from host.report.records import rows_as_json

            rows = rows_as_json([error.row])
            click.echo(json.dumps({**_form(error), "rows": json.loads(rows)}) if as_json else rows)
        elif as_json:
            click.echo(json.dumps(_form(error)))
    click.echo(f"{click.style('host:', fg='red', bold=True)} {error.message}", err=True)
    click.echo(f"  {click.style('hint:', fg='cyan')} {error.hint}", err=True)


def tell_usage(error: click.ClickException, as_json: bool) -> None:
    """The command line itself is wrong."""
    if as_json:
        form = {"error": error.format_message(), "code": "usage", "hint": "see the command's --help"}
        with suppress(OSError):
            click.echo(json.dumps(form))
    error.show()


def _form(error: HostError) -> dict[str, str]:
    return {"error": error.message, "code": error.code, "hint": error.hint}


def _every_second(work: Callable[[], None]) -> None:
    while True:
        work()
        time.sleep(WATCH_EVERY_S)


def _cannot_write(error: OSError) -> None:
    """Ends the command: quietly where the reader has left, as `head` does; else with an error."""
    # What is still in the buffer would fail again as Python ends, with a message of its own (library/signal.html).
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno == errno.EPIPE:
        sys.exit(1)
    raise HostError(
        f"the output cannot be written: {error.strerror}",
        "make room where it goes, or send it elsewhere",
        "cannot_write",
    ) from error
