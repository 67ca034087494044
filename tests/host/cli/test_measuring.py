import csv
import io
import json
from pathlib import Path

import bundles
import live
import pytest
import zoo
from shell import run

from contract.api import LayerProfile
from contract.results import DESCRIPTION_KEYS, FIGURE_KEYS
from host.errors import ResultsFullError
from host.last import Last
from host.store import Store


@pytest.fixture(autouse=True)
def deployed(line: live.Agent, last: Last) -> None:
    """To `line-3`, last: the model `echo`; another one that fails."""
    if "fails" not in line.service.dataplane.models:
        line.activate(bundles.null(fail_on_run=7), "fails")
    last.remember("line-3", "echo")


def test_a_bench(home: Path) -> None:
    done = run("bench", "--runs", 30)
    assert done.exit_code == 0
    assert done.stderr.startswith("board: line-3 (of the last deploy)\nmodel: echo (deployed to line-3 last)\n")
    assert "line-3: running ..." in done.stderr
    assert "of 29 counted runs" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    [row] = Store.open(home / "data" / "results.sqlite").rows()
    assert row.id in done.stdout


def test_trials_for_programs(home: Path) -> None:
    done = run("bench", "--runs", 5, "--trials", 3, "--json")
    told = json.loads(done.stdout)
    assert [row["trial"] for row in told] == [1, 2, 3]
    assert {*DESCRIPTION_KEYS, *FIGURE_KEYS} <= set(told[0])
    assert done.stderr.count(", stored as ") == 3


def test_three_trials_and_their_interval() -> None:
    done = run("bench", "--runs", 5, "--trials", 3)
    assert "(95 % interval " in done.stdout
    assert "over 3 trials of 4 counted runs" in " ".join(done.stdout.split())
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_through_http() -> None:
    done = run("bench", "--runs", 5, "--through", "http")
    assert done.exit_code == 0
    assert "through HTTP" in " ".join(done.stdout.split())


def test_as_parts_on_a_conveyor(home: Path) -> None:
    done = run("bench", "--runs", 5, "--through", "http", "--rate", "6000/min", "--deadline", "20s")
    assert done.exit_code == 0, done.stderr
    assert "4 requests at 100/s (6,000 parts per minute): 1 s\n" in done.stderr
    shown = " ".join(done.stdout.split())
    assert "of 4 counted runs; 0 % missed the deadline of 20,000 ms at 100/s (6,000 parts per minute)" in shown
    assert max(map(len, done.stdout.splitlines())) <= 80
    [row] = Store.open(home / "data" / "results.sqlite").rows()
    assert row.load is not None
    assert (row.load.offered_per_s, row.load.deadline_ms) == (100.0, 20_000.0)


def test_the_figures_of_a_conveyor_for_programs() -> None:
    [row] = json.loads(run("bench", "--runs", 5, "--through", "http", "--rate", "10ms", "--json").stdout)
    assert (row["load.offered_per_s"], row["load.deadline_ms"]) == (pytest.approx(100.0), pytest.approx(10.0))
    assert row["load.missed_share"] == row["load.missed"] / 4
    assert row["load.highest_parts_per_minute"] is None


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--rate", "20/s"), "--rate is of requests: give --through http too"),
        (("--through", "http", "--deadline", "40ms"), "--deadline is of a conveyor: give its --rate too"),
        (("--through", "http", "--rate", "20"), "'20' is not understood: a rate is like 20/s"),
        (("--through", "http", "--rate", "0/s"), "'0/s' is not above 0"),
        (("--through", "http", "--rate", "-1/s"), "'-1/s' is not above 0"),
        (("--through", "http", "--rate", "nan/s"), "'nan/s' is not understood"),
        (("--through", "http", "--rate", "1e6/s"), "'1e6/s' is outside 1/h to 10,000/s"),
        (("--through", "http", "--rate", "20/s", "--deadline", "0ms"), "'0ms' is not above 0"),
    ],
)
def test_a_conveyor_that_is_none(options: tuple[str, ...], why: str) -> None:
    done = run("bench", *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert why in " ".join(done.stderr.split())


def test_the_highest_rate_takes_enough_runs() -> None:
    done = run("bench", "--through", "http", "--rate", "max", "--runs", 459)
    assert (done.exit_code, done.stdout) == (3, "")
    assert "--rate max goes by p99, and 459 runs are too few to tell it: it needs 460" in done.stderr


def test_with_images(images: Path) -> None:
    done = run("bench", "--model", "inspector", "--runs", 5, "--inputs", images, "--json")
    [row] = json.loads(done.stdout)
    assert row["inputs"] == str(images)
    assert row["decision_ms.mean"] > 0


def test_a_model_that_does_not_run_is_a_result() -> None:
    done = run("bench", "--model", "fails", "--runs", 20)
    assert done.exit_code == 5
    assert "fails does not run on line-3: told to fail in run 7" in done.stdout
    told = run("bench", "--model", "fails", "--runs", 20, "--json")
    assert told.exit_code == 5
    assert json.loads(told.stdout)[0]["failure_code"] == "run_failed"


def test_a_board_in_use(line: live.Agent, images: Path) -> None:
    assert run("infer", "--model", "inspector", images / "0.png").exit_code == 0
    done = run("bench", "--runs", 5)
    assert (done.exit_code, done.stdout) == (5, "")
    assert "--interrupt" in done.stderr
    assert run("bench", "--runs", 5, "--interrupt").exit_code == 0


def test_results_that_cannot_be_written_are_told_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "data").write_text("a file")
    done = run("bench", "--runs", 5)
    assert (done.exit_code, done.stdout) == (6, "")
    assert "running" not in done.stderr


