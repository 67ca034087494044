"""Agents to ask."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import bundles
import live
import pytest

from contract.tensors import ITEM_BYTES, TensorSpec

SPECS = tuple(TensorSpec.model_validate({"name": dtype, "dtype": dtype, "shape": [2, 3]}) for dtype in ITEM_BYTES)


@pytest.fixture(scope="module")
def shared_agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Agent]:
    with live.listening(tmp_path_factory.mktemp("agent")) as running:
        running.activate(bundles.null(), "plain")
        running.activate(bundles.inspector(wrong=True), "inspector")
        running.activate(bundles.inspector(threshold=None), "uncalibrated")
        running.activate(bundles.null(*SPECS), "every")
        yield running


@pytest.fixture
def agent(shared_agent: live.Agent) -> Iterator[live.Agent]:
    """With the models `plain`, `inspector`, `uncalibrated` and `every` (one input and output of every dtype).

    Whatever a test asks of it: every slot comes back.
    """
    yield shared_agent
    live.eventually(lambda: not any(map(shared_agent.in_flight, shared_agent.service.dataplane.models)))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., live.Agent]]:
    """Starts an agent for one test, with other settings or another profile."""
    with ExitStack() as running:
        yield lambda **changes: running.enter_context(live.listening(tmp_path, **changes))
