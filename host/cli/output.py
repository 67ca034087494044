"""Tables on stdout."""

import shutil
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

PIPED_WIDTH = 120
WATCH_EVERY_S = 1.0


def show(table: "RenderableType") -> None:
    """Prints a table; where stdout is no terminal, as wide as COLUMNS says, or 120."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else shutil.get_terminal_size((PIPED_WIDTH, 24)).columns
    Console(width=width, highlight=False, soft_wrap=False).print(table)


def live(made: Callable[[], "RenderableType"]) -> None:
    """Prints the table every second until Ctrl-C: in place on a terminal, one after the other elsewhere."""
    if not sys.stdout.isatty():
        while True:
            show(made())
            time.sleep(WATCH_EVERY_S)
    from rich.live import Live

    with Live(made(), auto_refresh=False) as shown:
        while True:
            time.sleep(WATCH_EVERY_S)
            shown.update(made(), refresh=True)