def test_a_disk_that_is_full_afterwards_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise ResultsFullError("the results database x has no room left on its disk", "free some space")

    monkeypatch.setattr(Store, "add", full)
    done = run("bench", "--runs", 5)
    assert done.exit_code == 6
    [row] = json.loads(done.stdout)
    assert row["counted_runs"] == 4
    assert row["latency_ms.mean"] > 0
    assert f"result {row['id']} is measured, but not stored: the results database x has no room left" in done.stderr
    assert "hint: free some space" in done.stderr
    told = run("bench", "--runs", 5, "--json")
    assert told.exit_code == 6
    error = json.loads(told.stdout)
    assert (error["code"], error["hint"]) == ("results_full", "free some space")
    assert error["rows"][0]["counted_runs"] == 4


def test_a_profile_of_layers() -> None:
    done = run("profile", "--runs", 7, "--interrupt")
    assert done.exit_code == 0
    assert "model: echo (deployed to line-3 last)\n" in done.stderr
    assert "line-3: profiling ..." in done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0].startswith("echo: ")
    assert lines[0].endswith(" ms in 1 layer")
    assert lines[1] == "null 1, mean of 7 runs, which profiling slows down"
    assert lines[-1].startswith("copy to x_out ")
    assert lines[-1].endswith(" 100 %")


def test_a_profile_for_programs() -> None:
    told = json.loads(run("profile", "--model", "inspector", "--runs", 7, "--interrupt", "--json").stdout)
    profile = LayerProfile.model_validate(told)
    assert (profile.model, profile.runs, profile.runtime) == ("inspector", 7, "null")
    assert [layer.name for layer in profile.layers] == ["copy to image_out"]


def test_a_profile_of_onnx_runtime(line: live.Agent) -> None:
    line.activate(bundles.ort(zoo.autoencoder()), "autoencoder")
    told = json.loads(run("profile", "--model", "autoencoder", "--interrupt", "--json").stdout)
    profile = LayerProfile.model_validate(told)
    assert (profile.runtime, profile.runs) == ("ort", 100)
    assert {"decoder (ConvTranspose)", "sigmoid (Sigmoid)"} <= {layer.name for layer in profile.layers}
    assert all(layer.mean_ms >= 0 for layer in profile.layers)
    assert " 4 layers\n" in run("profile", "--model", "autoencoder", "--interrupt").stdout
    line.run(line.service.activator.remove("autoencoder"))


def test_no_profile(line: live.Agent, images: Path) -> None:
    done = run("profile", "--model", "ecko", "--json")
    assert (done.exit_code, json.loads(done.stdout)["code"]) == (3, "unknown_model")
    assert run("infer", "--model", "inspector", images / "0.png").exit_code == 0
    done = run("profile")
    assert (done.exit_code, done.stdout) == (5, "")
    assert "--interrupt" in done.stderr
    line.activate(bundles.null(no_layers=True), "silent")
    done = run("profile", "--model", "silent", "--interrupt")
    assert (done.exit_code, done.stdout) == (5, "")
    assert "the runtime does not tell the times of layers" in done.stderr
    assert "hint: measure the whole: host bench" in done.stderr
    line.run(line.service.activator.remove("silent"))


@pytest.fixture
def measured(home: Path) -> list[str]:
    """The ids of three results, the newest first."""
    for words in (["--model", "echo"], ["--model", "fails"], ["--model", "echo", "--through", "http"]):
        run("bench", "--runs", 8, "--interrupt", *words)
    return [row.id for row in Store.open(home / "data" / "results.sqlite").rows()]


def test_every_bench_ever_run_the_newest_first(measured: list[str], home: Path) -> None:
    table = run("results").stdout
    assert [line.split()[0] for line in table.splitlines() if line[:8] in measured] == measured
    assert max(map(len, table.splitlines())) <= 80
    assert [row["id"] for row in json.loads(run("results", "--json").stdout)] == measured
    assert [row["id"] for row in json.loads(run("results", "--json", "--limit", 2).stdout)] == measured[:2]
    assert [row["id"] for row in json.loads(run("results", "--json", "--model", "fails").stdout)] == measured[1:2]
    assert json.loads(run("results", "--json", "--board", "desktop").stdout) == []
    lines = list(csv.DictReader(io.StringIO(run("results", "--csv").stdout)))
    assert [line["id"] for line in lines] == measured
    assert lines[1]["latency_ms.mean"] == ""


def test_no_results_yet(home: Path) -> None:
    assert run("results").stdout.strip() == "No results."
    assert json.loads(run("results", "--json").stdout) == []
    assert run("results", "--csv").stdout.count("\n") == 1


def test_another_place_for_results(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOARDFIT_RESULTS", str(tmp_path / "mine.sqlite"))
    assert run("bench", "--runs", 5).exit_code == 0
    assert len(Store.open(tmp_path / "mine.sqlite").rows()) == 1
    monkeypatch.setenv("BOARDFIT_RESULTS", "sqlit:///x")
    done = run("results", "--json")
    assert done.exit_code == 6
    assert json.loads(done.stdout)["code"] == "results_failed"
