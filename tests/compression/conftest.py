import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from compression.example import ExamplePaths, write_example


@dataclass(frozen=True)
class Example:
    folder: Path
    paths: ExamplePaths
    seconds: float


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    folder = tmp_path_factory.mktemp("example") / "made" / "here"
    start = time.perf_counter()
    paths = write_example(folder)
    return Example(folder, paths, time.perf_counter() - start)
