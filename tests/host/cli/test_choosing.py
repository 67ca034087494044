import json
from collections.abc import Callable
from pathlib import Path

import bundles
import live
import pytest
from shell import run

from contract.results import BenchRow, Latency
from host.store import Store
from host.study.results import StudyResults

from ..studies import leave, study_results

RowMaker = Callable[..., BenchRow]


@pytest.fixture
def studied(home: Path) -> StudyResults:
    """Of a user who has run one study, `capsule-sweep`."""
    study = study_results(("desktop", "coral"), rates=(0, 0.5, 0.99, 0.999))
    leave(study)
    return study


def test_a_choice(studied: StudyResults) -> None:
    done = run(
        "choose", "--constraint", "auc_drop<=3%", "--constraint", "model_peak_bytes<=300MiB", "--board", "desktop"
    )
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("study capsule-sweep, begun ")
    assert "\n\ndesktop: take 99 %, the least latency_ms.mean of the " in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "coral" not in done.stdout
    assert run("choose", "capsule-sweep").stdout.count("the knee of auc against latency_ms.mean") == 2


def test_a_choice_for_programs(studied: StudyResults) -> None:
    told = json.loads(run("choose", "--objective", "max:rate", "--constraint", "float_auc_drop<=3%", "--json").stdout)
    assert [(board["board"], board["best"]) for board in told["boards"]] == [("desktop", 0.99), ("coral", 0.99)]
    assert told["objective"] == {"key": "rate", "better": "higher"}
    allowed = run("choose", "--point", "--allow-different-environment", "--json")
    assert json.loads(allowed.stdout)["point"]


def test_no_answer_is_an_exit_code(studied: StudyResults) -> None:
    done = run("choose", "--constraint", "latency_ms.mean<=1us")
    assert done.exit_code == 1
    assert "no answer: none meets every condition; nearest is 99.9 %" in done.stdout
    assert run("choose", "--constraint", "latency_ms.mean<=1us", "--json").exit_code == 1


def test_what_cannot_be_chosen_by(studied: StudyResults) -> None:
    for words, code in (
        (["--constraint", "auc_drop"], "bad_constraint"),
        (["--constraint", "auc_drop<=3ms"], "bad_unit"),
        (["--constraint", "auc_drp<=3"], "unknown_key"),
        (["--constraint", "energy_mj.per_run<=3"], "no_figure"),
        (["--objective", "fast"], "unknown_key"),
        (["--board", "corral"], "unknown_board"),
        (["capsule-swep"], "no_study"),
    ):
        done = run("choose", *words, "--json")
        assert (done.exit_code, json.loads(done.stdout)["code"]) == (3, code)
        assert "hint: " in done.stderr


def test_no_study_yet(home: Path) -> None:
    done = run("choose", "--json")
    assert (done.exit_code, json.loads(done.stdout)["code"]) == (3, "no_study")
    assert "host study run" in done.stderr


@pytest.fixture
def store(home: Path, make_row: RowMaker) -> Store:
    """The user's: three trials of `slow` (a...) and of `fast` (b...), and one of `fast` on another system (c...)."""

    def latency(mean: float) -> Latency:
        return Latency(mean=mean, median=mean, p90=mean, p95=mean, p99=None, min=mean, max=mean, std=0.1)

    opened = Store.open(home / "data" / "results.sqlite")
    plain = {"flags": (), "macs": 800}
    for trial, (slow, fast) in enumerate(((8.0, 2.0), (8.1, 2.1), (7.9, 1.9)), 1):
        a = {"id": f"a000000{trial}", "model": "slow", "session": "s1", "latency_ms": latency(slow)}
        b = {
            "id": f"b000000{trial}",
            "model": "fast",
            "session": "s2",
            "weights": 3_000_000,
            "latency_ms": latency(fast),
        }
        opened.add(make_row(trial, **{**plain, **a}))
        opened.add(make_row(trial, **{**plain, **b, "macs": 100}))
    environment = make_row().environment
    assert environment is not None
    other = {"environment": environment.model_copy(update={"os_image": "Debian 13"}), "latency_ms": latency(2.0)}
    opened.add(make_row(1, **plain, **other, id="c0000001", model="fast", session="s3"))
    return opened


