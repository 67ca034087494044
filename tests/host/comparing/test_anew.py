from pathlib import Path

import bundles
import live
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from told import Told

from contract.results import BenchRow, Load
from host.benching import Request, Through, bench
from host.client import AgentClient
from host.comparing.anew import Anew, compare_anew, find_pair, measure_anew, order
from host.comparing.comparison import compare
from host.comparing.runs import find_runs
from host.errors import DoesNotRunError, InputError
from host.store import Store
from host.study.records import model_path, taught_path
from host.study.spec import folder_of


@pytest.fixture(autouse=True)
def deployed(agent: live.Agent) -> None:
    """`slow` and `fast`, a copy of `fast`, and one that fails in its 7th run."""
    fast = bundles.null()
    models = {"slow": bundles.null(delay_ms=4), "fast": fast, "same": fast, "fails": bundles.null(fail_on_run=7)}
    for name, bundle in models.items():
        if name not in agent.service.dataplane.models:
            agent.activate(bundle, name)


def benched(client: AgentClient, store: Store, model: str, through: Through = "http") -> BenchRow:
    """Through HTTP it takes no fresh worker, which is quicker."""
    [row] = bench(client, store, Request(model, 6, through=through, interrupt=True), Told())
    return row


def test_both_are_measured_again_in_turn(client: AgentClient, store: Store) -> None:
    pair = find_pair(store, benched(client, store, "slow").id, benched(client, store, "fast").id)
    told = Told()
    asked = Anew(3, seed=7, interrupt=True)
    made = compare_anew(client, store, pair, asked, told, allow_different_environment=True)
    assert (made.how, made.seed) == ("pairs", 7)
    assert [row.model for row in (*made.a.rows, *made.b.rows)] == ["slow"] * 3 + ["fast"] * 3
    assert [row.trial for row in made.a.rows] == [row.trial for row in made.b.rows] == [1, 2, 3]
    assert made.figures[0].gain is not None
    new = sorted(store.rows(session=made.a.row.session), key=lambda row: row.measured_at)
    taken = [{"slow": "A", "fast": "B"}[row.model] for row in new]
    assert [tuple(taken[at : at + 2]) for at in (0, 2, 4)] == order(3, 7)
    assert told.notes[0] == f"order of seed 7: {' '.join(''.join(each) for each in order(3, 7))}"
    stored = [note for note in told.notes if note.startswith("pair ")]
    assert all(row.id in note for row, note in zip(new, stored, strict=True))
    assert sum(stage.startswith("board: looking") for stage in told.stages) == 1


def test_what_was_measured_anew_compares_the_same_later(client: AgentClient, store: Store) -> None:
    pair = find_pair(store, benched(client, store, "slow").id, benched(client, store, "fast").id)
    made = compare_anew(client, store, pair, Anew(2, 0, True), Told(), allow_different_environment=True)
    runs = find_runs(store, made.a.row.id, made.b.rows[1].id, allow_invalid=True)
    later = compare(*runs, allow_different_environment=True)
    assert (later.how, later.figures) == ("pairs", made.figures)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 30), st.integers(0, 2**32))
def test_the_order_is_random_but_fair(trials: int, seed: int) -> None:
    made = order(trials, seed)
    assert made == order(trials, seed)
    assert len(made) == trials
    assert all(sorted(pair) == ["A", "B"] for pair in made)
    assert abs(2 * sum(pair[0] == "A" for pair in made) - trials) <= 1


def test_seeds_give_orders_of_their_own() -> None:
    assert len({tuple(order(8, seed)) for seed in range(40)}) > 10


def test_a_model_that_is_gone_or_another_one_now(client: AgentClient, store: Store) -> None:
    a, b = benched(client, store, "slow"), benched(client, store, "fast")
    for changes, told in (
        ({"bundle": "0" * 64}, "is another one there now"),
        ({"bundle": "0" * 64, "model": "gone"}, "is not there any more"),
    ):
        with pytest.raises(InputError, match=told) as raised:
            measure_anew(client, store, a, b.model_copy(update=changes), Anew(2, 0, True), Told())
        assert raised.value.code == "not_deployed"
        assert "host deploy" in raised.value.hint
    assert len(store.rows()) == 2  # nothing was measured


def test_a_row_of_a_study_names_the_model_that_the_study_has_left(
    client: AgentClient, store: Store, home: Path
) -> None:
    a, b = benched(client, store, "slow"), benched(client, store, "fast")
    gone = b.model_copy(update={"bundle": "0" * 64, "study": "s", "requested_rate": 0.9, "trial": 2})
    path = model_path(taught_path(folder_of("s"), 2, 0.9))
    for told in (" FILE", f" {path}"):
        with pytest.raises(InputError) as raised:
            measure_anew(client, store, a, gone, Anew(2, 0, True), Told())
        assert raised.value.hint.endswith(told)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_model_that_has_another_name_now_is_found_by_its_bundle(client: AgentClient, store: Store) -> None:
    a, b = benched(client, store, "slow"), benched(client, store, "fast")
    _, of_b = measure_anew(client, store, a, b.model_copy(update={"model": "before"}), Anew(2, 0, True), Told())
    assert {row.model for row in of_b} <= {"fast", "same"}


def test_each_is_measured_by_a_fresh_worker(client: AgentClient, store: Store) -> None:
    a, b = (benched(client, store, name, "worker") for name in ("slow", "fast"))
    told = Told()
    measured = measure_anew(client, store, a, b, Anew(1, 0, True), told)
    assert [[row.model for row in rows] for rows in measured] == [["slow"], ["fast"]]
    assert told.stages.count("board: loading") == 2


def test_a_model_that_does_not_run_any_more(client: AgentClient, store: Store) -> None:
    a, b = benched(client, store, "slow"), benched(client, store, "fails", "worker")
    b = b.model_copy(update={"requested_runs": 9})
    assert order(2, 0)[0] == ("B", "A")
    with pytest.raises(DoesNotRunError, match="B, fails, does not run: told to fail in run 7") as raised:
        measure_anew(client, store, a, b, Anew(2, 0, True), Told())
    assert raised.value.code == "run_failed"
    assert any(row.failure_code == "run_failed" for row in store.rows())


def test_what_cannot_be_measured_in_turn(client: AgentClient, store: Store) -> None:
    a, b, same = (benched(client, store, name) for name in ("slow", "fast", "same"))
    load = Load(offered_per_s=20, deadline_ms=50, missed=0, missed_share=0)
    others = {"two_boards": {"board": "coral"}, "two_ways": {"through": "worker"}, "at_a_rate": {"load": load}}
    for number, (code, changes) in enumerate(others.items()):
        other = b.model_copy(update={"id": f"x000000{number}", **changes})
        store.add(other)
        with pytest.raises(InputError) as raised:
            find_pair(store, a.id, other.id)
        assert raised.value.code == code
    with pytest.raises(InputError, match="are of the same model") as raised:
        find_pair(store, b.id, same.id)
    assert raised.value.code == "same_model"
