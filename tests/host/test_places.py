from pathlib import Path

import pytest

from host import places


def test_one_folder_for_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOARDFIT_HOME", str(tmp_path))
    monkeypatch.delenv("BOARDFIT_RESULTS", raising=False)
    assert (places.config_dir(), places.state_dir(), places.data_dir()) == (
        tmp_path / "config",
        tmp_path / "state",
        tmp_path / "data",
    )
    assert places.results() == tmp_path / "data" / "results.sqlite"


def test_the_folder_may_be_relative_or_begin_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOARDFIT_HOME", "here")
    assert places.config_dir() == tmp_path / "here" / "config"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BOARDFIT_HOME", "~/there")
    assert places.config_dir() == tmp_path / "there" / "config"


def test_the_platforms_folders_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOARDFIT_HOME", "")
    for kind in ("CONFIG", "STATE", "DATA"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind))
    assert (places.config_dir(), places.state_dir(), places.data_dir()) == tuple(
        tmp_path / kind / "boardfit" for kind in ("CONFIG", "STATE", "DATA")
    )


def test_results_go_where_the_user_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOARDFIT_RESULTS", "postgresql://lab/results")
    assert places.results() == "postgresql://lab/results"
