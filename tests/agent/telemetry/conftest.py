"""Boards as trees of text files: what a source reads under its root."""

from collections.abc import Callable
from pathlib import Path

import pytest

# /proc of a Debian 12 virtual machine with Linux 6.18, recorded and cut; swap set to what a desktop has.
MEMINFO = """\
MemTotal:       24684096 kB
MemFree:        24425340 kB
MemAvailable:   24381184 kB
Buffers:            1388 kB
SwapCached:            0 kB
SwapTotal:       2097148 kB
SwapFree:        1048572 kB
HugePages_Total:       0
Hugepagesize:       2048 kB
"""
STAT = """\
cpu  6448 0 2865 112876 187 0 46 9 0 0
cpu0 772 0 607 59780 21 0 9 1 0 0
cpu1 5675 0 2257 53096 165 0 37 7 0 0
intr 134466 0 0 0 1
ctxt 204466
btime 1760000000
processes 4573
"""


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """Writes files, by their path below a root, and gives the root."""

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return write


@pytest.fixture
def meminfo() -> str:
    return MEMINFO


@pytest.fixture
def stat() -> str:
    return STAT