def test_a_comparison(store: Store) -> None:
    done = run("compare", "a0", "b0000002")
    assert done.exit_code == 3
    assert "'a0' is the start of more than one id: a0000001, a0000002, a0000003" in done.stderr
    done = run("compare", "a0000001", "b0000002")
    assert (done.exit_code, done.stderr) == (0, "")
    text = " ".join(done.stdout.split())
    assert text.startswith("B is 4.00 times as fast as A (95 % interval 3.")
    assert "Latency, mean B is better 8.000 ms 2.000 ms 4.00 3." in text
    assert "Latency, p99 n/a (1)" in text
    assert "Peak memory not distinguishable 310.0 MiB 310.0 MiB 1.00 1.00 to 1.00" in text
    assert "A has 1,000 times the weights and 8.00 times the multiply-adds of B" in text
    assert "Welch's t" in text
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_the_faster_one_is_named_whichever_it_is(store: Store) -> None:
    assert run("compare", "b0000001", "a0000001").stdout.startswith("A is 4.00 times as fast as B (95 % interval 3.")


def test_a_comparison_of_one_trial(store: Store) -> None:
    done = run("compare", "a0000001", "c0", "--allow-different-environment")
    text = " ".join(done.stdout.split())
    assert "B was 4.00 times as fast as A in these runs; one trial tells nothing of the next" in text
    assert "One trial: within-run only" in text
    assert "--anew --trials 5" in text
    assert "Environments differ: os_image is Debian 12 of a0000001, a0000002, a0000003; Debian 13 of c0000001." in text


def test_a_comparison_for_programs(store: Store) -> None:
    told = json.loads(run("compare", "b0000001", "a0000001", "--json").stdout)
    latency = told["figures"]["latency_ms.mean"]
    assert (told["how"], latency["distinguishable"]) == ("trials", True)
    assert latency["gain"]["low"] < latency["gain"]["ratio"] < latency["gain"]["high"] < 1
    assert told["figures"]["latency_ms.p99"]["gain"] is None
    assert told["a"]["rows"] == ["b0000001", "b0000002", "b0000003"]


def test_what_is_not_compared(store: Store) -> None:
    done = run("compare", "a0000001", "c0", "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["code"]) == (3, "different_environment")
    assert "os_image is Debian 12 of a0000001, a0000002, a0000003; Debian 13 of c0000001" in told["error"]
    assert run("compare", "a0000001", "a0000002").exit_code == 3
    done = run("compare", "a0000001", "b0000001", "--trials", 3)
    assert done.exit_code == 2
    assert "are of --anew" in done.stderr


def test_a_comparison_anew(line: live.Agent, home: Path) -> None:
    line.activate(bundles.null(delay_ms=1), "slower")
    for model in ("echo", "slower"):
        assert run("bench", "--board", "line-3", "--model", model, "--runs", 5, "--through", "http").exit_code == 0
    slower, echo = (row.id for row in Store.open(home / "data" / "results.sqlite").rows())
    words = ["compare", slower, echo, "--anew", "--trials", 2, "--interrupt", "--allow-different-environment"]
    done = run(*words, "--seed", 5)
    assert done.exit_code == 0
    assert "order of seed 5: " in done.stderr
    assert "pair 2 of 2: " in done.stderr
    assert "Measured in turn" in done.stdout
    assert "The order is that of --seed 5." in done.stdout
    assert len(Store.open(home / "data" / "results.sqlite").rows()) == 6
    line.run(line.service.activator.remove("slower"))
    done = run(*words, "--json")
    assert (done.exit_code, json.loads(done.stdout)["code"]) == (3, "not_deployed")
