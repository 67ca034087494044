"""One worker process: real ones, and scripts that misbehave in its place."""

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import bundles
import psutil
import pytest
import rogue
import running

from agent import process
from agent.arena import Arena
from agent.errors import WorkerCrashedError, WorkerFailedError, WorkerRefusedError, WorkerTimeoutError
from agent.loading import start_worker
from agent.process import Launch, WorkerProcess

INFER = {"op": "infer", "slot": 0}


@asynccontextmanager
async def started(launch: Launch) -> AsyncIterator[WorkerProcess]:
    """A worker that has said hello; ended afterwards."""
    arena = Arena(bundles.null().manifest.signature, 1)
    try:
        worker = await WorkerProcess.spawn(launch, arena)
        try:
            yield worker
        finally:
            await worker.kill()
    finally:
        arena.close()


async def fate(launch: Launch, message: dict[str, object] | None = None, deadline_s: float = 5.0) -> str:
    """What is told of a worker that goes wrong at its start, or in its first request."""
    with pytest.raises(WorkerFailedError) as told:
        async with started(launch) as worker:
            await worker.request(message or INFER, deadline_s)
    assert told.value.hint
    return told.value.message


def test_a_worker_says_which_python_it_runs_under(tmp_path: Path) -> None:
    async def main() -> None:
        async with started(bundles.launch(tmp_path)) as worker:
            assert worker.python_version == ".".join(map(str, sys.version_info[:3]))
            assert psutil.Process(worker.pid).is_running()

    running.run(main())


def test_it_leaves_by_itself_when_the_channel_is_closed(tmp_path: Path) -> None:
    script = "hello()\nchannel.recv(1)\nopen('left by itself', 'w').close()"

    async def main() -> None:
        async with started(rogue.launch(tmp_path, script)) as worker:
            await worker.leave()
            assert (tmp_path / "left by itself").exists()

    running.run(main())


def test_one_that_does_not_leave_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_LEAVE_S", 0.2)

    async def main() -> None:
        async with started(rogue.launch(tmp_path, "hello()\ntime.sleep(3600)")) as worker:
            await worker.leave()
            assert not psutil.pid_exists(worker.pid)

    running.run(main())


def test_ctrl_c_on_the_agents_terminal_is_not_for_the_worker(tmp_path: Path) -> None:
    async def main() -> None:
        async with started(rogue.launch(tmp_path, "hello()\nreceive()")) as worker:
            assert os.getpgid(worker.pid) == worker.pid != os.getpgrp()

    running.run(main())


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("sys.exit(3)", "the worker left with status 3"),
        ("sys.exit('no numpy here')", "left with status 1; it last printed: no numpy here"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", r"the worker crashed \(SIGSEGV\)"),
        ("os.kill(os.getpid(), signal.SIGKILL)", r"killed \(SIGKILL\): most likely the board ran out of memory"),
        ("os.kill(os.getpid(), signal.SIGRTMIN + 1)", r"the worker crashed \(signal 35\)"),
        ("os.write(1, b'last \\x00\\xff\\x1b[31m words\\r\\n\\n\\x07'); os.abort()", "it last printed: .*words$"),
        ("channel.sendall(b'Hello, I am TensorRT')", "the worker sent garbage: a frame announces"),
        ("send({'hello': 7})", "speaks wire version 7, the agent 1"),
        ("send({'hello': None})", "speaks wire version None, the agent 1"),
    ],
)
def test_a_start_that_goes_wrong_is_told_in_words(tmp_path: Path, script: str, told: str) -> None:
    async def main() -> None:
        message = await fate(rogue.launch(tmp_path, script))
        assert re.search(told, message), message

    running.run(main())


def test_of_what_it_has_printed_the_last_that_matches_is_found(tmp_path: Path) -> None:
    script = """
hello()
number = receive()["id"]
os.write(1, b"noise\\nNvMap 1 error 12\\x00NvMap 2 error 12 here\\r\\nnoise\\n")
os.write(2, b"\\xff")
send({"id": number, "ok": {"run_ns": 1, "accelerator_ns": None, "convert_ns": None}})
receive()
"""

    async def main() -> None:
        async with started(rogue.launch(tmp_path, script)) as worker:
            await worker.request(INFER, 5.0)
            await worker.kill()  # all that it has printed is read then
            assert worker.printed(re.compile(r"NvMap \d error 12.*")) == "NvMap 2 error 12 here"
            assert worker.printed(re.compile(r"NvMap \d error 13")) is None

    running.run(main())


def test_a_worker_that_says_nothing_is_not_waited_for_forever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "HELLO_DEADLINE_S", 0.2)

    async def main() -> None:
        assert await fate(rogue.launch(tmp_path, "time.sleep(3600)")) == (
            "the worker said nothing within 0.2 s of its start"
        )

    running.run(main())


