"""How boards are told apart: by colour, by mark and by dash, each of which is enough alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from host.report import drawing

FLOAT_MODEL = " float model"
"""Stands where a board's name does, of the AUC that the host measures; no board's name begins with a space."""

_PURPLE = "#CC79A7"
COLOURS = (drawing.BLUE, drawing.VERMILLION, drawing.GREEN, drawing.ORANGE, _PURPLE, drawing.SKY)
"""Okabe's and Ito's (host/report/drawing.py), but for yellow, which is no line on white."""

SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right")
DASHES: tuple[tuple[int, ...], ...] = ((1, 0), (6, 3), (2, 2), (8, 3, 2, 3), (10, 4))
"""Coprime in number: 210 boards before one looks like another."""


@dataclass(frozen=True)
class Style:
    """Of one board. `dash` in pixels: drawn, left out, ..."""

    colour: str
    shape: str
    dash: tuple[int, ...]


def styles(boards: Sequence[str]) -> dict[str, Style]:
    """By board, in their order."""
    return {
        board: Style(COLOURS[place % len(COLOURS)], SHAPES[place % len(SHAPES)], DASHES[place % len(DASHES)])
        for place, board in enumerate(boards)
    }
