from pathlib import Path

import engine_steps
import pytest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a run, with what its tasks read; their module is on the path of their processes."""
    monkeypatch.setenv("PYTHONPATH", str(engine_steps.PATH))
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "seed").write_text("seven")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "data").symlink_to(tmp_path / "images")
    return tmp_path / "run"
