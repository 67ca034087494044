import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bundles
import live
import pytest
import zoo
from told import Told

from contract.api import Activation, BenchRequest, ModelState
from contract.profile import read_profile
from host.bundle import Bundle
from host.client import AgentClient
from host.converting import Request, make
from host.deploying import deploy, doubts, push, rollback
from host.errors import BoardError, DoesNotRunError, ResultsError
from host.store import Store


def of_null(**faults: Any) -> Bundle:
    bundle = bundles.null(**faults)
    return Bundle(bundle.manifest, bundle.files)


def no_store() -> Store:
    raise AssertionError("nothing to store")


def served(client: AgentClient, name: str) -> str | None:
    return next((model.bundle for model in client.models() if model.name == name), None)


def test_a_model_is_converted_pushed_and_served(client: AgentClient, tmp_path: Path) -> None:
    bundle = make(Request(zoo.save(zoo.autoencoder(), tmp_path), {}), read_profile("desktop"), lambda _step: None)
    told = Told()
    activation = deploy(client, "mine", bundle, told, no_store)
    assert (activation.model, activation.bundle, activation.previous) == ("mine", bundle.manifest.bundle_id, None)
    assert served(client, "mine") == bundle.manifest.bundle_id
    assert told.stages[0] == "board: pushing"
    assert all(stage.startswith("board: ") for stage in told.stages)
    size = sum(len(content) for content in bundle.files.values())
    assert told.done[0] == (0, size)
    assert (size, size) in told.done
    assert [done for done, total in told.done if total == size] == sorted(
        done for done, total in told.done if total == size
    )


def test_again_it_is_there_already(client: AgentClient) -> None:
    first, again = (deploy(client, "twice", of_null(), Told(), no_store) for _ in range(2))
    assert not first.unchanged
    assert again.unchanged
    assert push(client, of_null(), Told()) == 0


def test_two_files_of_the_same_content_are_sent_once(client: AgentClient) -> None:
    bundle = of_null()
    told = Told()
    push(client, bundle, told)
    assert bundle.files["golden/inputs.bin"] == bundle.files["golden/outputs.bin"]  # an echo
    assert client.offer(bundle.manifest).missing == ()


def test_the_version_before_is_served_again(client: AgentClient) -> None:
    old, new = of_null(), of_null(delay_ms=1)
    deploy(client, "back", old, Told(), no_store)
    deploy(client, "back", new, Told(), no_store)
    told = Told()
    assert rollback(client, "back", told).bundle == old.manifest.bundle_id
    assert served(client, "back") == old.manifest.bundle_id
    assert "board: loading" in told.stages


def test_nothing_to_roll_back(client: AgentClient) -> None:
    deploy(client, "only", of_null(), Told(), no_store)
    with pytest.raises(BoardError, match="'only' has no version before this one") as raised:
        rollback(client, "only", Told())
    assert raised.value.code == "nothing_to_roll_back"
    with pytest.raises(BoardError) as raised:
        rollback(client, "none", Told())
    assert raised.value.code == "unknown_model"


BAD = {
    "golden_mismatch": bundles.null(golden="wrong"),
    "worker_crashed": bundles.null(crash_on_load=1),
    "run_failed": bundles.null(fail_on_run=1),
    "load_failed": bundles.null().with_file("model.json", b"rubbish"),
}


@pytest.mark.parametrize("code", BAD)
def test_a_model_that_does_not_run_is_a_result_and_the_old_one_stays(
    client: AgentClient, store: Store, code: str
) -> None:
    good, bad = of_null(), Bundle(BAD[code].manifest.model_copy(update={"rate": 0.9}), BAD[code].files)
    deploy(client, code, good, Told(), no_store)
    with pytest.raises(DoesNotRunError) as raised:
        deploy(client, code, bad, Told(), lambda: store)
    assert served(client, code) == good.manifest.bundle_id
    [row] = store.rows()
    assert (row.board, row.model, row.bundle) == ("board", code, bad.manifest.bundle_id)
    assert (row.failure_code, row.precision, row.source_name, row.weights) == (code, "fp32", "null.json", 4)
    assert row.rate == 0.9
    assert row.latency_ms is None
    assert raised.value.code == code
    assert row.failure is not None
    assert raised.value.message == f"null.json does not run on board: {row.failure} (stored as result {row.id})"


def test_trouble_with_the_results_does_not_hide_that_it_does_not_run(client: AgentClient) -> None:
    def full() -> Store:
        raise ResultsError("results.sqlite has no room left", "free some")

    bad = Bundle(BAD["golden_mismatch"].manifest, BAD["golden_mismatch"].files)
    with pytest.raises(
        DoesNotRunError, match=r"\(not stored as a result: results\.sqlite has no room left\)"
    ) as raised:
        deploy(client, "unstored", bad, Told(), full)
    assert raised.value.code == "golden_mismatch"


def test_an_option_the_runtime_does_not_know_is_no_result(client: AgentClient) -> None:
    with pytest.raises(BoardError, match="thraeds") as raised:
        deploy(client, "odd", of_null(thraeds=1), Told(), no_store)
    assert not isinstance(raised.value, DoesNotRunError)


