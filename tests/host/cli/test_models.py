import base64
import json
import re
from pathlib import Path
from typing import Any

import bundles
import live
import pytest
import zoo
from photos import photo
from shell import run

from contract.api import Activation
from host.bundle import Bundle
from host.last import Last
from host.local_agent import LocalAgent
from host.store import Store


def test_a_deploy_says_what_was_done(line: live.Agent, model: Path, last: Last) -> None:
    done = run("deploy", "--board", "line-3", model)
    assert done.exit_code == 0
    notes, deployed, proven, decides, loaded = done.stdout.splitlines()
    assert notes == (
        "note: images are prepared as the model itself says: "
        "RGB, resized to 16x16 (bilinear), divided by 255, as NCHW float32"
    )
    assert deployed.startswith("deployed: capsules on line-3, bundle ")
    assert proven == ("proven on 8 golden inputs (noise): no difference to this machine's ONNX Runtime, 60 dB needed")
    assert decides == "decides above 0.25, as where it was trained: it has no good images to find its own from"
    assert loaded.startswith("loaded in ")
    assert loaded.endswith(" s, no outage")
    assert "reading: load onnx ..." in done.stderr
    assert (last.board(), last.model("line-3")) == ("line-3", "capsules")
    again = run("deploy", "--board", "line-3", model)
    assert "already served: capsules on line-3" in again.stdout
    assert "loaded in" not in again.stdout


def test_for_programs(line: live.Agent, model: Path) -> None:
    done = run("deploy", "--board", "line-3", model, "--name", "json", "--json")
    told = json.loads(done.stdout)
    assert (told["board"], told["model"], told["sqnr_db"]) == ("line-3", "json", None)
    assert told["notices"][0].startswith("images are prepared")
    assert set(Activation.model_fields) <= set(told)


def test_the_board_and_the_model_of_the_last_deploy(line: live.Agent, model: Path) -> None:
    run("deploy", "--board", "line-3", model, "--name", "mine")
    again = run("deploy", model, "--name", "mine", "--option", "threads=1")
    assert again.exit_code == 0
    assert "board: line-3 (of the last deploy)\n" in again.stderr
    back = run("rollback")
    assert back.exit_code == 0
    assert "model: mine (deployed to line-3 last)\n" in back.stderr
    assert back.stdout.startswith("deployed: mine on line-3")
    forth = json.loads(run("rollback", "--json").stdout)
    assert (forth["board"], forth["model"], forth["notices"]) == ("line-3", "mine", [])
    gone = run("remove")
    assert gone.stdout == "removed mine from line-3\n"
    after = run("rollback")
    assert after.exit_code == 3
    assert "no model is named, and nothing was deployed to 'line-3' from here" in after.stderr


def test_before_the_first_deploy(home: Path, model: Path) -> None:
    for words in (["deploy", model], ["convert", model, "-o", "out"], ["models"], ["rollback"], ["remove"], ["bench"]):
        done = run(*words)
        assert (done.exit_code, done.stdout) == (3, "")
        assert "no board is named, and nothing was deployed from here yet" in done.stderr
        assert "--board desktop" in done.stderr


def test_the_models_of_a_board(line: live.Agent) -> None:
    table = run("models", "--board", "line-3").stdout
    assert max(map(len, table.splitlines())) <= 80
    assert "echo" in table
    told = {model["name"]: model for model in json.loads(run("models", "--board", "line-3", "--json").stdout)}
    assert told["echo"]["state"] == "ready"
    assert told["inspector"]["score"]["threshold"] == 0.5


def test_a_conversion_alone_and_its_deploy(line: live.Agent, model: Path, tmp_path: Path, images: Path) -> None:
    out = tmp_path / "out"
    done = run("convert", "--board", "desktop", model, "-o", out, "--calibrate", images)
    assert done.exit_code == 0
    bundle = Bundle.read(out)
    assert done.stdout.splitlines()[-1].startswith(f"wrote {out}: bundle {bundle.manifest.bundle_id[:12]} for Desktop")
    assert bundle.manifest.golden.count == 3
    deployed = run("deploy", "--board", "line-3", out)
    assert deployed.exit_code == 0
    assert f"deployed: capsules on line-3, bundle {bundle.manifest.bundle_id[:12]}" in deployed.stdout
    assert "proven on 3 golden inputs (images)" in deployed.stdout


def test_a_conversion_for_programs_starts_no_agent(
    home: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_self: LocalAgent) -> None:
        raise AssertionError("nothing is asked of a board")

    monkeypatch.setattr(LocalAgent, "ensure", start)
    told = json.loads(run("convert", "--board", "desktop", model, "-o", tmp_path / "out", "--json").stdout)
    assert told["bundle"] == Bundle.read(tmp_path / "out").manifest.bundle_id
    assert told["folder"] == str(tmp_path / "out")
    assert told["manifest"]["provenance"]["source_name"] == "capsules.onnx"
    assert told["notices"]


