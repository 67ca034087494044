"""How long does `host report` take for 1,000 rows, and how large is the file?

A study of 10 boards, 10 rates and 10 trials, its rows those of tests/host/studies.py; with capsules to show and a
`small` model at each rate, so that there are example images with their error maps. Each run is a process of its own.
Bars: 3 s from the start of the process to its end, 5 MB.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np

from benchmarks.verdict import machine, spread, tell
from compression.autoencoder import SPECS, reference_model, set_inspection
from compression.compress import compress
from compression.data.capsule import write_dataset
from compression.data.mvtec import Dataset, read_dataset
from host import places
from host.store import Store
from host.study import records
from host.study.results import StudyResults
from inspection.preprocess import Preprocessing
from inspection.score import Score

BOARDS = tuple(f"board-{number}" for number in range(10))
RATES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
TRIALS, ROUNDS = 10, 5
MOST_S, MOST_BYTES = 3.0, 5_000_000
THRESHOLD = 0.02


def main() -> bool:
    print(f"`host report`: {len(BOARDS) * len(RATES) * TRIALS:,} rows, {ROUNDS} times. {machine()}", flush=True)
    with tempfile.TemporaryDirectory(prefix="boardfit-report-") as folder:
        home, page = Path(folder) / "home", Path(folder) / "report.html"
        _store(home, Path(folder) / "capsules")
        times = [_timed(home, page) for _ in range(ROUNDS)]
        size = page.stat().st_size
        maps = page.read_text(encoding="utf-8").count("data:image/jpeg")
    print(f"  {spread(times, ' s', 2)}; {size / 1e6:.2f} MB, {maps} pictures in it")
    quick = tell(f"{sorted(times)[ROUNDS // 2]:.2f} s, at most {MOST_S:g}", sorted(times)[ROUNDS // 2] <= MOST_S)
    small = tell(f"{size / 1e6:.2f} MB, at most {MOST_BYTES / 1e6:g}", size <= MOST_BYTES)
    return quick and small


def _timed(home: Path, page: Path) -> float:
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "host", "report", "-o", str(page)],
        env={**os.environ, "BOARDFIT_HOME": str(home)},
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - start


def _store(home: Path, data: Path) -> None:
    """The study as `host study run` leaves it: rows in the database, records and models in its folder."""
    spec = SPECS["small"]
    write_dataset(data, seed=0, train=8, good=23, bad=109, size=spec.size)
    dataset = read_dataset(data)
    with patch.dict(os.environ, {"BOARDFIT_HOME": str(home)}):
        os.environ.pop("BOARDFIT_RESULTS", None)
        results = _on(dataset, _built())
        folder = results.study.folder
        records.write(folder / records.STUDY_FILE, records.Opened(results.study, "0" * 64, results.created_at))
        for (rate, trial), taught in results.taught.items():
            records.write(records.taught_path(folder, trial, rate), taught)
        for (board, rate, trial), there in results.on_board.items():
            records.write(records.on_board_path(folder, trial, rate, board), there)
        store = Store.open(places.results())
        for row in results.rows:
            store.add(row)
        images = np.random.default_rng(0).random((8, 3, spec.size, spec.size), np.float32)
        original = reference_model(spec, images, seed=0)
        for rate in RATES:
            model = compress(original, rate).model if rate else original
            set_inspection(model, Preprocessing(height=spec.size, width=spec.size), Score(threshold=THRESHOLD))
            path = records.model_path(records.taught_path(folder, 1, rate))
            path.write_bytes(model.SerializeToString())


def _built() -> StudyResults:
    path = Path(__file__).parent.parent / "tests" / "host" / "studies.py"
    spec = importlib.util.spec_from_file_location("studies", path)
    assert spec
    assert spec.loader
    studies = importlib.util.module_from_spec(spec)
    sys.modules["studies"] = studies  # dataclasses look there
    spec.loader.exec_module(studies)
    built: StudyResults = studies.study_results(BOARDS, RATES, TRIALS)
    return built


def _on(dataset: Dataset, results: StudyResults) -> StudyResults:
    """The same study, its scores those of this data set's images."""
    names = tuple(image.path.relative_to(dataset.folder).as_posix() for image in dataset.test)
    labels = tuple(image.defective for image in dataset.test)
    taught = {
        at: replace(
            each, threshold=THRESHOLD, scores=each.scores and replace(each.scores, images=names, defective=labels)
        )
        for at, each in results.taught.items()
    }
    return replace(results, study=replace(results.study, data=dataset.folder), taught=taught)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
