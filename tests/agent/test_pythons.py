"""Which Python of a board offers what: real ones, and programs that are none, cannot, will not or hang."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import environments
import pytest
import running
import uvloop
from processes import are_gone

from agent import pythons
from agent.errors import NotFoundError
from agent.pythons import Pythons
from contract.profile import read_profile


def _pythons(folder: Path, *names: str | Path, **changes: Any) -> Pythons:
    profile = read_profile("desktop").model_copy(update={"pythons": tuple(map(str, names)), **changes})
    return Pythons(profile, folder / "data")


def _program(folder: Path, script: str, name: str = "python") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def _answering(folder: Path, *offered: dict[str, Any], name: str = "python", script: str = "") -> Path:
    """A program that answers as a Python 3.6 with these runtimes does."""
    answer = folder / f"{name}.json"
    answer.write_text(json.dumps({"python": "3.6.9", "numpy": "1.13.3", "runtimes": offered}))
    return _program(folder, f"{script}\necho; cat {answer}", name)


def _reason(folder: Path, python: str | Path, **changes: Any) -> str:
    """Why `python` offers nothing; it is told of the profile's runtime."""
    (info,) = running.run(_pythons(folder, python, **changes).runtimes())
    assert (info.key, info.python, info.version) == ("ort", str(python), None)
    assert info.unavailable is not None
    return info.unavailable


def test_the_running_python_offers_what_it_has(tmp_path: Path) -> None:
    import onnxruntime

    found = {info.key: info for info in running.run(_pythons(tmp_path, "agent").runtimes())}
    assert found["null"].unavailable is None
    assert found["ort"].version == onnxruntime.__version__
    assert {info.python for info in found.values()} == {sys.executable}
    assert {info.python_version for info in found.values()} == {"{}.{}.{}".format(*sys.version_info)}


def test_a_python_without_the_runtime_says_so_and_the_next_one_is_taken(tmp_path: Path) -> None:
    nano = next(environment for environment in environments.WORKERS if environment.name == "3.6-nano")
    reason = environments.missing(nano)
    if reason is not None:
        pytest.skip(f"Python {nano.name}: {reason}")
    board = _pythons(tmp_path, environments.interpreter(nano), "agent")

    async def ask() -> tuple[str, str]:
        return (await board.launch("ort")).python, (await board.launch("null")).python

    assert running.run(ask()) == (sys.executable, str(environments.interpreter(nano)))
    with pytest.raises(NotFoundError, match="No module named 'onnxruntime'") as refusal:
        running.run(_pythons(tmp_path, environments.interpreter(nano)).launch("ort"))
    assert refusal.value.code == "runtime_missing"


def test_a_python_without_numpy_says_so(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    assert _reason(tmp_path, tmp_path / "bare" / "bin" / "python") == "this Python has no numpy"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 0", "its probe answered b''"),
        ("echo hello", "its probe answered b'hello'"),
        ("echo 5", "its probe answered b'5'"),
        ("echo '[]'", "its probe answered"),
        ("echo '{}'", "its probe answered"),
        ("""echo '{"python": "3", "runtimes": 7}'""", "its probe answered"),
        ("""echo '{"python": "3", "runtimes": [{"version": "1"}]}'""", "its probe answered"),
        ("echo 'SyntaxError: invalid syntax' >&2; exit 1", "ended with status 1: SyntaxError: invalid syntax"),
        ("kill -ILL $$", "its probe crashed (SIGILL)"),
    ],
)
def test_a_program_that_is_no_such_python_is_told_with_the_reason(tmp_path: Path, script: str, reason: str) -> None:
    assert reason in _reason(tmp_path, _program(tmp_path, script))


def test_a_python_that_is_not_there_or_not_to_be_run(tmp_path: Path) -> None:
    assert "No such file" in _reason(tmp_path, tmp_path / "nowhere")
    path = _program(tmp_path, "")
    path.chmod(0o644)
    assert "Permission denied" in _reason(tmp_path, path)


def test_one_that_hangs_is_given_up_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pythons, "PROBE_DEADLINE_S", 0.2)  # the profile has the last word
    program = _program(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 60")
    assert _reason(tmp_path, program, start_timeout_s=0.3) == "its probe took more than 0.3 s"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_what_a_hanging_one_has_started_is_ended_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pythons, "PROBE_DEADLINE_S", 0.2)
    began = time.monotonic()
    program = _program(tmp_path, f"sleep 60 & echo $! > {tmp_path}/pid; wait")
    assert "more than 0.2 s" in _reason(tmp_path, program, start_timeout_s=0.1)
    assert time.monotonic() - began < 5.0
    assert are_gone([int((tmp_path / "pid").read_text())], within_s=1.0)


