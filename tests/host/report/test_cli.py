"""`host report` as a user runs it, on a study that is built rather than run."""

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from pyarrow import parquet
from shell import run

from ..studies import study_results
from .reports import stored

RESULTS = study_results(("desktop", "coral"), (0.0, 0.5, 0.9, 0.99), 2)


@pytest.fixture(autouse=True)
def here(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with the study `capsule-sweep`; the folder that the user is in."""
    assert home
    stored(RESULTS)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_the_page_is_named_for_the_study(here: Path) -> None:
    done = run("report")
    assert (done.exit_code, done.stdout) == (0, "wrote capsule-sweep.html\n")
    assert (here / "capsule-sweep.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [path.name for path in here.iterdir()] == ["capsule-sweep.html"]


def test_the_page_is_replaced_and_its_folder_made(here: Path) -> None:
    path = here / "new" / "report.html"
    for language in ("en", "ja"):
        assert run("report", "capsule-sweep", "-o", path, "--lang", language, "--no-examples").exit_code == 0
        assert f'<html lang="{language}"' in path.read_text(encoding="utf-8")
    assert "left out by --no-examples" in path.read_text(encoding="utf-8")


def test_the_rate_is_that_of_the_conditions(here: Path) -> None:
    assert run("report", "--constraint", "model_peak_bytes<=120MiB", "--point").exit_code == 0
    made = (here / "capsule-sweep.html").read_text(encoding="utf-8")
    assert "<code>model_peak_bytes&lt;=120MiB</code>" in made
    assert "judged by point estimates" in made


def test_rows_for_others_without_the_page(here: Path) -> None:
    done = run("report", "--csv", "rows.csv", "--json", "rows.json", "--parquet", "rows.parquet")
    assert done.stdout.split() == ["wrote", "rows.csv", "wrote", "rows.json", "wrote", "rows.parquet"]
    ids = [row.id for row in RESULTS.rows]
    with (here / "rows.csv").open(encoding="utf-8", newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == ids
    assert [row["id"] for row in json.loads((here / "rows.json").read_text(encoding="utf-8"))] == ids
    assert parquet.read_table(here / "rows.parquet").column("id").to_pylist() == ids
    assert not (here / "capsule-sweep.html").exists()


def test_figures_as_files(here: Path) -> None:
    done = run("report", "--figures", "figures", "--lang", "ja")
    names = {f"{name}.{suffix}" for name in ("latency", "auc", "memory", "pareto") for suffix in ("svg", "png")}
    assert {path.name for path in (here / "figures").iterdir()} == names
    assert done.stdout.count("wrote ") == len(names)
    assert "圧縮率と推論レイテンシ" in (here / "figures" / "latency.svg").read_text(encoding="utf-8")
    assert (here / "figures" / "pareto.png").read_bytes().startswith(b"\x89PNG")


def test_a_figure_that_no_row_has_is_told(here: Path) -> None:
    missing = study_results(("coral",), (0.0, 0.9), 1, missing=("coral",), name="missing")
    rows = tuple(row.model_copy(update={"id": f"z{row.id[1:]}"}) for row in missing.rows)
    stored(replace(missing, rows=rows))
    done = run("report", "missing", "--figures", "figures")
    assert done.exit_code == 0
    assert "no latency figure: no row has it" in done.stderr
    assert {path.stem for path in (here / "figures").iterdir()} == {"auc"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_file_that_cannot_be_written(here: Path) -> None:
    here.chmod(0o500)
    assert run("report").exit_code == 3


def test_a_folder_where_the_page_should_be(here: Path) -> None:
    (here / "capsule-sweep.html").mkdir()
    done = run("report")
    assert done.exit_code == 3
    assert "capsule-sweep.html cannot be written: Is a directory" in done.stderr


def test_a_condition_that_is_none(here: Path) -> None:
    done = run("report", "--constraint", "auc_dorp<=0.01")
    assert done.exit_code == 3
    assert "did you mean 'auc_drop'?" in done.stderr
    assert list(here.iterdir()) == []


def test_no_such_study() -> None:
    done = run("report", "capsule-swep")
    assert done.exit_code == 3
    assert "did you mean 'capsule-sweep'?" in done.stderr


def test_without_any_study_it_is_said_where_other_benches_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BOARDFIT_HOME", str(tmp_path / "nobody"))
    done = run("report")
    assert done.exit_code == 3
    assert "benches of no study: `host results`" in done.stderr
