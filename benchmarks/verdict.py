"""How a benchmark says what it found."""

import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path


def machine() -> str:
    """One line on what it ran on."""
    with Path("/proc/cpuinfo").open() as file:
        cpu = next(
            (line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), platform.machine()
        )
    return f"{cpu}, {os.cpu_count()} CPUs, Linux {platform.release()}, Python {platform.python_version()}"


def tell(bar: str, passed: bool) -> bool:
    print(f"{'PASS' if passed else 'FAIL'}  {bar}\n", flush=True)
    return passed


def spread(values: Sequence[float], unit: str = "", digits: int = 3) -> str:
    """Median, and least to greatest."""
    least, greatest = min(values), max(values)
    return f"{statistics.median(values):.{digits}f}{unit} ({least:.{digits}f} to {greatest:.{digits}f})"