def test_what_one_leaves_behind_is_not_waited_for(tmp_path: Path) -> None:
    began = time.monotonic()
    program = _answering(tmp_path, {"key": "ort", "version": "1"}, script="sleep 6 &")  # it holds the output open
    running.run(_pythons(tmp_path, program).launch("ort"))
    assert time.monotonic() - began < 5.0


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_an_agent_that_ends_meanwhile_leaves_no_probe(
    tmp_path: Path, run: Callable[[Coroutine[Any, Any, int]], int]
) -> None:
    pid = tmp_path / "pid"
    os.mkfifo(pid)
    board = _pythons(tmp_path, _program(tmp_path, f"echo $$ > {pid}; exec sleep 60"))

    async def begin() -> int:
        task = asyncio.create_task(board.runtimes())
        probe = int(await asyncio.to_thread(pid.read_text))
        task.cancel()
        return probe

    began = time.monotonic()
    probe = run(begin())  # whose end cancels what is under way
    assert time.monotonic() - began < 5.0
    with pytest.raises(ProcessLookupError):
        os.kill(probe, 0)


def test_only_the_last_line_is_the_answer(tmp_path: Path) -> None:
    program = _answering(tmp_path, {"key": "ort", "version": "1.4.0"}, script="echo '{\"python\": 5'; echo noise >&2")
    (info,) = running.run(_pythons(tmp_path, program).runtimes())
    assert (info.key, info.version, info.python_version) == ("ort", "1.4.0", "3.6.9")


def test_it_is_probed_once_however_many_ask_at_once(tmp_path: Path) -> None:
    program = _answering(tmp_path, {"key": "ort", "version": "1"}, script=f"echo >> {tmp_path}/count; sleep 0.1")
    board = _pythons(tmp_path, program)

    async def ask() -> None:
        impatient = asyncio.create_task(board.runtimes())
        others = [asyncio.create_task(board.launch("ort")) for _ in range(3)]
        await asyncio.sleep(0)
        impatient.cancel()
        assert {launch.python for launch in await asyncio.gather(*others)} == {str(program)}
        await board.launch("ort")

    running.run(ask())
    assert (tmp_path / "count").read_text() == "\n"


def test_a_runtime_that_was_not_offered_is_asked_for_again(tmp_path: Path) -> None:
    missing = {"key": "ort", "unavailable": "no onnxruntime"}
    board = _pythons(tmp_path, _answering(tmp_path, missing))

    async def ask() -> None:
        with pytest.raises(NotFoundError, match="no onnxruntime") as refusal:
            await board.launch("ort")
        assert refusal.value.code == "runtime_missing"
        assert "worker-probe" in refusal.value.hint
        _answering(tmp_path, {"key": "ort", "version": "1.32.0"})  # the user has followed the hint
        assert (await board.launch("ort")).python == str(tmp_path / "python")

    running.run(ask())


def test_a_runtime_nobody_has_heard_of_names_the_nearest(tmp_path: Path) -> None:
    board = _pythons(tmp_path, _answering(tmp_path, {"key": "ort", "version": "1"}))
    with pytest.raises(NotFoundError, match="no runtime 'otr'") as refusal:
        running.run(board.launch("otr"))
    assert refusal.value.code == "unknown_runtime"
    assert refusal.value.hint == "did you mean 'ort'?"


def test_all_are_probed_at_once_and_told_in_the_profile_s_order(tmp_path: Path) -> None:
    meet = f"mktemp {tmp_path}/here.XXXXXX; while [ $(ls {tmp_path}/here.* | wc -l) -lt 4 ]; do sleep 0.02; done"
    programs = [_answering(tmp_path, {"key": "ort", "version": str(n)}, name=f"p{n}", script=meet) for n in range(4)]
    found = running.run(_pythons(tmp_path, *programs).runtimes())
    assert [info.version for info in found] == ["0", "1", "2", "3"]


def test_the_profile_s_environment_reaches_the_worker(tmp_path: Path) -> None:
    program = _answering(tmp_path, {"key": "ort", "version": "1"}, script=f'echo "$BOARD" > {tmp_path}/seen')
    profile = read_profile("desktop").model_copy(
        update={"pythons": (str(program),), "worker_environment": {"BOARD": "nano"}}
    )
    launch = running.run(Pythons(profile, tmp_path / "data").launch("ort"))
    assert (tmp_path / "seen").read_text() == "nano\n"
    assert launch.environment["BOARD"] == "nano"
