"""Ctrl-C and SIGTERM, on a `host` of its own, the agent of this machine under it: what is left is as it was."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import bundles
import live
import numpy as np
import pytest
import zoo
from shell import Spawned, spawn

from contract.api import BenchRequest, Job
from contract.tensors import TensorSpec
from host.client import AgentClient
from host.store import Store

SIGNALS = pytest.mark.parametrize(
    ("number", "exit_code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "Terminated")]
)


@pytest.fixture(autouse=True)
def deployed(line: live.Agent) -> None:
    """A model of 20 ms, which a bench of many runs takes long to measure."""
    if "slow" not in line.service.dataplane.models:
        line.activate(bundles.null(TensorSpec(name="x", dtype="float32", shape=(1, 4)), delay_ms=20), "slow")


@pytest.fixture
def spawned() -> Iterator[list[Spawned]]:
    """What a test has started: none outlives it."""
    started: list[Spawned] = []
    yield started
    for command in started:
        if command.process.poll() is None:
            command.process.kill()
            command.process.communicate()


@pytest.fixture
def held(client: AgentClient, line: live.Agent) -> Iterator[Job]:
    """The board, held by a bench of somebody else."""
    job = client.bench(BenchRequest(model="slow", runs=100_000, interrupt=True))
    while line.service.dataplane.board.held_by is None:
        time.sleep(0.01)
    yield job
    client._cancel(job, lambda _job: None)


def assert_ended(command: Spawned, number: signal.Signals, exit_code: int, word: str) -> None:
    """By that signal, at once, and with no more words than needed."""
    command.process.send_signal(number)
    found, stdout, stderr = command.end()
    assert found == exit_code, stderr
    assert stdout == ""
    assert "Traceback" not in stderr
    assert stderr.splitlines()[-1] == word


def states(client: AgentClient) -> dict[str, tuple[str, str]]:
    return {model.name: (model.state, model.bundle) for model in client.models()}


@SIGNALS
def test_a_bench(
    client: AgentClient, home: Path, spawned: list[Spawned], number: signal.Signals, exit_code: int, word: str
) -> None:
    before = states(client)
    spawned.append(spawn("bench", "--board", "line-3", "--model", "slow", "--runs", 100_000, home=home))
    spawned[0].until("line-3: running")
    assert client.stats().held_by is not None
    assert_ended(spawned[0], number, exit_code, word)
    assert client.stats().held_by is None  # already: the command has waited until things were put back
    assert states(client) == before
    assert Store.open(home / "data" / "results.sqlite").rows() == []


def test_a_bench_whose_second_trial_is_interrupted(home: Path, spawned: list[Spawned]) -> None:
    spawned.append(spawn("bench", "--board", "line-3", "--model", "slow", "--runs", 10, "--trials", 50, home=home))
    spawned[0].until("trial 1 of 50: mean ")
    spawned[0].until("line-3: running")
    assert_ended(spawned[0], signal.SIGINT, 130, "interrupted")
    assert [row.trial for row in Store.open(home / "data" / "results.sqlite").rows()] == [1]


def test_a_deploy_that_waits_for_a_bench(
    client: AgentClient, line: live.Agent, held: Job, home: Path, tmp_path: Path, spawned: list[Spawned]
) -> None:
    before = states(client)
    path = zoo.save(zoo.convolution(), tmp_path, "new.onnx")
    spawned.append(spawn("deploy", "--board", "line-3", path, home=home))
    spawned[0].until("waiting for a bench of 'slow'")
    assert_ended(spawned[0], signal.SIGHUP, 129, "Hangup")
    client._cancel(held, lambda _job: None)
    assert all(job.state.is_over for job in line.service.jobs._jobs.values())
    assert states(client) == before
    assert not (home / "state" / "last.json").exists()


def test_an_infer_that_waits_for_a_bench(
    client: AgentClient, held: Job, home: Path, tmp_path: Path, spawned: list[Spawned]
) -> None:
    before = states(client)
    np.save(tmp_path / "a.npy", np.ones((1, 4), np.float32))
    words = ["infer", "--board", "line-3", "--model", "slow", tmp_path / "a.npy", "-o", tmp_path / "out"]
    spawned.append(spawn(*words, home=home))
    spawned[0].until("the board is held by a bench of 'slow'; waiting")
    assert_ended(spawned[0], signal.SIGTERM, 143, "Terminated")
    assert states(client) == before
    assert not (tmp_path / "out").exists()


def test_a_watch(home: Path, spawned: list[Spawned]) -> None:
    spawned.append(spawn("stats", "--board", "line-3", "--watch", home=home))
    assert spawned[0].process.stdout is not None
    spawned[0].process.stdout.readline()
    spawned[0].process.send_signal(signal.SIGINT)
    exit_code, _, stderr = spawned[0].end()
    assert (exit_code, stderr) == (0, "")


def test_a_command_that_is_killed_leaves_the_bench_to_end_by_itself(
    client: AgentClient, home: Path, spawned: list[Spawned]
) -> None:
    before = states(client)
    spawned.append(spawn("bench", "--board", "line-3", "--model", "slow", "--runs", 20, home=home))
    spawned[0].until("line-3: running")
    spawned[0].process.kill()
    spawned[0].end()
    while client.stats().held_by is not None:
        time.sleep(0.01)
    assert states(client) == before
