import json
from pathlib import Path

import edge_tpu_files
import pytest
import zoo
from onnx import helper
from shell import run


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def words(text: str) -> str:
    return " ".join(text.split())


def test_an_onnx_file(tmp_path: Path) -> None:
    path = zoo.save(zoo.autoencoder({}), tmp_path, "capsules.onnx")
    done = run("inspect", path)
    assert done.exit_code == 0
    assert done.stdout.startswith("capsules.onnx: ONNX opset 13, IR 8\n")
    assert "Multiply-adds of a run" in done.stdout
    assert "Edge TPU" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_an_int8_file_with_what_would_fit(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(edge_tpu_files.source())
    done = run("inspect", path)
    shown = words(done.stdout)
    assert "Would stay on an Edge TPU (estimate) 192 bytes" in shown
    assert "Would be streamed (estimate) 0 bytes" in shown
    assert "CONV_2D 3 1 144 2,048" in shown
    assert "input x int8 1x4x4x8 0.5 3" in shown
    assert "note: the estimates take 7 MiB on the chip" in shown
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("kept_bytes", [6, 40, 600])
def test_one_that_is_cut_off_is_named(tmp_path: Path, kept_bytes: int) -> None:
    path = tmp_path / "cut.tflite"
    path.write_bytes(edge_tpu_files.source()[:kept_bytes])
    done = run("inspect", path)
    assert done.exit_code == 3
    assert done.stderr.startswith(f"host: {path}")


def test_a_compiled_file_with_what_does(tmp_path: Path) -> None:
    path = tmp_path / "model_edgetpu.tflite"
    path.write_bytes(edge_tpu_files.compiled(edge_tpu_files.source(), cached=2048, streamed=512))
    shown = words(run("inspect", path).stdout)
    assert "compiled for the Edge TPU" in shown
    assert "Parameters kept on the Edge TPU 2.00 KiB" in shown
    assert "Parameters streamed at each inference 512 bytes" in shown
    assert "Runtime needed, at least 14" in shown
    assert "Compiler 16.0.384591198" in shown
    assert "estimate" not in shown


def test_for_programs(tmp_path: Path) -> None:
    path = tmp_path / "model_edgetpu.tflite"
    path.write_bytes(edge_tpu_files.compiled(edge_tpu_files.source(), cached=2048, streamed=512))
    told = json.loads(run("inspect", path, "--json").stdout)
    assert told["form"] == "edgetpu"
    assert told["packages"]["cached_bytes"] == 2048
    assert told["operators"][0]["name"] == "edgetpu-custom-op"
    assert told["macs"] is None


def test_what_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    done = run("inspect", tmp_path / "notes.txt", "--json")
    assert done.exit_code == 3
    assert json.loads(done.stdout)["code"] == "not_onnx"
    assert "host:" in done.stderr


def test_a_folder(tmp_path: Path) -> None:
    done = run("inspect", tmp_path)
    assert done.exit_code == 3
    assert "is a folder without a converted model" in done.stderr


def test_a_folder_of_convert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model in it."""
    monkeypatch.setenv("BOARDFIT_HOME", str(tmp_path / "home"))
    path, out = zoo.save(zoo.autoencoder(), tmp_path), tmp_path / "out"
    assert run("convert", "--board", "desktop", path, "-o", out).exit_code == 0
    shown = words(run("inspect", out).stdout)
    assert f"{out}/model.onnx: ONNX opset 13" in shown
    assert "Multiply-adds of a run 49,152" in shown


def test_what_is_not_counted_is_not_known(tmp_path: Path) -> None:
    node = helper.make_node("Einsum", ["x", "x"], ["y"], equation="ij,jk->ik")
    made = zoo.model([node], [zoo.tensor("x", (4, 4))], [zoo.tensor("y", (4, 4))])
    shown = words(run("inspect", zoo.save(made, tmp_path)).stdout)
    assert "Multiply-adds of a run not known" in shown
    assert "Einsum 1 0 not known" in shown
    assert "note: multiply-adds of Einsum are not counted" in shown


def test_an_image(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n and so on")
    done = run("inspect", path)
    assert done.exit_code == 3
    assert "it is an image (PNG)" in done.stderr
    assert "host infer" in done.stderr
