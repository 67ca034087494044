"""What only a process of its own shows: pipes that close, encodings, full disks."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import live
import pytest
from photos import photo

from contract.results import BenchRow
from host.store import Store

RowMaker = Callable[..., BenchRow]
HOST = [sys.executable, "-m", "host"]
ASCII = {"PYTHONIOENCODING": "ascii"}


@pytest.fixture
def results(home: Path, failed_row: RowMaker, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose results are more than a pipe holds."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # it hides from a program that a write was cut short
    Store.open(home / "data" / "results.sqlite").add(failed_row(failure="no kernel for it " * 20_000))
    return home


@pytest.mark.parametrize("form", ["--csv", ""])
def test_a_reader_that_leaves_is_no_trouble(results: Path, form: str) -> None:
    command = " ".join([*HOST, "results", form])
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -n 1"], check=False, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
    assert done.returncode == 1


def test_a_little_to_a_reader_that_has_left_already(home: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = subprocess.run([*HOST, "boards"], check=False, stdout=closed, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_full_disk_is_told(home: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*HOST, "results"], check=False, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("host: the output cannot be written: No space left on device\n  hint: ")


def ran(*words: object, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [*HOST, *map(str, words)], check=False, capture_output=True, env={**os.environ, **environment}
    )


@pytest.mark.parametrize("environment", [ASCII, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])
def test_tables_in_ascii(line: live.Agent, environment: dict[str, str]) -> None:
    done = ran("stats", "--board", "line-3", **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"inspector" in done.stdout


def test_a_file_whose_name_is_no_text(line: live.Agent, tmp_path: Path) -> None:
    good, gone = (tmp_path / os.fsdecode(name) for name in (b"\xff\xe4.png", b"\xffgone.png"))
    good.write_bytes(photo())
    words = ["infer", "--board", "line-3", "--model", "inspector", good, gone]
    done = ran(*words)
    assert done.returncode == 3
    assert b"Traceback" not in done.stderr
    assert b"gone.png cannot be read" in done.stderr
    assert b"1 good" in done.stdout
    told = json.loads(ran(*words, "--json", **ASCII).stdout)
    assert told[0]["decision"] == "good"
    assert told[1]["code"] == "bad_input"
