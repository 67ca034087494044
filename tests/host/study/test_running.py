"""A study in processes of its own, on an agent in this one."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onnx
import pytest
from running import children
from shell import run as host
from told import Told

from compression.compress import compress
from compression.data.capsule import write_dataset
from host.boards import Board, Boards
from host.engine import lock
from host.engine.local import Local, LocalWork
from host.engine.task import Failure, Task
from host.errors import InputError
from host.store import Store
from host.study import records, running
from host.study.opening import open_study, with_free_name
from host.study.plan import steps_of, tasks_of
from host.study.records import OnBoard
from host.study.results import find_study, read_study
from host.study.running import run
from host.study.spec import CONTROL_RATE, EXAMPLES, Study
from host.study.status import status_of
from host.study.teach import teach

from ..conftest import RowMaker

ASKED = [
    *("--name=s", "--model=tiny", "--rates=0.9", "--trials=1", "--boards=line-3"),
    *("--epochs=2", "--retrain-epochs=1", "--runs=20", "--interrupt"),
]


@pytest.fixture
def study(boards: Boards, tmp_path: Path) -> Study:
    write_dataset(tmp_path / "data", train=6, good=2, bad=2)
    rates = (CONTROL_RATE, 0.9)
    return Study("s", tmp_path / "data", "tiny", rates, 1, ("line-3",), epochs=2, retrain_epochs=1, runs=20)


def untimed(name: str) -> list[tuple[Any, ...]]:
    rows = read_study(name).rows
    return [(row.requested_rate, row.trial, row.board, row.failure, row.auc, row.weights, row.rate) for row in rows]


@pytest.mark.timeout(300)
def test_killed_again_and_again_it_comes_to_the_same(study: Study, home: Path, tmp_path: Path) -> None:
    """By SIGKILL, at moments between and within its steps; nothing of it is left running, and nothing is done twice."""
    taught = []
    for end_after in ("trial-1/rate-0.onnx", "trial-1/rate-0.line-3.scores.json", None):
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "host", "study", "run", f"--data={study.data}", *ASKED],
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        while process.poll() is None and not (end_after and (study.folder / end_after).exists()):
            time.sleep(0.02)
        if end_after:
            os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == (-signal.SIGKILL if end_after else 0), (tmp_path / "log").read_text()
        taught.append({path: path.stat().st_mtime_ns for path in study.folder.rglob("*.onnx")})
    assert all(before.items() <= after.items() for before, after in itertools.pairwise(taught))
    rows = untimed("s")
    assert [row[:4] for row in rows] == [(0, 1, "line-3", None), (0.9, 1, "line-3", None)]
    assert lock.holder(study.folder) is None
    found = status_of(read_study("s"))
    assert found.is_done
    told = Told()
    run(find_study("s"), Local(1), Store.open(home / "data" / "results.sqlite"), told, interrupt=False)
    assert told.notes == []  # there is nothing left to do
    assert untimed("s") == rows
    assert _taught(study.folder) == _taught_alone(study, tmp_path / "alone")


def _taught(folder: Path) -> dict[str, bytes]:
    """Models and their records."""
    models = list(folder.rglob("*.onnx"))
    paths = [*models, *(path.with_suffix(".json") for path in models)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def _taught_alone(study: Study, folder: Path) -> dict[str, bytes]:
    """Without a disturbance, in this process."""
    folder.mkdir()
    (folder / records.DATA).symlink_to(study.data)
    for step in steps_of(study):
        if step.board is None:
            teach(folder, study, step, Told())
    return _taught(folder)


def test_what_fails_is_a_row_for_each_measurement_that_it_keeps_from_being_taken(
    study: Study, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, store = open_study(study, Told()), Store.open(home / "data" / "results.sqlite")

    def all_fail(_folder: Any, tasks: Any, _engine: Any, _progress: Any, _on_done: Any, on_failed: Any) -> None:
        for task in tasks:
            on_failed(task, Failure("no memory left", "take fewer", "task_killed"))

    with monkeypatch.context() as patch:
        patch.setattr(running.engine_running, "run", all_fail)
        told = Told()
        run(opened, Local(1), store, told, interrupt=False)
        run(opened, Local(1), store, told, interrupt=False)
    rows = read_study("s").rows
    assert [(row.requested_rate, row.failure, row.failure_code) for row in rows] == [
        (0, "no memory left", "task_killed"),
        (0.9, "no memory left", "task_killed"),
    ]
    assert "original: not done: no memory left" in told.notes
    found = status_of(read_study("s"))
    assert [line.failed for line in found.lines] == [{"line-3": 1}, {"line-3": 1}]
    assert not found.is_done


def test_a_study_is_opened_once_and_again(study: Study) -> None:
    opened = open_study(study, Told())
    assert open_study(study, Told()) == opened == find_study("s") == find_study(None)
    assert (study.folder / "data").resolve() == study.data
    with pytest.raises(InputError, match="asks for something else: epochs 2 there, 3 here") as caught:
        open_study(replace(study, epochs=3), Told())
    assert "host study resume s" in caught.value.hint


def test_a_study_grows(study: Study, boards: Boards, home: Path) -> None:
    """Nobody is asked for what is new while another process is at work on what was there."""
    opened = open_study(study, Told())
    boards.add(Board("nano", "desktop", "http://127.0.0.1:9", home / "line-3.token"))
    more = replace(study, boards=("nano", "line-3"), rates=(CONTROL_RATE, 0.5, 0.9), trials=2)
    with lock.held(study.folder), pytest.raises(InputError, match="is at work"):
        open_study(more, Told())
    assert find_study("s") == opened
    told = Told()
    after = open_study(more, told)
    assert told.notes == ["study s grows: boards + nano, rates + 0.5, trials 1 -> 2"]
    assert after == replace(opened, study=replace(more, boards=("line-3", "nano"))) == find_study("s")
    told = Told()
    assert open_study(more, told) == after
    assert told.notes == []
    with pytest.raises(InputError, match=r"rates 0 0\.5 0\.9 there, 0 0\.9 here"):
        open_study(study, Told())


@pytest.mark.parametrize(
    ("change", "said"), [({"boards": ("line-3", "nan")}, "no board 'nan'"), ({"rates": (0.0, 0.9, 0.99999)}, "0.99999")]
)
def test_a_study_does_not_grow_by_what_cannot_be_done(change: dict[str, Any], said: str, study: Study) -> None:
    opened = open_study(study, Told())
    with pytest.raises(InputError, match=said):
        open_study(replace(study, **change), Told())
    assert find_study("s") == opened


def test_grown_it_does_what_is_new_alone(
    study: Study, home: Path, boards: Boards, make_row: RowMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, store, left = open_study(study, Told()), Store.open(home / "data" / "results.sqlite"), []
    for number, step in enumerate(steps_of(study)):
        path = study.folder / tasks_of(study, [])[step.name][1].writes[-1]
        if step.board is None:
            path.parent.mkdir(exist_ok=True)
            path.touch()
            continue
        row = make_row(number, study="s", board=step.board, requested_rate=step.rate, measured_at=datetime.now(UTC))
        store.add(row.model_copy(update={"trial": step.trial}))
        records.write(path, OnBoard(step.board, step.trial or 1, step.rate or 0.0, row.id, None, None))
    boards.add(Board("nano", "desktop", "http://127.0.0.1:9", home / "line-3.token"))
    more = replace(study, boards=("line-3", "nano"), rates=(CONTROL_RATE, 0.5, 0.9), trials=2)

    def noted(folder: Path, tasks: list[Task], *_: Any) -> None:
        left[:] = [task.name for task in tasks if not task.is_done(folder)]

    monkeypatch.setattr(running.engine_running, "run", noted)
    run(opened, Local(1), store, Told(), interrupt=False)
    assert left == []
    run(open_study(more, Told()), Local(1), store, Told(), interrupt=False)
    assert left == [step.name for step in steps_of(more) if step not in set(steps_of(study))]
    assert "trial-1-rate-0-on-nano" in left
    assert "trial-1-rate-0" not in left


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"boards": ("line-4",)}, "no board 'line-4'"),
        ({"data": Path("/nowhere")}, "/nowhere"),
        ({"rates": (0.0, 0.99999)}, "0.99999"),
        ({"model": "/nowhere/mine.onnx"}, "mine.onnx"),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is(change: dict[str, Any], said: str, study: Study) -> None:
    with pytest.raises(InputError, match=said):
        open_study(replace(study, **change), Told())
    assert not study.folder.exists()


def test_a_default_name_is_that_of_no_other_study(study: Study) -> None:
    told = Told()
    assert with_free_name(study, told) == study
    open_study(study, Told())
    assert with_free_name(study, told) == study
    more = replace(study, trials=2)
    assert with_free_name(more, told) == more  # that one grows
    assert told.notes == []
    other = replace(study, epochs=3)
    assert with_free_name(other, told) == replace(other, name="s-2")
    said = "this is a new study, s-2, for s asks for something else: epochs 2 there, 3 here"
    assert told.notes == [said]
    open_study(replace(other, name="s-2"), Told())
    assert with_free_name(other, told) == replace(other, name="s-2")
    assert told.notes == [said]


def test_a_study_that_asks_for_the_same_comes_before_one_that_would_grow(study: Study) -> None:
    open_study(study, Told())
    more = replace(study, trials=2)
    open_study(replace(more, name="s-2"), Told())
    assert with_free_name(more, Told()) == replace(more, name="s-2")


def test_a_record_without_its_row_is_measured_anew(study: Study, home: Path, make_row: RowMaker) -> None:
    """The results may be another database than they were."""
    opened, store = open_study(study, Told()), Store.open(home / "data" / "results.sqlite")
    row = make_row(1, study="s", board="line-3", requested_rate=0.9, measured_at=datetime.now(UTC))
    store.add(row)
    paths = {rate: records.on_board_path(study.folder, 1, rate, "line-3") for rate in study.rates}
    for rate, row_id in ((CONTROL_RATE, "gone0000"), (0.9, row.id)):
        records.write(paths[rate], OnBoard("line-3", 1, rate, row_id, None, None))
    with pytest.raises(KeyboardInterrupt):
        run(opened, Interrupting(), store, Told(), interrupt=False)
    assert [path.exists() for path in paths.values()] == [False, True]


def test_rows_of_an_older_study_of_this_name(study: Study, home: Path, make_row: RowMaker) -> None:
    store = Store.open(home / "data" / "results.sqlite")
    store.add(make_row(1, study="s", board="line-3", requested_rate=0.9))
    with pytest.raises(InputError, match="has rows of another study 's'"):
        run(open_study(study, Told()), Local(1), store, Told(), interrupt=False)


class Interrupting(Local):
    """Begins nothing."""

    def __init__(self) -> None:
        super().__init__(1)

    def start(self, folder: Path, task: Task) -> LocalWork:
        raise KeyboardInterrupt


def test_a_model_that_is_compressed_already(study: Study, untrained: Path, tmp_path: Path) -> None:
    path = tmp_path / "half.onnx"
    onnx.save(compress(onnx.load(untrained), 0.5).model, path)
    half = replace(study, model=str(path))
    with pytest.raises(InputError, match=r"has a rate of 0\.5 already, 0\.3 is no more"):
        open_study(replace(half, rates=(CONTROL_RATE, 0.3, 0.9)), Told())
    assert open_study(half, Told()).study.rates == (CONTROL_RATE, 0.9)
    path.write_bytes(untrained.read_bytes())
    with pytest.raises(InputError, match="is another model than the study 's' began with"):
        open_study(half, Told())


def test_other_images_are_not_mixed_in(study: Study, home: Path) -> None:
    opened = open_study(study, Told())
    (study.data / "train" / "good" / "000.png").unlink()
    with pytest.raises(InputError, match="are not those that the study 's' began with"):
        run(opened, Local(1), Store.open(home / "data" / "results.sqlite"), Told(), interrupt=False)


def test_two_at_work_on_one_study(study: Study, home: Path) -> None:
    opened = open_study(study, Told())
    with lock.held(study.folder), pytest.raises(InputError, match=f"another process .{os.getpid()}. is at work"):
        run(opened, Local(1), Store.open(home / "data" / "results.sqlite"), Told(), interrupt=False)
    assert children() == []


def test_the_command_line(study: Study) -> None:
    done = host("study", "run", "--data", study.data, "--quick", "--epochs", "3")
    assert (done.exit_code, "--quick has its own --epochs" in done.stderr) == (2, True)
    done = host("study", "run", "--data", study.data, "--rates", "0.9;0.99")
    assert (done.exit_code, "is not like 0.9,0.99" in done.stderr) == (2, True)
    done = host("study", "run")
    assert (done.exit_code, "the study has no data" in done.stderr) == (3, True)
    done = host("study", "resume")
    assert (done.exit_code, "there is no study" in done.stderr) == (3, True)
    done = host("study", "list")
    assert (done.exit_code, done.stdout) == (0, "there is no study; begin one: host study run\n")
    done = host("study", "list", "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (0, [])
    opened = open_study(study, Told())
    done = host("study", "list")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1].split()[-3:] == ["2", "1", "0/2"]
    [listed] = json.loads(host("study", "list", "--json").stdout)
    assert listed == {
        "name": "s",
        "created_at": opened.created_at.isoformat(),
        "boards": ["line-3"],
        "rates": [0, 0.9],
        "trials": 1,
        "rows_done": 0,
        "rows_asked": 2,
    }
    done = host("study", "status", "t")
    assert (done.exit_code, "there is no study 't'" in done.stderr) == (3, True)
    assert "there is s" in done.stderr
    done = host("study", "status")
    assert done.exit_code == 0
    assert "s: not at work: host study resume s goes on with it" in done.stdout
    assert "0/1" in done.stdout
    done = host("study", "show", "s")
    assert done.exit_code == 0
    assert "not measured yet" in done.stdout


@pytest.mark.parametrize(("address", "code"), [("foo", 3), ("127.0.0.1:9", 1)])
def test_where_no_engine_answers_nothing_is_begun(address: str, code: int, study: Study, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    done = host("study", "run", "--data", study.data, *ASKED, "--ray", address)
    assert done.exit_code == code
    assert address in done.stderr
    assert not study.folder.exists()


def test_the_help_has_every_key(study: Study) -> None:
    """Of a study.toml: as an option, or by its name."""
    said = host("study", "run", "--help").stdout
    options = {key: f"--{key.replace('_', '-')}" for key in EXAMPLES}
    assert [key for key, option in options.items() if option not in said and key not in said] == []
    assert "precision for --training-precision" in " ".join(said.split())