def judged(folder: Path, score: dict[str, Any], good: int = 0) -> Path:
    """A model with so many good images."""
    images = [base64.b64encode(photo(size=(16, 16), seed=seed)).decode() for seed in range(good)]
    known = {"preprocessing": {"height": 16, "width": 16}, "score": score, "good_images": images}
    return zoo.save(zoo.autoencoder({"boardfit": json.dumps(known)}), folder, "judged.onnx")


@pytest.mark.parametrize(
    ("score", "good", "told"),
    [
        (
            {"threshold": 0.125},
            2,
            r"decides above 0\.\d+ on this board \(0\.125 where it was trained\), from 2 good images",
        ),
        ({}, 1, r"decides above 0\.\d+ on this board, from 1 good image"),
        ({}, 0, "decisions are uncalibrated: the model has no threshold, and no good images to find one from"),
    ],
)
def test_what_decides_on_the_board(
    line: live.Agent, tmp_path: Path, score: dict[str, Any], good: int, told: str
) -> None:
    path = judged(tmp_path, score, good)
    done = run("deploy", "--board", "line-3", path)
    assert done.exit_code == 0
    assert re.search(f"^{told}$", done.stdout, re.MULTILINE)
    again = json.loads(run("deploy", "--board", "line-3", path, "--json").stdout)
    assert (again["threshold_model"], again["good_count"]) == (score.get("threshold"), good)
    assert (again["threshold_board"] is None) == (good == 0)
    (served,) = (model for model in json.loads(run("models", "--json").stdout) if model["name"] == "judged")
    assert served["score"]["threshold"] == again["threshold_board"]


def test_a_model_that_decides_nothing_says_nothing_of_it(line: live.Agent, tmp_path: Path) -> None:
    done = run("deploy", "--board", "line-3", zoo.save(zoo.convolution(), tmp_path, "silent.onnx"))
    assert done.exit_code == 0
    assert not re.search("decide|decision|threshold", done.stdout)


def test_a_conversion_says_that_nothing_can_decide(home: Path, tmp_path: Path) -> None:
    for good, told in ((0, True), (1, False)):
        done = run("convert", "--board", "desktop", judged(tmp_path, {}, good), "-o", tmp_path / str(good))
        assert ("note: decisions are uncalibrated" in done.stdout) is told


def test_a_folder_that_was_tampered_with_is_not_deployed(line: live.Agent, model: Path, tmp_path: Path) -> None:
    run("convert", "--board", "desktop", model, "-o", tmp_path / "out")
    (tmp_path / "out" / "model.onnx").write_bytes(b"another")
    done = run("deploy", "--board", "line-3", tmp_path / "out")
    assert done.exit_code == 3
    assert "model.onnx is not the file that the manifest names" in done.stderr


def test_the_users_own_model_is_not_written_over(home: Path, tmp_path: Path) -> None:
    path = zoo.save(zoo.dynamic_batch(), tmp_path)
    before = path.read_bytes()
    done = run("convert", "--board", "desktop", path, "-o", tmp_path)
    assert done.exit_code == 3
    assert "has something else in it" in done.stderr
    assert "reading" not in done.stderr  # it is said before anything is done
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "exit_code", "what"),
    [
        (["--input-shape", "image"], 2, "'image' is not like image=1,3,256,256"),
        (["--input-shape", "image=1,3,-1,8"], 2, "is not like image=1,3,256,256"),
        (["--input-shape", "image=1,3,0,8"], 2, "is not like image=1,3,256,256"),
        (["--input-shape", "image=1,²"], 2, "is not like image=1,3,256,256"),
        (["--input-shape", "=1,3"], 2, "is not like image=1,3,256,256"),
        (["--input-shape", "a=1", "--input-shape", "a=2"], 2, "'a' is given twice"),
        (["--input-shape", "imgae=1,3,16,16"], 3, "imgae"),
        (["--input-shape", "image=1,3,99,16"], 3, "99"),
        (["--option", "threads"], 2, "'threads' is not like threads=1"),
        (["--option", "a=1", "--option", "a=2"], 2, "'a' is given twice"),
        (["--tolerance-db", "nan"], 2, "nan is no finite number"),
        (["--tolerance-db", "inf"], 2, "inf is no finite number"),
        (["--trial-build-s", "nan"], 2, "nan is no finite number"),
        (["--trial-build-s", "-1"], 2, "-1.0 is not in the range"),
        (["--trial-build-s", "5"], 3, "--trial-build-s is for TensorRT"),
        (["--precision", "fp16"], 3, "takes no precision 'fp16'"),
        (["--preprocess", "gone.toml"], 3, "--preprocess gone.toml cannot be read"),
        (["--calibrate", "gone"], 3, "gone is no folder"),
        (["--name", "no name"], 3, "'no name' is no name for a model"),
        (["--name", ""], 3, "'' is no name for a model"),
        (["--name", "-x"], 3, "'-x' is no name for a model"),
    ],
)
def test_options_that_are_wrong(line: live.Agent, model: Path, words: list[str], exit_code: int, what: str) -> None:
    done = run("deploy", "--board", "line-3", model, *words)
    assert (done.exit_code, done.stdout) == (exit_code, "")
    assert what in " ".join(done.stderr.split())


