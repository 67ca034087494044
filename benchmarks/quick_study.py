"""A study that benchmarks run in more than one way, and what of it has to be the same each time.

9 rates (the control among them) x 3 trials of `small` on the desktop, with `--quick` epochs.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compression.autoencoder import SPECS
from compression.data.capsule import write_dataset
from host.reproduction.plan import RATES
from host.store import Store

NAME = "capsules"
UNTIMED = (
    "counted_runs",
    "weights",
    "macs",
    "rate",
    "auc",
    "auc_drop",
    "float_auc",
    "float_auc_drop",
)
"""The figures of a row that are neither time nor memory."""


@dataclass(frozen=True)
class Scale:
    """How much of it: the bars' by default. `images` to train on, a third of them to test on, good and bad each."""

    model: str = "small"
    rates: tuple[float, ...] = RATES
    trials: int = 3
    images: int = 60
    runs: int = 1000

    @property
    def row_count(self) -> int:
        return (1 + len(self.rates)) * self.trials

    @property
    def model_count(self) -> int:
        """The originals', too: one."""
        return 1 + self.row_count


TRY = Scale("tiny", (0.5, 0.9), 1, 18, 50)
"""Minutes, to see that a benchmark works."""


def draw(data: Path, scale: Scale) -> None:
    """The images: the same each time."""
    few = scale.images // 3
    write_dataset(data, train=scale.images, good=few, bad=few, size=SPECS[scale.model].size)


def started(home: Path, data: Path, scale: Scale, options: Sequence[str] = ()) -> "subprocess.Popen[bytes]":
    """`host study run` with its own boards, agent and results in `home`, leader of its own process group."""
    asked = {
        "name": NAME,
        "data": data,
        "model": scale.model,
        "rates": ",".join(f"{rate:g}" for rate in scale.rates),
        "trials": scale.trials,
        "boards": "desktop",
        "runs": scale.runs,
    }
    given = [f"--{key}={value}" for key, value in asked.items()]
    return _host(home, "study", "run", *given, "--quick", "--json", *options)


def resumed(home: Path) -> "subprocess.Popen[bytes]":
    """`host study resume`, likewise."""
    return _host(home, "study", "resume", NAME, "--json")


def end_agent(home: Path) -> None:
    """Of the desktop, which the study has started."""
    _host(home, "boards", "stop", "desktop").wait()


def folder(home: Path) -> Path:
    return home / "data" / "studies" / NAME


def taught_count(home: Path) -> int:
    """Models that are there."""
    return sum(1 for _ in folder(home).rglob("*.onnx"))


def facts(home: Path) -> dict[str, Any]:
    """Of a study that has ended: its rows by board, rate and trial, its models, and scores and thresholds of each."""
    found: dict[str, Any] = {}
    for row in Store.open(home / "data" / "results.sqlite").rows(study=NAME):
        key = f"row {row.board}, rate {row.requested_rate}, trial {row.trial}"
        if key in found:
            raise AssertionError(f"two of {key}")
        figures = row.figures()
        found[key] = {"failure": row.failure_code, **{each: figures[each] for each in UNTIMED}}
    for path in folder(home).rglob("*.onnx"):
        found[f"model {path.relative_to(folder(home))}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    for path in folder(home).glob("*/*.json"):
        record = json.loads(path.read_bytes())
        found[f"record {path.relative_to(folder(home))}"] = {key: record[key] for key in record if key != "row"}
    return found


def tell_differences(one: dict[str, Any], other: dict[str, Any]) -> int:
    """How many there are, and each."""
    different = [key for key in sorted(one.keys() | other.keys()) if one.get(key) != other.get(key)]
    for key in different:
        print(f"  {key}: {str(one.get(key))[:300]}\n    but {str(other.get(key))[:300]}")
    return len(different)


def _host(home: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "host", *arguments],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "BOARDFIT_HOME": str(home), "RAY_USAGE_STATS_ENABLED": "0"},
        start_new_session=True,
    )