def test_a_python_that_is_not_there_is_named(tmp_path: Path) -> None:
    async def main() -> None:
        missing = replace(bundles.launch(tmp_path), python="/opt/no/such/python3.6")
        message = await fate(missing)
        assert "/opt/no/such/python3.6 cannot be started" in message
        assert "No such file" in message

    running.run(main())


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("os.kill(os.getpid(), signal.SIGBUS)", "the worker crashed (SIGBUS)"),
        ("channel.close(); time.sleep(3600)", "the worker died"),
        ("channel.sendall(b'\\xff' * 100); time.sleep(3600)", "the worker sent garbage: a frame announces"),
        ("send({'id': 1, 'ok': {}}); time.sleep(3600)", "the worker sent garbage: a message holds"),
    ],
)
def test_a_request_whose_worker_goes_wrong_is_told_how_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, told: str
) -> None:
    monkeypatch.setattr(process, "_LEAVE_S", 0.2)

    async def main() -> None:
        with pytest.raises(WorkerCrashedError) as error:
            async with started(rogue.launch(tmp_path, f"hello()\nreceive()\n{script}")) as worker:
                await worker.request(INFER, 5)
        assert error.value.message.startswith(told)

    running.run(main())


def test_a_hanging_worker_is_killed_at_the_deadline(tmp_path: Path) -> None:
    async def main() -> None:
        async with started(rogue.launch(tmp_path, "hello()\nreceive()\ntime.sleep(3600)")) as worker:
            began = time.monotonic()
            with pytest.raises(WorkerTimeoutError, match=r"within 0\.2 s"):
                await worker.request(INFER, 0.2)
            assert time.monotonic() - began < 2
            assert not psutil.pid_exists(worker.pid)
            assert "did not answer" in await worker.epitaph()  # whoever watches it learns why

    running.run(main())


def test_a_stopped_worker_is_killed_too(tmp_path: Path) -> None:
    """SIGSTOP: it cannot close anything by itself."""

    async def main() -> None:
        async with started(rogue.launch(tmp_path, "hello()\nreceive()")) as worker:
            os.kill(worker.pid, signal.SIGSTOP)
            with pytest.raises(WorkerTimeoutError):
                await worker.request(INFER, 0.1)
            assert not psutil.pid_exists(worker.pid)

    running.run(main())


def test_rubbish_on_stdout_and_stderr_disturbs_no_reply(tmp_path: Path) -> None:
    """More than a pipe holds: somebody reads it."""
    script = """hello()
while True:
    number = receive()["id"]
    for descriptor in (1, 2):
        os.write(descriptor, b"\\x00\\xff{rubbish" * 20_000)
    send({"id": number, "ok": {"run_ns": 1, "accelerator_ns": None, "convert_ns": None}})
"""

    async def main() -> None:
        async with started(rogue.launch(tmp_path, script)) as worker:
            for _ in range(5):
                assert await worker.request(INFER, 5) == {"run_ns": 1, "accelerator_ns": None, "convert_ns": None}

    running.run(main())


@pytest.mark.parametrize("own_session", [False, True])
def test_a_process_that_the_worker_leaves_behind_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_session: bool
) -> None:
    """It holds the worker's output open: the end of that must not be the end of the agent's patience."""
    monkeypatch.setattr(process, "_LAST_OUTPUT_S", 0.1)
    monkeypatch.setattr(process, "_LEAVE_S", 0.2)
    script = f"""hello()
receive()
child = subprocess.Popen(["sleep", "3600"], start_new_session={own_session})
open("pid", "w").write(str(child.pid))
os._exit(1)
"""

    async def main() -> int:
        async with started(rogue.launch(tmp_path, script)) as worker:
            with pytest.raises(WorkerCrashedError):
                await worker.request(INFER, 5)
            child = int((tmp_path / "pid").read_text())
            if own_session:
                os.kill(child, signal.SIGKILL)
            await running.until(lambda: not psutil.pid_exists(child) or _is_zombie(child))
            return child

    running.run(main())


def _is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.01, 0.03, 0.06])
def test_a_start_that_is_cancelled_leaves_nothing(tmp_path: Path, after_s: float) -> None:
    async def main() -> None:
        deployment = bundles.deployment(tmp_path, bundles.null(load_delay_ms=5000))
        arena = Arena(deployment.manifest.signature, 1)
        start = asyncio.create_task(start_worker(deployment, bundles.launch(tmp_path), arena, bundles.LIMITS))
        await asyncio.sleep(after_s)
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start
        arena.close()
        await running.until(lambda: not running.children())

    running.run(main())


def test_a_load_that_is_refused_leaves_nothing_and_says_why(tmp_path: Path) -> None:
    async def main() -> None:
        deployment = bundles.deployment(tmp_path, bundles.null().with_file("model.json", b"{}"))
        arena = Arena(deployment.manifest.signature, 1)
        with pytest.raises(WorkerRefusedError, match="not a null model") as told:
            await start_worker(deployment, bundles.launch(tmp_path), arena, bundles.LIMITS)
        assert told.value.code == "load_failed"
        arena.close()

    running.run(main())


def test_what_a_loaded_worker_says_of_itself(tmp_path: Path) -> None:
    async def main() -> None:
        deployment = bundles.deployment(tmp_path, bundles.null(load_delay_ms=50))
        arena = Arena(deployment.manifest.signature, 1)
        worker, loaded = await start_worker(deployment, bundles.launch(tmp_path), arena, bundles.LIMITS)
        assert loaded.runtime_version == "1"
        assert loaded.load_s >= 0.05
        assert loaded.baseline_bytes
        assert loaded.load_peak_bytes
        assert loaded.load_peak_bytes >= loaded.baseline_bytes > 1 << 20
        assert loaded.unmet == {}
        await worker.leave()
        arena.close()

    running.run(main())
