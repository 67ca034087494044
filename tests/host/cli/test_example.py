from pathlib import Path

import pytest
from shell import run

import compression.example
from compression.example import ExamplePaths


def test_it_says_what_it_wrote_and_what_is_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def write(folder: Path, seed: int) -> ExamplePaths:
        asked.append((folder, seed))
        return ExamplePaths(folder / "autoencoder.onnx", (folder / "good" / "0.png",) * 8, (folder / "x.png",) * 4)

    monkeypatch.setattr(compression.example, "write_example", write)
    done = run("example", tmp_path / "demo", "--seed", 7)
    assert done.exit_code == 0
    assert asked == [(tmp_path / "demo", 7)]
    assert done.stdout.splitlines() == [
        f"wrote {tmp_path / 'demo' / 'autoencoder.onnx'} (untrained), 8 good images, 4 defective ones",
        f"next: host deploy --board desktop {tmp_path / 'demo' / 'autoencoder.onnx'}",
    ]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    done = run("example", tmp_path / "file" / "demo")
    assert done.exit_code == 3
    assert "cannot be written: Not a directory" in done.stderr
