"""A bench whose requests come as parts on a conveyor; one after the other: test_benching.py."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import bundles
import live
import pytest
from told import Told

from agent.errors import BoardHeldError
from contract.results import Load
from host.benching import Request, bench
from host.client import AgentClient
from host.errors import InputError, UnreachableError
from host.load import finding, search
from host.load.conveyor import Conveyor
from host.report.values import NOT_MEASURED, why_missing
from host.store import Store

MODELS = {"echo": bundles.null(), "slow": bundles.null(delay_ms=20)}
PLACES = 16  # in a queue: as many as most tests here have requests, so that none is refused however slow the machine is


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Agent]:
    folder = tmp_path_factory.mktemp("agent")
    with live.listening(folder, token=live.TOKEN, queue_length=PLACES) as running:
        yield running


@pytest.fixture(autouse=True)
def deployed(agent: live.Agent) -> None:
    for name, bundle in MODELS.items():
        if name not in agent.service.dataplane.models:
            agent.activate(bundle, name)


def asked(model: str = "echo", runs: int = 12, per_s: float | None = 100.0, **changes: Any) -> Request:
    conveyor = Conveyor(per_s, changes.pop("deadline_s", 20.0))
    return Request(model, runs, through="http", conveyor=conveyor, **changes)


def load_of(store: Store) -> Load:
    [row] = store.rows()
    assert row.load is not None
    return row.load


def test_a_rate(client: AgentClient, store: Store) -> None:
    told = Told()
    [row] = bench(client, store, asked(per_s=10.0), told)
    assert store.rows() == [row]
    assert row.load == Load(offered_per_s=10.0, deadline_ms=20_000.0, missed=0, missed_share=0.0)
    assert (row.through, row.requested_runs, row.counted_runs) == ("http", 12, 11)
    samples_ns = store.samples(row.id)
    assert len(samples_ns) == 12
    assert row.first_run_ms == samples_ns[0] / 1e6
    assert row.latency_ms is not None
    assert row.latency_ms.mean == pytest.approx(samples_ns[1:].mean() / 1e6)
    assert "client_late" not in row.flags  # each was sent within 2 s, and took less than 50 ms of this host's time
    assert "11 requests at 10/s (600 parts per minute): 1 s" in told.notes
    assert told.done[-1] == (12, 12)


def test_a_host_that_is_busy_is_told(client: AgentClient, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("host.load.step.BUSY_SHARE", 0.0)
    [row] = bench(client, store, asked(), Told())
    assert load_of(store).missed == 0
    assert "client_late" in row.flags


def test_the_deadline_is_the_period(client: AgentClient, store: Store) -> None:
    bench(client, store, asked(deadline_s=None), Told())
    assert load_of(store).deadline_ms == 10.0


def test_what_is_later_than_the_deadline_is_missed(client: AgentClient, store: Store) -> None:
    """A run takes 20 ms at least."""
    [row] = bench(client, store, asked("slow", runs=10, per_s=20.0, deadline_s=0.019), Told())
    assert load_of(store) == Load(offered_per_s=20.0, deadline_ms=19.0, missed=9, missed_share=1.0)
    assert row.counted_runs == 9


def test_every_null_has_its_reason(client: AgentClient, store: Store) -> None:
    [row] = bench(client, store, asked(runs=3), Told())
    reasons = {key: why_missing(row, key) for key, value in row.figures().items() if value is None}
    assert reasons["load.highest_parts_per_minute"] == "not looked for: --rate max does"
    assert reasons["peak_memory_bytes"] == "measured without --through http"
    assert row.unmet["flags.throttled"] == "watched without --through http"
    assert "flags.client_late" not in row.unmet
    [row] = bench(client, store, Request("echo", 3, through="http"), Told())
    assert row.load is None
    reasons = {key: why_missing(row, key) for key in row.figures() if key.startswith("load.")}
    assert set(reasons.values()) == {"without --rate"}
    assert NOT_MEASURED not in reasons.values()


def test_more_than_the_board_can_take_is_refused_and_counted(client: AgentClient, store: Store) -> None:
    """20 ms each, and 64 of them at once: most find the queue full."""
    [row] = bench(client, store, asked("slow", runs=101, per_s=5000.0), Told())
    load = load_of(store)
    assert 0 < load.missed < 100
    assert load.missed_share == load.missed / 100
    assert row.counted_runs == 100 - load.missed
    assert len(store.samples(row.id)) == 101 - load.missed


def test_a_board_that_is_held_meanwhile_misses_all_and_the_run_goes_on(
    client: AgentClient, agent: live.Agent, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer, calls, board = client.infer, [], agent.service.dataplane.board

    def held_after_the_first(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        board.held_by = "somebody" if len(calls) > 1 else None
        return infer(*arguments, **options)

    monkeypatch.setattr(client, "infer", held_after_the_first)
    try:
        [row] = bench(client, store, asked(trials=1), Told())
    finally:
        board.held_by = None
    assert load_of(store) == Load(offered_per_s=100.0, deadline_ms=20_000.0, missed=11, missed_share=1.0)
    assert (row.counted_runs, row.latency_ms, row.failure) == (0, None, None)
    assert row.first_run_ms == store.samples(row.id)[0] / 1e6
    assert why_missing(row, "latency_ms.mean") == "no request on the conveyor was answered"


BusyOn = Callable[[int, int], list[object]]


@pytest.fixture
def busy_on(client: AgentClient, agent: live.Agent, monkeypatch: pytest.MonkeyPatch) -> BusyOn:
    """These two requests find the board held by somebody: 503, to be asked again at once. What is asked comes back."""
    monkeypatch.setattr(BoardHeldError, "retry_after_s", 0)
    infer, board = client.infer, agent.service.dataplane.board

    def busy(*numbers: int) -> list[object]:
        calls: list[object] = []

        def held_then(*arguments: Any, **options: Any) -> Any:
            calls.append(arguments)
            board.held_by = "somebody" if len(calls) in numbers else None
            return infer(*arguments, **options)

        monkeypatch.setattr(client, "infer", held_then)
        return calls

    return busy


def test_before_the_first_run_a_busy_board_is_waited_for(client: AgentClient, store: Store, busy_on: BusyOn) -> None:
    calls = busy_on(1, 2)
    bench(client, store, asked(), Told())
    assert load_of(store).missed == 0
    assert len(calls) == 14


def test_a_model_that_fails_meanwhile_is_a_row_with_the_reason(
    client: AgentClient, agent: live.Agent, store: Store
) -> None:
    agent.activate(bundles.null(fail_on_run=7), "fails-later")
    [row] = bench(client, store, asked("fails-later"), Told())
    assert row.failure_code == "run_failed"
    assert (row.load, row.latency_ms) == (None, None)
    assert why_missing(row, "load.missed").startswith("did not run: ")
    agent.run(agent.service.activator.remove("fails-later"))


def test_a_board_that_goes_away_meanwhile_leaves_nothing(
    client: AgentClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer, calls, lock = client.infer, [], threading.Lock()

    def gone_after_a_while(*arguments: Any, **options: Any) -> Any:
        with lock:
            calls.append(arguments)
        if len(calls) > 5:
            raise UnreachableError("the agent of 'board' does not answer", "-")
        return infer(*arguments, **options)

    monkeypatch.setattr(client, "infer", gone_after_a_while)
    with pytest.raises(UnreachableError):
        bench(client, store, asked(), Told())
    assert store.rows() == []


class TestTheHighestRate:
    @pytest.fixture(autouse=True)
    def few_runs_and_few_rates(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(finding, "runs_needed", lambda _: 11)
        monkeypatch.setattr(search, "WIDEST", 3.0)

    def test_it_is_in_the_row_with_the_figures_at_it(self, client: AgentClient, store: Store) -> None:
        """It is the highest of those tried: within 20 s any board has served what comes here."""
        told = Told()
        [row] = bench(client, store, asked(per_s=None), told)
        load = load_of(store)
        assert load.highest_parts_per_minute == pytest.approx(60 * load.offered_per_s)
        assert (load.missed, load.deadline_ms) == (0, 20_000.0)
        assert row.counted_runs == 11
        assert len(store.samples(row.id)) == 12
        assert any(note.startswith("looking for the highest rate, 11 requests at each: about ") for note in told.notes)
        tried = [note for note in told.notes if " kept" in note]
        assert len(tried) == 4
        assert f"{load.offered_per_s:,.4g}" in tried[-1].split()

    def test_a_board_that_is_busy_before_the_first_rate_is_waited_for(
        self, client: AgentClient, store: Store, busy_on: BusyOn
    ) -> None:
        busy_on(1, 5)
        bench(client, store, asked(per_s=None), Told())
        assert load_of(store).missed == 0

    def test_no_rate_will_do(self, client: AgentClient, store: Store) -> None:
        [row] = bench(client, store, asked("slow", per_s=None, deadline_s=0.019), Told())
        load = load_of(store)
        assert load.highest_parts_per_minute is None
        assert load.missed >= 1
        reason = "p99 was within the deadline at no rate tried"
        assert why_missing(row, "load.highest_parts_per_minute") == reason

    def test_too_few_runs_are_refused_before_anything_is_asked(
        self, client: AgentClient, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client, "infer", None)
        with pytest.raises(InputError, match="10 runs are too few"):
            bench(client, store, asked(runs=10, per_s=None), Told())
        assert store.rows() == []

    def test_an_interrupt_stores_nothing(self, client: AgentClient, store: Store) -> None:
        class Interrupting(Told):
            def note(self, text: str) -> None:
                super().note(text)
                if " kept" in text:
                    raise KeyboardInterrupt

        told = Interrupting()
        with pytest.raises(KeyboardInterrupt):
            bench(client, store, asked(per_s=None), told)
        assert store.rows() == []
        assert " kept" in told.notes[-1]  # what was found so far is there to be read
