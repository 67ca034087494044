"""Boards as they were recorded (tests/agent/telemetry/boards), built under a root of the test's own.

board = recorded.build("nano-jp46", tmp_path)      board.root, board.commands["tegrastats"]
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent / "agent/telemetry/boards"
NAMES = tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


@dataclass(frozen=True)
class Board:
    """`commands`: what programs print, by their name."""

    root: Path
    commands: dict[str, str]


def build(name: str, root: Path) -> Board:
    """Writes the files of a recorded board below `root`."""
    recorded = tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    for part in recorded["from"]:
        assert part["source"]
        for path, text in part.get("files", {}).items():
            # A string of the device tree ends with a NUL, every other file with a newline.
            _at(root, path).write_text(text if text.endswith("\0") else f"{text}\n", encoding="utf-8")
        for path, target in part.get("links", {}).items():
            _at(root, path).symlink_to(target)
        for path in part.get("unreadable", ()):
            _at(root, path).mkdir()  # whoever reads it gets an OSError, as from EAGAIN or EBUSY
    return Board(root, recorded["commands"])


def _at(root: Path, path: str) -> Path:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    return root / path
