import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bundles
import live
import pytest
from photos import photo
from told import Told

from agent.errors import BoardHeldError
from contract.api import ModelState
from contract.results import FIGURE_KEYS, BenchRow
from host.benching import Known, Request, bench, find_model
from host.client import AgentClient
from host.errors import (
    BoardError,
    InputError,
    ResultsFullError,
    ResultsReadOnlyError,
    UnreachableError,
    UnstoredError,
)
from host.report.values import NOT_MEASURED, why_missing
from host.store import Store

MODELS = {
    "echo": bundles.null(),
    "inspector": bundles.inspector(),
    "slow": bundles.null(delay_ms=20),
    "fails": bundles.null(fail_on_run=7),
    "crashes": bundles.null(crash_on_run=7),
}


@pytest.fixture(autouse=True)
def deployed(agent: live.Agent) -> None:
    """Every model of MODELS."""
    for name, bundle in MODELS.items():
        if name not in agent.service.dataplane.models:
            agent.activate(bundle, name)


def asked(model: str = "echo", **changes: Any) -> Request:
    """Of a board that is not looked at before, however busy this machine is, nor waited for."""
    return Request(**{"model": model, "runs": 20, "interrupt": True, "looks": False, "cool_down_s": 0, **changes})


def reasons(row: BenchRow) -> dict[str, str]:
    return {key: why_missing(row, key) for key, value in row.figures().items() if value is None}


def test_a_trial_is_a_row_with_its_samples(client: AgentClient, store: Store) -> None:
    told = Told()
    [row] = bench(client, store, asked(), told)
    assert store.rows() == [row]
    samples_ns = store.samples(row.id)
    assert len(samples_ns) == 20
    assert row.latency_ms is not None
    assert row.latency_ms.mean == pytest.approx(samples_ns[1:].mean() / 1e6)
    assert row.latency_ms.max == samples_ns[1:].max() / 1e6
    assert row.first_run_ms == samples_ns[0] / 1e6
    assert (row.counted_runs, row.requested_runs, row.trial) == (19, 20, 1)
    assert (row.board, row.model, row.precision, row.through, row.inputs) == (
        "board",
        "echo",
        "fp32",
        "worker",
        "golden",
    )
    assert row.bundle == MODELS["echo"].id
    assert row.environment is not None
    assert row.environment.runtime == "null"
    assert told.notes == []
    assert "board: running" in told.stages
    assert any(total == 20 for _, total in told.done)


@pytest.mark.parametrize("through", ["worker", "http"])
def test_what_compression_did_to_the_model_is_in_its_row(
    client: AgentClient, agent: live.Agent, store: Store, through: str
) -> None:
    """The rate as the model says; what is lost by it as whoever has evaluated it says."""
    plain = bundles.null()
    rated = bundles.Bundle(plain.manifest.model_copy(update={"rate": 0.99}), plain.files)
    agent.activate(rated, "compressed")
    known = Known(float_auc=0.97, float_auc_drop=-0.01, study="line-3", requested_rate=0.99, trial=4)
    [row] = bench(client, store, asked("compressed", runs=3, through=through, known=known), Told())
    assert (row.rate, row.auc, row.float_auc, row.float_auc_drop) == (0.99, None, 0.97, -0.01)
    assert (row.study, row.requested_rate, row.trial) == ("line-3", 0.99, 4)
    assert store.rows() == [row]
    assert not {"rate", "float_auc", "float_auc_drop"} & set(reasons(row))
    client.remove("compressed")


UNEXPLAINED = {"rate", "macs", "auc", "auc_drop", "float_auc", "float_auc_drop"}


def test_every_null_has_its_reason(client: AgentClient, store: Store) -> None:
    for through in ("worker", "http"):
        [row] = bench(client, store, asked(runs=3, through=through), Told())
        unexplained = {key for key, why in reasons(row).items() if why == NOT_MEASURED}
        assert unexplained == UNEXPLAINED
        assert reasons(row)["latency_ms.p99"] == "needs 459 counted runs, has 2"


def test_trials_are_one_session(client: AgentClient, agent: live.Agent, store: Store) -> None:
    for served in agent.service.dataplane.models.values():
        served.last_request_at = None  # a quiet board, that the trials themselves do not make a busy one
    told = Told()
    rows = bench(client, store, asked(trials=3, interrupt=False), told)
    assert [row.trial for row in rows] == [1, 2, 3]
    assert len({row.session for row in rows}) == 1
    assert len({row.id for row in rows}) == 3
    assert store.rows(session=rows[0].session) == rows[::-1]
    assert [note.split(":")[0] for note in told.notes] == ["trial 1 of 3", "trial 2 of 3", "trial 3 of 3"]
    assert told.notes[0].endswith(f" ms, stored as {rows[0].id}")


