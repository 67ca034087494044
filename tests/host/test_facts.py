"""A profile, and what only the board itself can tell."""

from types import SimpleNamespace
from typing import Any, cast

import bundles
import pytest

from contract.api import RuntimeInfo
from contract.profile import read_profile
from host.client import AgentClient
from host.facts import on_board

BUILDING = read_profile("desktop").model_copy(
    update={"runtime": "trt", "build": bundles.BUILDS, "runtime_version": "8.2.1"}
)
MISSING = RuntimeInfo(key="trt", python="/usr/bin/python3", unavailable="no tensorrt")
OLD = RuntimeInfo(key="trt", python="/usr/bin/python3", version="10.3.0")
NEW = RuntimeInfo(key="trt", python="/opt/python3", version="11.0.1")
OTHER = RuntimeInfo(key="ort", python="/usr/bin/python3", version="1.21.0")


def offering(*runtimes: RuntimeInfo) -> AgentClient:
    """A board with these."""
    return cast("AgentClient", SimpleNamespace(agent=lambda: SimpleNamespace(runtimes=runtimes)))


@pytest.mark.parametrize(
    ("offered", "version"),
    [
        ((OLD, NEW), "10.3.0"),  # the Python that the agent would take
        ((MISSING, NEW), "11.0.1"),
        ((OTHER, OLD), "10.3.0"),
        ((MISSING,), "8.2.1"),
        ((OTHER,), "8.2.1"),
        ((), "8.2.1"),
    ],
)
def test_where_the_board_builds_the_version_is_the_boards_own(offered: tuple[RuntimeInfo, ...], version: str) -> None:
    assert on_board(BUILDING, offering(*offered)) == BUILDING.model_copy(update={"runtime_version": version})


def test_where_it_does_not_it_is_not_asked() -> None:
    desktop = read_profile("desktop")
    nobody: Any = None
    assert on_board(desktop, nobody) is desktop
