"""What the tables are made of: columns that fold prose and never cut a figure, text taken as it is, notes below."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

# Columns of names and prose; the others are never cut.
FOLDING = ("What", "Value", "Model", "Source", "Runtime", "File", "Output", "Address")


class Notes:
    """What a cell has no room for, each said once, below the table."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, note: str) -> str:
        """The number of a note, in brackets."""
        return f"({self._numbers.setdefault(note, len(self._numbers) + 1)})"

    def lines(self) -> list["Text"]:
        return [text(f"({number}) {note}") for note, number in self._numbers.items()]


def table(*heads: str, numbers: Iterable[str] = ()) -> "Table":
    """A table with these columns of text, then these of numbers."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    for head in heads:
        made.add_column(head, no_wrap=head not in FOLDING, overflow="fold")
    for head in numbers:
        made.add_column(head, justify="right", no_wrap=True)
    return made


def add_row(shown: "Table", *values: str) -> None:
    """A row of `values` as they are; `Table.add_row` would read them as markup."""
    shown.add_row(*(text(value) for value in values))


def apart(parts: Iterable["RenderableType"]) -> list["RenderableType"]:
    """The parts, an empty line between each two."""
    spaced: list[RenderableType] = []
    for part in parts:
        spaced += [text(""), part] if spaced else [part]
    return spaced


def text(value: str, style: str = "") -> "Text":
    """`value` as it is: never read as markup, the terminal codes that a board's log may have taken away."""
    from rich.text import Text

    return Text(Text.from_ansi(value).plain, style)