@pytest.mark.parametrize(("model", "code"), [("fails", "run_failed"), ("crashes", "worker_crashed")])
def test_a_model_that_does_not_run_is_a_row(client: AgentClient, store: Store, model: str, code: str) -> None:
    told = Told()
    rows = bench(client, store, asked(model, trials=3), told)
    assert rows == store.rows()
    [row] = rows
    assert (row.failure_code, row.latency_ms, row.counted_runs) == (code, None, None)
    assert row.failure
    assert store.samples(row.id).size == 0
    assert told.notes == [f"trial 1 of 3: does not run: {row.failure}, stored as {row.id}"]


def test_a_trial_that_fails_keeps_those_before_it(
    client: AgentClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples_ns, asked_for = client.samples_ns, []

    def cut(job: Any) -> bytes:
        asked_for.append(job)
        if len(asked_for) == 2:
            raise UnreachableError("gone", "-")
        return samples_ns(job)

    monkeypatch.setattr(client, "samples_ns", cut)
    told = Told()
    with pytest.raises(UnreachableError):
        bench(client, store, asked(trials=3), told)
    [row] = store.rows()
    assert row.trial == 1
    assert [note.split(":")[0] for note in told.notes] == ["trial 1 of 3"]


def test_an_interrupt_keeps_the_trials_before_it_and_leaves_the_agent_as_it_was(
    client: AgentClient, store: Store
) -> None:
    class Interrupting(Told):
        def stage(self, text: str) -> None:
            super().stage(text)
            if text == "board: running" and self.notes:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        bench(client, store, asked("slow", trials=3), Interrupting())
    assert [row.trial for row in store.rows()] == [1]
    stats = client.stats()
    assert stats.held_by is None
    assert {model.name: model.state for model in stats.models} == dict.fromkeys(MODELS, ModelState.READY)


def test_a_board_in_use_needs_interrupt(client: AgentClient, store: Store) -> None:
    client.infer("echo", bytes(16))
    with pytest.raises(BoardError, match="served a request") as raised:
        bench(client, store, asked(interrupt=False), Told())
    assert raised.value.code == "recent_traffic"
    assert "--interrupt" in raised.value.hint
    assert store.rows() == []
    assert len(bench(client, store, asked(interrupt=True), Told())) == 1


def test_an_unknown_model_and_the_nearest(client: AgentClient, store: Store) -> None:
    with pytest.raises(InputError, match=r"'board' has no model 'ecko'; did you mean 'echo'\?") as raised:
        bench(client, store, asked("ecko"), Told())
    assert raised.value.code == "unknown_model"
    assert raised.value.hint == f"it has {', '.join(sorted(MODELS))}"
    assert find_model(client, "echo").name == "echo"


class TestThroughHttp:
    """What a client of /infer waits for."""

    def test_tensors(self, client: AgentClient, store: Store) -> None:
        told = Told()
        [row] = bench(client, store, asked(through="http"), told)
        assert (row.through, row.inputs, row.counted_runs) == ("http", "noise", 19)
        assert len(store.samples(row.id)) == 20
        assert row.latency_ms is not None
        assert row.latency_ms.mean == pytest.approx(store.samples(row.id)[1:].mean() / 1e6)
        assert row.memory is None
        assert row.environment is not None
        assert row.environment.after is not None
        assert told.done[-1] == (20, 20)

    def test_every_figure_of_the_worker_says_where_it_is_measured(self, client: AgentClient, store: Store) -> None:
        [row] = bench(client, store, asked(through="http"), Told())
        not_there = {key for key in FIGURE_KEYS if why_missing(row, key) == "measured without --through http"}
        assert {"peak_memory_bytes", "accelerator_ms.mean", "convert_ms.mean", "decision_ms.mean"} <= not_there
        assert not any(key.startswith(("latency_ms", "first_run", "weights")) for key in not_there)
        assert row.unmet["flags.throttled"] == "watched without --through http"

    def test_images(self, client: AgentClient, store: Store, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(photo())
        (tmp_path / "b.jpg").write_bytes(photo("JPEG"))
        [row] = bench(client, store, asked("inspector", through="http", inputs=tmp_path), Told())
        assert row.inputs == str(tmp_path)
        assert row.counted_runs == 19

    def test_a_busy_board_is_waited_for_and_not_measured(
        self, client: AgentClient, agent: live.Agent, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(BoardHeldError, "retry_after_s", 0)
        board, infer = agent.service.dataplane.board, client.infer
        asked_at: list[int] = []

        def held_for_a_while(*arguments: Any, **options: Any) -> Any:
            asked_at.append(len(asked_at))
            board.held_by = "somebody" if 5 <= len(asked_at) < 8 else None
            return infer(*arguments, **options)

        monkeypatch.setattr(client, "infer", held_for_a_while)
        told = Told()
        [row] = bench(client, store, asked(through="http"), told)
        assert row.counted_runs == 19
        assert len(asked_at) == 23
        assert sum("held by somebody; waiting" in stage for stage in told.stages) == 3

    def test_a_model_that_fails_while_asked_is_a_row(
        self, client: AgentClient, agent: live.Agent, store: Store
    ) -> None:
        agent.activate(bundles.null(fail_on_run=7), "fails-later")
        [row] = bench(client, store, asked("fails-later", through="http"), Told())
        assert row.failure_code == "run_failed"
        agent.run(agent.service.activator.remove("fails-later"))

    def test_a_model_that_has_failed_for_good_is_not_waited_for(
        self, client: AgentClient, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        models = [
            model.model_copy(update={"state": ModelState.FAILED, "reason": "5 crashes in 60 s"})
            for model in client.models()
        ]
        monkeypatch.setattr(client, "models", lambda: models)
        with pytest.raises(BoardError, match="'echo' has failed on 'board': 5 crashes in 60 s"):
            bench(client, store, asked(through="http"), Told())
        assert store.rows() == []


class TestInputs:
    """--inputs DIR."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "photos"
        folder.mkdir()
        for number in range(3):
            (folder / f"{number}.png").write_bytes(photo(seed=number))
        return folder

    def test_images_are_run_on_and_decided(self, client: AgentClient, store: Store, folder: Path) -> None:
        [row] = bench(client, store, asked("inspector", inputs=folder), Told())
        assert row.inputs == str(folder)
        assert row.decision_ms.mean is not None

    def test_they_are_sent_once(self, client: AgentClient, store: Store, folder: Path) -> None:
        bench(client, store, asked("inspector", inputs=folder, trials=2), Told())
        told = Told()
        bench(client, store, asked("inspector", inputs=folder), told)
        size = (folder / "0.png").stat().st_size
        assert told.done[0] == (size, size)

    def test_the_first_sixteen(self, client: AgentClient, store: Store, folder: Path) -> None:
        for number in range(3, 20):
            (folder / f"{number:02d}.png").write_bytes(photo(seed=number))
        told = Told()
        bench(client, store, asked("inspector", inputs=folder), told)
        assert told.notes == [f"of the 20 images in {folder} the first 16 are used, in turn"]

    def test_a_broken_one_is_named_before_anything_is_measured(
        self, client: AgentClient, store: Store, folder: Path
    ) -> None:
        (folder / "1.png").write_bytes(photo()[:50])
        with pytest.raises(InputError, match=r"photos/1\.png: the PNG file of 50 bytes is broken"):
            bench(client, store, asked("inspector", inputs=folder), Told())
        assert store.rows() == []

    def test_none_there(self, client: AgentClient, store: Store, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="has no image in it"):
            bench(client, store, asked("inspector", inputs=tmp_path), Told())

    def test_a_model_that_takes_tensors(self, client: AgentClient, store: Store, folder: Path) -> None:
        with pytest.raises(InputError, match="--inputs gives images, 'echo' takes tensors"):
            bench(client, store, asked("echo", inputs=folder), Told())


class TestResultsThatCannotBeKept:
    """What was measured is never lost without a word."""

    @pytest.fixture
    def failing_after(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
        def fail(kept: int) -> None:
            add = store.add
            added: list[BenchRow] = []

            def full(row: BenchRow, samples_ns: Any = None) -> None:
                if len(added) == kept:
                    raise ResultsFullError("results.sqlite has no room left on its disk", "free some space")
                added.append(row)
                add(row, samples_ns)

            monkeypatch.setattr(store, "add", full)

        return fail

    def test_read_only_is_told_before_anything_is_measured(
        self, client: AgentClient, store: Store, tmp_path: Path
    ) -> None:
        assert store.rows() == []
        (tmp_path / "results.sqlite").chmod(0o444)
        read_only = Store.open(f"sqlite:///file:{tmp_path / 'results.sqlite'}?mode=ro&uri=true")
        told = Told()
        with pytest.raises(ResultsReadOnlyError):
            bench(client, read_only, asked(), told)
        assert told.stages == []

    def test_a_disk_that_is_full_afterwards(
        self, client: AgentClient, store: Store, failing_after: Callable[[int], None]
    ) -> None:
        failing_after(0)
        with pytest.raises(UnstoredError) as raised:
            bench(client, store, asked(), Told())
        error = raised.value
        assert error.row.latency_ms is not None
        assert error.message == (
            f"result {error.row.id} is measured, but not stored: results.sqlite has no room left on its disk"
        )
        assert (error.code, error.exit_code, error.hint) == ("results_full", 6, "free some space")

    def test_of_several_trials_the_earlier_are_kept(
        self, client: AgentClient, store: Store, failing_after: Callable[[int], None]
    ) -> None:
        failing_after(1)
        with pytest.raises(UnstoredError) as raised:
            bench(client, store, asked(trials=3), Told())
        assert [row.trial for row in store.rows()] == [1]
        assert raised.value.row.trial == 2

    def test_that_a_model_does_not_run_is_not_lost_either(
        self, client: AgentClient, store: Store, failing_after: Callable[[int], None]
    ) -> None:
        failing_after(0)
        with pytest.raises(UnstoredError) as raised:
            bench(client, store, asked("fails"), Told())
        assert raised.value.row.failure_code == "run_failed"
