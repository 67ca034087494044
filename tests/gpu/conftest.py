"""Boardfit on a real NVIDIA GPU with TensorRT, `pytest -m gpu`; elsewhere these are skipped, with the reason.

Their functions take the place they run in: unmarked, the same runs here over the stand-ins, so that it is known to
work.

`machine`   where an agent's workers, and the benchmarks' processes, find TensorRT
`place`     of tests/conformance, in one of the settings below
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import tensorrt_boards
from conformance import workers
from conformance.conftest import asked as asked
from conformance.conftest import echo as echo
from conformance.conftest import folder as folder
from conformance.conftest import model as model
from conformance.conftest import place as place
from conformance.conftest import probed as probed
from conformance.conftest import runner as runner
from conformance.settings import RUNNING, Setting

from agent.loading import Limits
from benchmarks.gpu import presence
from benchmarks.gpu.board import PROFILE
from compression.example import write_example

GPU = pytest.param("gpu", marks=pytest.mark.gpu)
VERSION = "11"
"""Of the stand-in that runs under this Python."""

REAL_NAME = "trt-gpu"
REAL = pytest.param(Setting(REAL_NAME, RUNNING, "trt"), id="gpu", marks=pytest.mark.gpu)
STAND_IN = pytest.param(
    Setting("trt-stand-in", RUNNING, "trt", partial(tensorrt_boards.stand_ins, version=VERSION)), id="stand-in"
)

_why_no_gpu = cache(presence.why_none)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture of it, and only where one of these is run at all."""
    if item.get_closest_marker("gpu") and (reason := _why_no_gpu()) is not None:
        pytest.skip(reason)


@dataclass(frozen=True)
class Machine:
    """`facts` for live.listening; `variables` for a process of its own. `is_real`: what it measures means something."""

    facts: Mapping[str, Any]
    variables: Mapping[str, str]
    is_real: bool


@pytest.fixture(scope="session", params=["stand-in", GPU])
def machine(request: pytest.FixtureRequest, stand_ins: Path) -> Machine:
    if request.param == "gpu":
        # The profile as it is, but for the Python: the one that was found to have TensorRT.
        facts = {"probed": True, "pythons": ("agent",), "request_timeout_s": 30.0, "queue_length": 8}
        return Machine(facts, {}, is_real=True)
    found = tensorrt_boards.facts(stand_ins, PROFILE, VERSION)
    return Machine(found, found["worker_environment"], is_real=False)


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stand-ins")


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("example")
    write_example(written)
    return written


@pytest.fixture(scope="session")
def pythons() -> dict[str, str]:
    return {RUNNING.name: sys.executable}


@pytest.fixture(scope="session", autouse=True)
def patience() -> Iterator[None]:
    """A real builder times its kernels, and a real driver loads them: minutes, the first time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "LIMITS", Limits(queue_length=3, start_timeout_s=300.0, request_timeout_s=300.0))
        yield
