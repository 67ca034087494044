import json
import shutil
from pathlib import Path

import live
import pytest
import zoo
from PIL import Image
from shell import run

from host.last import Last
from host.local_agent import LocalAgent
from inspection.accuracy import auc


@pytest.fixture(autouse=True)
def _no_home(home: Path) -> None:
    """Nothing of the real user's is read or written."""


def test_on_this_machine_no_agent_is_started(
    untrained: Path, capsules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_self: LocalAgent) -> None:
        raise AssertionError("nothing is asked of a board")

    monkeypatch.setattr(LocalAgent, "ensure", start)
    done = run("evaluate", untrained, "--data", capsules, "--pictures", tmp_path / "pictures")
    assert done.exit_code == 0
    notice, *rest = done.stdout.splitlines()
    assert notice.startswith("note: images are prepared as the model itself says")
    assert rest[0].startswith("AUC 0.")
    assert max(map(len, rest[:-1])) <= 80
    assert rest[-1] == "wrote " + ", ".join(
        str(tmp_path / "pictures" / name) for name in ("roc.png", "histogram.png", "maps.png")
    )
    for path in (tmp_path / "pictures").iterdir():
        with Image.open(path) as picture:
            picture.verify()
    assert "this machine: reconstructing test images ..." in done.stderr


def test_for_programs(untrained: Path, capsules: Path) -> None:
    done = run("evaluate", untrained, "--data", capsules, "--json")
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    for method, figures in told["model"]["accuracy"].items():
        scores = [image["scores"][method] for image in told["images"]]
        assert auc(scores, [image["kind"] != "good" for image in told["images"]]) == figures["auc"]["auc"]


def test_on_a_board(line: live.Agent, last: Last, untrained: Path, capsules: Path) -> None:
    last.remember("line-3", "inspector")
    before = json.loads(run("models", "--board", "line-3", "--json").stdout)
    done = run("evaluate", untrained, "--data", capsules, "--board", "line-3")
    assert done.exit_code == 0
    assert "capsules.onnx on line-3" in done.stdout
    assert "line-3: reconstructing test images ..." in done.stderr
    assert json.loads(run("models", "--board", "line-3", "--json").stdout) == before
    assert (last.board(), last.model("line-3")) == ("line-3", "inspector")


def test_a_converted_folder(untrained: Path, capsules: Path, tmp_path: Path) -> None:
    run("convert", "--board", "desktop", untrained, "-o", tmp_path / "out")
    whole, converted = (
        json.loads(run("evaluate", model, "--data", capsules, "--json").stdout)
        for model in (untrained, tmp_path / "out")
    )
    assert converted["images"] == whole["images"]
    assert converted["model"] == {**whole["model"], "name": f"{tmp_path / 'out' / 'model.onnx'}, fp32 of capsules.onnx"}


def test_options_of_the_conversion(capsules: Path, tmp_path: Path) -> None:
    path = zoo.save(zoo.model([], [], []), tmp_path, "empty.onnx")
    assert run("evaluate", path, "--data", capsules).exit_code == 3
    open_sizes = zoo.save(zoo.identity(("N", 3, "H", "W")), tmp_path)
    done = run("evaluate", open_sizes, "--data", capsules)
    assert done.exit_code == 3
    assert "--input-shape" in done.stderr
    (tmp_path / "p.toml").write_text("mean = [0.5, 0.5, 0.5]\n")
    words = ("--input-shape", "x=1,3,16,16", "--preprocess", tmp_path / "p.toml")
    echo = run("evaluate", open_sizes, "--data", capsules, *words)
    assert echo.exit_code == 3
    assert "model.onnx: the training error map has the mean 0" in echo.stderr


def test_trouble_has_no_traceback(untrained: Path, capsules: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(capsules, tmp_path / "copy"))
    shutil.rmtree(copy / "test" / "good")
    for words, code in (
        (("evaluate", untrained, "--data", copy), "one_class"),
        (("evaluate", untrained, "--data", tmp_path / "gone"), "missing_folder"),
        (("evaluate", tmp_path / "gone.onnx", "--data", capsules), "unreadable_model"),
        (("evaluate", copy, "--data", capsules), "bad_input"),
        (("evaluate", untrained, "--data", capsules, "--board", "nowhere"), "unknown_board"),
        (("evaluate", untrained, "--data", capsules, "--pictures", untrained / "x"), "bad_input"),
    ):
        done = run(*words, "--json")
        assert done.exit_code == 3, done.stderr
        assert json.loads(done.stdout)["code"] == code
        assert "hint: " in done.stderr


def test_what_must_be_said(untrained: Path) -> None:
    done = run("evaluate", untrained)
    assert done.exit_code == 2
    assert "Missing option '--data'" in done.stderr
