import json
from pathlib import Path

import onnx
import pytest
from shell import run, spawn

from compression.autoencoder import SPECS, AutoencoderSpec
from compression.data.capsule import write_dataset

FAST = ("--threads", 1, "--training-precision", "fp32", "--batch", 8)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "capsules"
    write_dataset(folder, train=12, good=3, bad=5, size=32)
    return folder


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SPECS, "tiny", AutoencoderSpec(32, (8, 12, 16), linear_bottleneck=True))


def train(data: Path, output: Path, *words: object) -> str:
    done = run("train", "--data", data, "-o", output, "--model", "tiny", "--epochs", 2, *FAST, *words)
    assert done.exit_code == 0
    return done.stdout


def test_train_says_which_epoch_was_kept_and_how_it_decides(data: Path, tmp_path: Path) -> None:
    said = train(data, tmp_path / "base.onnx")
    assert f"wrote {tmp_path / 'base.onnx'}: 9,984 weights" in said
    assert "kept epoch" in said
    assert "which flatters" in said
    assert "decides by max_normalised_squared_error" in said


def test_chosen_on_held_out_images_the_highest_auc_is_told_beside_it(data: Path, tmp_path: Path) -> None:
    said = " ".join(train(data, tmp_path / "base.onnx", "--select", "validation").split())
    assert "which did not choose the epoch; the highest of all epochs is" in said


def test_train_for_programs(data: Path, tmp_path: Path) -> None:
    told = json.loads(train(data, tmp_path / "base.onnx", "--json"))
    assert told["weights"] == 9984
    assert [epoch["number"] for epoch in told["training"]["history"]] == [1, 2]
    assert told["score"]["threshold"] > 0


def test_compress_shows_each_layer_and_json_has_the_ranks_to_give_again(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "base.onnx")
    words = ("compress", tmp_path / "base.onnx", "--data", data, "--retrain-epochs", 2, *FAST)
    done = run(*words, "--rate", 0.6, "-o", tmp_path / "r60.onnx")
    assert done.exit_code == 0
    assert "of the weights removed" in done.stdout
    assert all(f"{part}{number}" in done.stdout for part in ("encode", "decode") for number in (1, 2, 3))
    told = json.loads(run(*words, "--rate", 0.6, "-o", tmp_path / "again.onnx", "--json").stdout)["compression"]
    (tmp_path / "ranks.json").write_text(json.dumps(told["ranks"]))
    given = run(*words, "--ranks", tmp_path / "ranks.json", "-o", tmp_path / "given.onnx", "--json")
    assert json.loads(given.stdout)["compression"]["rate"] == pytest.approx(told["rate"])


def test_compress_without_images(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "base.onnx")
    done = run("compress", tmp_path / "base.onnx", "--rate", 0.5, "-o", tmp_path / "r50.onnx")
    assert done.exit_code == 0
    assert "not retrained" in done.stdout
    assert onnx.load(tmp_path / "r50.onnx").graph.node


@pytest.mark.parametrize(
    ("words", "exit_code", "message"),
    [
        (("--rate", 1.5), 3, "a rate of 1.5"),
        (("--rate", "nan"), 3, "a rate of nan"),
        (("--rate", 0.999), 3, "cannot be reached"),
        ((), 2, "--rate or --ranks"),
        (("--rate", 0.5, "--allocation", "activation"), 2, "--allocation activation needs images"),
        (("--rate", 0.5, "--data", "nowhere"), 3, "nowhere"),
        (("--rate", 0.5, "--device", "tpu"), 2, "tpu"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    data: Path, tmp_path: Path, words: tuple[object, ...], exit_code: int, message: str
) -> None:
    train(data, tmp_path / "base.onnx")
    done = run("compress", tmp_path / "base.onnx", "-o", tmp_path / "out.onnx", *words)
    assert done.exit_code == exit_code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out.onnx").exists()


def test_ctrl_c_in_a_process_of_its_own(data: Path, tmp_path: Path) -> None:
    import signal

    larger = tmp_path / "larger"
    write_dataset(larger, train=10, good=2, bad=2, size=64)
    words = ("train", "--data", larger, "-o", tmp_path / "base.onnx", "--model", "tiny", "--epochs", 500, *FAST)
    started = spawn(*words, home=tmp_path / "home", PYTHONUNBUFFERED="1")
    started.until("training ...")
    started.until("of 500")
    started.process.send_signal(signal.SIGINT)
    exit_code, stdout, stderr = started.end()
    assert exit_code == 130
    assert stdout == ""
    assert "the same command goes on" in stderr
    assert "Traceback" not in stderr
    assert not (tmp_path / "base.onnx").exists()
    assert (tmp_path / "base.onnx.training").exists()
