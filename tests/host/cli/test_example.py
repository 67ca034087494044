from pathlib import Path

from shell import run


def test_it_says_what_it_wrote_and_what_is_next(tmp_path: Path) -> None:
    done = run("example", tmp_path / "demo", "--seed", 7)
    assert done.exit_code == 0
    wrote, following = done.stdout.splitlines()
    model = tmp_path / "demo" / "autoencoder.onnx"
    assert wrote.startswith(f"wrote {model}, the same with 5 % of its weights (autoencoder-95.onnx), ")
    assert wrote.endswith("8 good images, 5 defective ones")
    assert following == f"next: host deploy --board desktop {model}"
    assert len(list((tmp_path / "demo").rglob("*.png"))) == 13


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    done = run("example", tmp_path / "file" / "demo")
    assert done.exit_code == 3
    assert "cannot be written: Not a directory" in done.stderr
