import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from engine_steps import pids, step
from filelock import FileLock
from processes import are_gone, is_running
from running import children, open_files
from told import Told

from host.engine import local, lock
from host.engine.local import Local
from host.engine.running import run
from host.engine.task import Failure, Task
from host.errors import InputError


def run_all(folder: Path, *tasks: Task, processes: int = 2) -> dict[str, Failure]:
    return run(folder, tasks, Local(processes), Told(), lambda task: None, lambda task, failure: None)


def test_what_is_done_is_never_done_again(folder: Path) -> None:
    before = open_files()
    tasks = [step(folder, "a", "write"), step(folder, "b", "write", ("a",))]
    assert run_all(folder, *tasks) == {}
    assert (folder / "b.txt").read_text() == "b of seven"
    assert (folder / "b.done").read_text() == "1"  # thread
    (folder / "b.done").unlink()
    assert run_all(folder, *tasks) == {}
    assert (len(pids(folder, "a")), len(pids(folder, "b"))) == (1, 2)
    assert not list(folder.glob("*.log"))
    assert children() == []
    assert open_files() == before


def test_each_failure_has_its_reason_and_the_rest_goes_on(folder: Path) -> None:
    hows = ["bug", "bad", "unreachable", "killed", "full", "nothing"]
    failures = run_all(folder, *(step(folder, how, how, retries=1) for how in hows), step(folder, "good", "write"))
    told = {how: (failure.code, failure.message) for how, failure in failures.items()}
    assert told == {
        "bug": ("task_failed", "ended with 1: ZeroDivisionError: by nought"),
        "bad": ("below_floor", "no such rate"),
        "unreachable": ("host_error", "no answer"),
        "killed": ("task_killed", "ended by SIGKILL"),
        "full": ("bad_input", "cannot be written or read: [Errno 28] No space left on device"),
        "nothing": ("task_failed", "ended without nothing.done"),
    }
    assert "Traceback" in failures["bug"].tail
    assert failures["bad"].hint == f"name another; the whole log is {folder}/bad.log; what is done is kept"
    assert "fewer processes" in failures["killed"].hint
    assert {how: len(pids(folder, how)) for how in hows} == {**dict.fromkeys(hows, 2), "bad": 1, "full": 1}
    assert (folder / "good.done").exists()
    assert not list(folder.glob(".*.failure"))


def test_a_task_that_is_told_to_end_puts_things_back_first(folder: Path) -> None:
    work = Local(1).start(folder, step(folder, "a", "put_back"))
    [pid] = pids(folder, "a")
    work.ask_to_end()
    work.end()
    assert (folder / "a.back").exists()
    assert not is_running(pid)
    assert children() == []


def test_one_that_does_not_end_is_ended_with_what_it_has_started(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "END_WITHIN_S", 0.3)
    work = Local(1).start(folder, step(folder, "a", "stubborn"))
    [pid] = pids(folder, "a")
    grandchild = None
    while not grandchild:
        grandchild = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    work.ask_to_end()
    work.end()
    assert are_gone([pid, int(grandchild)], 5)


def test_one_that_another_program_ends_failed_by_that_signal(folder: Path) -> None:
    work = Local(1).start(folder, step(folder, "a", "idle"))
    os.kill(pids(folder, "a")[0], signal.SIGTERM)
    while not work.has_ended():
        time.sleep(0.01)
    failure = work.failure()
    assert failure is not None
    assert (failure.code, failure.message) == ("task_killed", "ended by SIGTERM")


RUN = """
import sys
from pathlib import Path
from host import interrupts
from host.engine import lock
from host.engine.local import Local
from host.engine.running import run
from engine_steps import step
from told import Told

folder = Path(sys.argv[1])
tasks = [step(folder, "a", "write"), step(folder, "b", "idle")]
with interrupts.listening(), lock.held(folder):
    run(folder, tasks, Local(2), Told(), lambda task: None)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_run_that_ends_leaves_no_process_and_is_resumed(folder: Path, number: int) -> None:
    parent = subprocess.Popen([sys.executable, "-P", "-c", RUN, str(folder)], stderr=subprocess.DEVNULL)
    [idle] = pids(folder, "b")
    pids(folder, "a")
    while not (folder / "a.done").exists():
        time.sleep(0.01)
    assert lock.holder(folder) == parent.pid
    with pytest.raises(InputError, match=rf"another process \({parent.pid}\) is at work"), lock.held(folder):
        pass
    parent.send_signal(number)
    parent.wait()
    assert are_gone([idle], 5)
    assert lock.holder(folder) is None
    with lock.held(folder):
        assert run_all(folder, step(folder, "a", "write"), step(folder, "b", "write")) == {}
    assert (len(pids(folder, "a")), len(pids(folder, "b"))) == (1, 2)


def test_one_that_outlives_its_run_is_waited_for_and_not_repeated(folder: Path) -> None:
    """As where it needs a while to end, and the run is resumed at once."""
    with FileLock(folder / ".a.lock"):
        work = Local(1).start(folder, step(folder, "a", "write"))
        time.sleep(0.5)
        assert not work.has_ended()
        (folder / "a.done").touch()
    while not work.has_ended():
        time.sleep(0.01)
    assert work.failure() is None
    assert not (folder / "a.pids").exists()


def test_a_folder_that_cannot_be_written_is_told(folder: Path) -> None:
    (folder / "a.log").mkdir()
    with pytest.raises(InputError, match=r"a\.log cannot be written"):
        run_all(folder, step(folder, "a", "write"))
    (folder / ".lock").mkdir()
    with pytest.raises(InputError, match="cannot be written"), lock.held(folder):
        pass


def test_the_lanes_of_this_machine(folder: Path) -> None:
    engine = Local(2, gpus=1)
    host, board = step(folder, "h", "write"), step(folder, "m", "write", lane="board:desktop")
    assert engine.has_room_for(host, [host, board, board])
    assert not engine.has_room_for(host, [host, host])
    assert engine.has_room_for(board, [host, host])
    on_gpu = step(folder, "g", "write", gpus=1)
    assert engine.has_room_for(on_gpu, [host])
    assert not engine.has_room_for(on_gpu, [on_gpu])
    assert engine.has_room_for(step(folder, "two", "write", gpus=2), [])  # rather slow than never