def test_two_deploys_of_one_name_at_once(client: AgentClient, agent: live.Agent) -> None:
    slow, other = of_null(load_delay_ms=400), of_null(delay_ms=1)
    loading, outcomes = threading.Event(), []

    class Loading(Told):
        def stage(self, text: str) -> None:
            if text == "board: loading":
                loading.set()

    def first() -> None:
        with AgentClient.connect("board", f"http://127.0.0.1:{agent.port}", live.TOKEN) as mine:
            outcomes.append(deploy(mine, "both", slow, Loading(), no_store).bundle)

    thread = threading.Thread(target=first)
    thread.start()
    assert loading.wait(10)
    with pytest.raises(BoardError, match="'both' is being changed or measured") as raised:
        deploy(client, "both", other, Told(), no_store)
    thread.join()
    assert raised.value.code == "model_busy"
    assert outcomes == [slow.manifest.bundle_id] == [served(client, "both")]


def test_a_deploy_waits_for_a_bench(client: AgentClient, agent: live.Agent) -> None:
    deploy(client, "benched", of_null(delay_ms=5), Told(), no_store)
    held, told = threading.Event(), Told()

    def bench() -> None:
        with AgentClient.connect("board", f"http://127.0.0.1:{agent.port}", live.TOKEN) as mine:
            request = BenchRequest(model="benched", runs=60, interrupt=True)
            mine.finish(lambda: mine.bench(request), lambda job: held.set() if job.stage == "running" else None)

    thread = threading.Thread(target=bench)
    thread.start()
    assert held.wait(10)
    deploy(client, "patient", of_null(), told, no_store)
    thread.join()
    assert any("waiting for a bench of 'benched'" in stage for stage in told.stages)


class Asked:
    """Whoever is asked whether other models may be stopped, and what they were told."""

    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.heard: list[str] = []

    def __call__(self, why: str) -> bool:
        self.heard.append(why)
        return self.answer


@pytest.fixture
def small(tmp_path: Path) -> Iterator[AgentClient]:
    """A board that cannot build while it serves, and serves `other`."""
    facts = bundles.BUILDS.model_copy(update={"alone": True})
    with live.listening(tmp_path / "agent", token=live.TOKEN, build=facts) as agent:
        agent.activate(bundles.null(), "other")
        with AgentClient.connect("small", f"http://127.0.0.1:{agent.port}", live.TOKEN) as client:
            yield client


def to_build(**options: Any) -> Bundle:
    made = bundles.null(**options).to_build()
    return Bundle(made.manifest, made.files)


def test_a_build_that_needs_the_board_is_not_begun_unless_the_user_says_so(small: AgentClient) -> None:
    no, yes = Asked(False), Asked(True)
    for refusing in ((no,), ()):  # nobody to ask is a no
        with pytest.raises(BoardError, match="it serves other") as raised:
            deploy(small, "mine", to_build(), Told(), no_store, *refusing)
        assert raised.value.code == "build_needs_board"
    assert served(small, "mine") is None
    activation = deploy(small, "mine", to_build(), Told(), no_store, yes)
    assert activation.build
    assert activation.build.reason
    why = "building takes most of this board's memory, and it serves other"
    assert (no.heard, yes.heard) == ([why], [why])
    assert {model.name: model.state for model in small.models()} == dict.fromkeys(("mine", "other"), ModelState.READY)


def test_nobody_is_asked_where_nothing_is_built_and_of_another_error(small: AgentClient, store: Store) -> None:
    asked = Asked(True)
    deploy(small, "plain", of_null(), Told(), no_store, asked)
    with pytest.raises(DoesNotRunError) as raised:
        deploy(small, "bad", to_build(nodes=[("act", "Fancy")]), Told(), lambda: store, asked)
    assert raised.value.code == "model_refused"
    assert asked.heard == []


def test_a_build_that_fails_after_a_yes_is_a_result_and_the_others_serve_again(
    small: AgentClient, store: Store
) -> None:
    with pytest.raises(DoesNotRunError, match="told to fail"):
        deploy(small, "mine", to_build(fail_build=True), Told(), lambda: store, Asked(True))
    [row] = store.rows()
    assert (row.failure_code, row.model) == ("build_failed", "mine")
    assert [(model.name, model.state) for model in small.models()] == [("other", ModelState.READY)]


def test_what_the_builder_says_is_told(small: AgentClient) -> None:
    told = Told()
    deploy(small, "mine", to_build(build_lines=8, build_delay_ms=400), told, no_store, Asked(True))
    assert set(told.details) <= {f"line {number} of 8" for number in range(1, 9)}
    assert len(set(told.details)) > 2
    assert "small: building the engine: the board has none of this model yet" in told.stages


@pytest.mark.parametrize(
    ("board", "model", "factor"),
    [(1.9, 1.0, None), (0.51, 1.0, None), (None, 1.0, None), (1.0, None, None), (3.2, 1.0, "3.2"), (0.1, 1.0, "0.1")],
)
def test_a_threshold_far_from_the_models_is_a_doubt(
    board: float | None, model: float | None, factor: str | None
) -> None:
    activation = Activation.model_construct(threshold_board=board, threshold_model=model)
    told = doubts(activation)
    assert len(told) == (factor is not None)
    assert all(f"is {factor} times the model's own" in each for each in told)
