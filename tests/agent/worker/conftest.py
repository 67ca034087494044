"""What a worker shares with the agent."""

import mmap
from collections.abc import Iterator

import pytest


@pytest.fixture
def arena() -> Iterator[mmap.mmap]:
    with mmap.mmap(-1, 1 << 16) as memory_map:
        yield memory_map