def test_a_compiled_file_that_is_not_there_is_told_before_anything_is_done(
    home: Path, model: Path, images: Path, tmp_path: Path
) -> None:
    gone = tmp_path / "gone.tflite"
    done = run("convert", "--board", "coral", "--calibrate", images, "--compiled", gone, model, "-o", tmp_path / "out")
    assert done.exit_code == 3
    assert f"--compiled {gone} is no file" in done.stderr
    assert "reading" not in done.stderr


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("0.5", 0.5),
        ("true", True),
        ("false", False),
        ("cpu", "cpu"),
        ("nan", "nan"),
        ("1e999", "1e999"),
        ("", ""),
    ],
)
def test_values_of_options(text: str, value: object) -> None:
    from host.cli.options import _scalar

    assert _scalar(text) == value
    assert type(_scalar(text)) is type(value)


@pytest.mark.parametrize(
    ("content", "code"), [(b"", "not_onnx"), (b"no model", "not_onnx"), (None, "unreadable_model")]
)
def test_a_file_that_is_no_model(line: live.Agent, tmp_path: Path, content: bytes | None, code: str) -> None:
    path = tmp_path / "m.onnx"
    if content is not None:
        path.write_bytes(content)
    done = run("deploy", "--board", "line-3", path, "--json")
    assert done.exit_code == 3
    told = json.loads(done.stdout)
    assert told["code"] == code
    assert told["error"].count("m.onnx") == 1
    assert f"hint: {told['hint']}" in done.stderr


def test_a_model_that_does_not_run_on_the_board(line: live.Agent, home: Path, tmp_path: Path, model: Path) -> None:
    run("convert", "--board", "desktop", model, "-o", tmp_path / "out")
    bundle = Bundle.read(tmp_path / "out")
    broken = bundles.Bundle(bundle.manifest, bundle.files).with_file("model.onnx", b"rubbish")
    (tmp_path / "out" / "model.onnx").write_bytes(b"rubbish")
    (tmp_path / "out" / "manifest.json").write_bytes(broken.manifest.canonical_json())
    done = run("deploy", "--board", "line-3", tmp_path / "out", "--name", "rubbish")
    assert (done.exit_code, done.stdout) == (5, "")
    assert "capsules.onnx does not run on line-3: " in done.stderr
    [row] = Store.open(home / "data" / "results.sqlite").rows(model="rubbish")
    assert f"(stored as result {row.id})" in done.stderr
    assert row.failure_code == "load_failed"
    shown = run("results")
    assert row.id in shown.stdout
    assert "failed" in shown.stdout


def test_a_board_that_does_not_answer_is_told_before_anything_is_converted(home: Path, model: Path) -> None:
    run("boards", "add", "gone", "--profile", "desktop", "--address", "http://127.0.0.1:1")
    done = run("deploy", "--board", "gone", model)
    assert done.exit_code == 4
    assert "the agent of 'gone' at http://127.0.0.1:1 does not answer" in done.stderr
    assert "converting" not in done.stderr


def test_a_deploy_that_cannot_be_remembered_has_succeeded(line: live.Agent, home: Path, model: Path) -> None:
    (home / "state").write_text("a file")
    done = run("deploy", "--board", "line-3", model)
    assert done.exit_code == 0
    assert "the next command must be told --board and --model" in done.stderr
    assert "capsules on line-3" in done.stdout


def test_an_unknown_board_and_model(line: live.Agent, model: Path) -> None:
    done = run("deploy", "--board", "line-33", model)
    assert done.exit_code == 3
    assert "there is no board 'line-33'; did you mean 'line-3'?" in done.stderr
    done = run("remove", "--board", "line-3", "--model", "ecko")
    assert done.exit_code == 5
    assert "did you mean 'echo'?" in done.stderr
