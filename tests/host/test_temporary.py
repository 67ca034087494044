"""A model on a board for as long as a block lasts."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bundles
import live
import pytest
from told import Told

from contract.api import ModelState
from host.benching import Known, Request, bench
from host.bundle import Bundle
from host.client import AgentClient
from host.deploying import deploy
from host.errors import BoardError, DoesNotRunError, UnreachableError
from host.store import Store
from host.temporary import temporarily

CONTENT = bytes(range(16))
RAW = "application/octet-stream"


def of_null(rate: float | None = None, **faults: Any) -> Bundle:
    made = bundles.null(**faults)
    return Bundle(made.manifest.model_copy(update={"rate": rate}), made.files)


@pytest.fixture
def mine(agent: live.Agent) -> Iterator[str]:
    """A model that the board serves already."""
    agent.activate(bundles.null(source_name="mine"), "mine")
    yield "mine"
    agent.run(agent.service.activator.remove("mine"))


def test_it_is_there_while_the_block_lasts(client: AgentClient) -> None:
    told = Told()
    with temporarily(client, of_null(), told) as (name, activation):
        [info] = client.models()
        assert (info.name, info.temporary) == (name, True)
        assert (activation.model, activation.bundle) == (name, of_null().manifest.bundle_id)
        assert client.infer(name, CONTENT).body == CONTENT
        with temporarily(client, of_null(), Told()) as (other, _):
            assert other != name
    assert client.models() == []
    assert told.notes == []
    assert told.stages[0] == "board: pushing"
    assert "board: loading" in told.stages


def test_who_asks_the_boards_own_model_does_not_notice(client: AgentClient, agent: live.Agent, mine: str) -> None:
    before, told = client.models(), Told()
    with temporarily(client, of_null(wrong=True), told) as (name, _):
        assert agent.infer(CONTENT, RAW).content == CONTENT
        assert client.infer(name, CONTENT).body != CONTENT
    assert client.models() == before
    assert told.notes == []


@pytest.mark.parametrize("trouble", [KeyboardInterrupt, ZeroDivisionError])
def test_it_is_removed_whatever_happens(client: AgentClient, trouble: type[BaseException]) -> None:
    with pytest.raises(trouble), temporarily(client, of_null(), Told()):
        raise trouble
    assert client.models() == []


class Interrupted(Told):
    """Somebody presses Ctrl-C once, as soon as the board begins to load."""

    pressed = False

    def stage(self, text: str) -> None:
        super().stage(text)
        if text == "board: loading" and not self.pressed:
            self.pressed = True
            raise KeyboardInterrupt


def test_an_interrupt_while_it_loads(client: AgentClient) -> None:
    told = Interrupted()
    with pytest.raises(KeyboardInterrupt), temporarily(client, of_null(load_delay_ms=300), told):
        raise AssertionError("it was to be interrupted before")
    assert client.models() == []
    assert told.notes == []


def test_a_model_that_does_not_run_there(client: AgentClient) -> None:
    told = Told()
    with pytest.raises(DoesNotRunError), temporarily(client, of_null(crash_on_load=True), told):
        raise AssertionError("it does not load")
    assert client.models() == []
    assert told.notes == []


def test_one_that_has_expired_meanwhile(client: AgentClient) -> None:
    told = Told()
    with temporarily(client, of_null(), told) as (name, _):
        client.remove(name)
        with pytest.raises(BoardError) as raised:
            client.infer(name, CONTENT)
    assert raised.value.code == "unknown_model"
    assert told.notes == []


def test_one_that_cannot_be_removed_is_told(client: AgentClient, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()

    def cut(_name: str) -> None:
        raise UnreachableError("the agent does not answer", "look")

    with monkeypatch.context() as patched, temporarily(client, of_null(), told) as (name, _):
        patched.setattr(client, "remove", cut)
    client.remove(name)
    [note] = told.notes
    assert note == (
        f"note: {name} is still on board: the agent does not answer; it goes by itself once it has been idle for a "
        f"while, or at once: host remove --board board --model {name}"
    )


@pytest.mark.parametrize("through", ["worker", "http"])
def test_it_is_measured_as_any_other_though_it_has_just_been_asked(
    client: AgentClient, agent: live.Agent, store: Store, mine: str, through: str
) -> None:
    agent.service.dataplane.models[mine].last_request_at = None  # a quiet board
    with temporarily(client, of_null(rate=0.99), Told()) as (name, activation):
        client.infer(name, CONTENT)
        known = Known(float_auc=0.9)
        request = Request(name, runs=20, trials=2, through="http" if through == "http" else "worker", known=known)
        rows = bench(client, store, request, Told())
    assert [row.trial for row in rows] == [1, 2]
    assert all(row.latency_ms is not None for row in rows)
    assert {(row.model, row.bundle, row.rate, row.float_auc) for row in rows} == {(name, activation.bundle, 0.99, 0.9)}
    assert [model.name for model in client.models()] == [mine]


def test_deployed_under_its_name_it_stays(client: AgentClient, store: Store) -> None:
    with temporarily(client, of_null(), Told()) as (name, _):
        deploy(client, name, of_null(), Told(), lambda: store)
        assert not client.models()[0].temporary


_HOST = """
import os, signal, sys
import bundles
from told import Told
from host.bundle import Bundle
from host.client import AgentClient
from host.temporary import temporarily

made = bundles.null()
with AgentClient.connect("board", sys.argv[1], None) as client:
    with temporarily(client, Bundle(made.manifest, made.files), Told()) as (name, _):
        print(name, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_host_that_is_killed_leaves_nothing_behind_for_long(tmp_path: Path) -> None:
    with live.listening(tmp_path, temporary_idle_s=1.0) as agent:
        host = subprocess.run(
            [sys.executable, "-c", _HOST, f"http://127.0.0.1:{agent.port}"],
            cwd=Path(__file__).parents[2],
            env={"PYTHONPATH": ":".join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=False,
        )
        assert host.returncode == -signal.SIGKILL, host.stderr
        assert host.stdout.startswith("temporary-")
        live.eventually(lambda: agent.client.get("/v1/models").json() == [])


def test_for_one_that_is_built_the_others_are_stopped_if_that_is_asked_for(tmp_path: Path) -> None:
    facts, built = bundles.BUILDS.model_copy(update={"alone": True}), bundles.null().to_build()
    bundle = Bundle(built.manifest, built.files)
    with live.listening(tmp_path, token=live.TOKEN, build=facts) as agent:
        agent.activate(bundles.null(), "other")
        with AgentClient.connect("small", f"http://127.0.0.1:{agent.port}", live.TOKEN) as client:
            with pytest.raises(BoardError, match="it serves other"), temporarily(client, bundle, Told()):
                pass
            with temporarily(client, bundle, Told(), stop_others=True) as (_, activation):
                assert activation.build
                assert {model.state for model in client.models()} == {ModelState.READY}
            with temporarily(client, bundle, Told()) as (_, activation):  # the engine is kept
                assert activation.build
                assert activation.build.reason is None
            assert [model.name for model in client.models()] == ["other"]
