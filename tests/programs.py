"""Programs of a board that a test plays: shell scripts in a folder that is first on the PATH.

with programs.played(tmp_path, monkeypatch) as board:
    board.write("tegrastats", "echo RAM 1/2MB")
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest


class Programs:
    """`write` makes one; what they note in $NOTES, one line each, is in `notes`."""

    def __init__(self, folder: Path, notes: Path) -> None:
        self.folder = folder
        self._notes = notes

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)

    @property
    def notes(self) -> list[str]:
        return self._notes.read_text(encoding="utf-8").splitlines()


@contextmanager
def played(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Programs]:
    """None may outlive the block."""
    programs = Programs(folder / "bin", folder / "notes")
    programs.folder.mkdir()
    (folder / "notes").touch()
    monkeypatch.setenv("PATH", f"{programs.folder}:/usr/bin:/bin")
    monkeypatch.setenv("NOTES", str(folder / "notes"))
    before = set(psutil.Process().children())
    yield programs
    assert set(psutil.Process().children()) <= before
