"""The worker as a process: it answers below any noise, leaves signals to its agent, and ends as it should."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import bundles
import pytest
from bundles import Bundle

from agent.arena import Arena
from agent.errors import WorkerCrashedError
from agent.loading import Limits, start_worker
from agent.process import Launch, WorkerProcess
from agent.worker_folder import PACKAGE

LIMITS = Limits(queue_length=1, start_timeout_s=20.0, request_timeout_s=20.0)

# A runtime that does in its own process what accelerator libraries are known to do.
RUDE = """
import atexit, ctypes, os, signal, subprocess
from .base import Runtime, Tensor

class Rude(Runtime):
    def _open(self, options):
        ctypes.CDLL(None).printf(b"printed by C, in a buffer, and no end of line")
        print("printed by Python, likewise", end="")
        atexit.register(os.abort)
        return "rude"

    def load(self, path):
        x = [Tensor("x", "float32", (1, 4))]
        return x, [Tensor("x_out", "float32", (1, 4))]

    def bind(self, inputs, outputs):
        return None

    def run(self, binding):
        subprocess.Popen(["sleep", "60"], close_fds=False)
        os.kill(os.getpid(), signal.SIGKILL)

def create():
    return Rude()
"""


def _with_worker(folder: Path, bundle: Bundle, ask: Callable[[WorkerProcess, Arena], Awaitable[Any]]) -> Any:
    """What `ask` returns of a worker that has loaded `bundle`."""

    async def run() -> Any:
        arena = Arena(bundle.manifest.signature, 1, 8 * 2000)
        try:
            deployment = bundles.deployment(folder, bundle)
            worker, _ = await start_worker(deployment, bundles.launch(folder), arena, LIMITS)
            try:
                return await ask(worker, arena)
            finally:
                await worker.kill()
        finally:
            arena.close()

    return asyncio.run(run())


async def _infer(worker: WorkerProcess, arena: Arena) -> bytes:
    (given,) = arena.inputs(arena.slots[0])
    given[:] = b"0123456789abcdef"
    await worker.request({"op": "infer", "slot": 0}, LIMITS.request_timeout_s)
    (output,) = arena.outputs(arena.slots[0])
    return bytes(output)


@pytest.mark.parametrize("verb", ["probe", "serve"])
def test_a_worker_whose_agent_is_gone_already_leaves_at_once(tmp_path: Path, verb: str) -> None:
    descriptors = ["--channel=0", "--arena=0", "--arena-bytes=1"] if verb == "serve" else []
    left = _run(bundles.launch(tmp_path), verb, "--parent=1", *descriptors)
    assert left.returncode == 1
    assert f"process 1, is not the parent of this worker: process {os.getpid()} is" in left.stderr
    assert left.stdout == ""


@pytest.mark.parametrize("arguments", [[], ["build"], ["serve"], ["probe"], ["serve", "--channel=x"]])
def test_a_wrong_command_line_is_status_2_with_the_usage(tmp_path: Path, arguments: list[str]) -> None:
    left = _run(bundles.launch(tmp_path), *arguments)
    assert left.returncode == 2
    assert "usage: boardfit_worker" in left.stderr
    assert "Traceback" not in left.stderr


def test_noise_on_stdout_and_stderr_is_harmless_however_much(tmp_path: Path) -> None:
    async def ask(worker: WorkerProcess, arena: Arena) -> bytes:
        message = {"op": "bench", "runs": 2000, "slots": 1, "samples": arena.extra_offset}  # 300 KB, a pipe holds 64
        await worker.request(message, LIMITS.request_timeout_s)
        return await _infer(worker, arena)

    assert _with_worker(tmp_path, bundles.null(noise=True), ask) == b"0123456789abcdef"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_are_left_to_the_agent(tmp_path: Path, number: signal.Signals) -> None:
    async def ask(worker: WorkerProcess, arena: Arena) -> bytes:
        running = asyncio.create_task(_infer(worker, arena))
        await asyncio.sleep(0.05)
        os.kill(worker.pid, number)
        return await running

    assert _with_worker(tmp_path, bundles.null(delay_ms=150), ask) == b"0123456789abcdef"


@pytest.mark.parametrize(
    ("bundle", "name"),
    [
        (bundles.null(crash_on_run=1), "SIGSEGV"),
        (bundles.null(kill_on_run=1), "SIGKILL"),
        (bundles.null(crash_on_load=True), "SIGSEGV"),
    ],
)
def test_faults_that_end_a_worker_end_it_by_their_signal(tmp_path: Path, bundle: Bundle, name: str) -> None:
    with pytest.raises(WorkerCrashedError, match=name):
        _with_worker(tmp_path, bundle, _infer)


def test_a_closed_channel_is_followed_at_once_and_in_good_order(tmp_path: Path) -> None:
    async def ask(worker: WorkerProcess, _arena: Arena) -> tuple[int | None, float]:
        began = time.monotonic()
        worker.channel.close("enough")
        status = await worker._process.wait()
        return status, time.monotonic() - began

    status, lasted_s = _with_worker(tmp_path, bundles.null(), ask)
    assert status == 0
    assert lasted_s < 1.0


def test_short_of_memory_the_kernel_takes_the_worker_first(tmp_path: Path) -> None:
    async def ask(worker: WorkerProcess, _arena: Arena) -> str:
        return await asyncio.to_thread(Path(f"/proc/{worker.pid}/oom_score_adj").read_text)

    assert _with_worker(tmp_path, bundles.null(), ask) == "800\n"


def test_a_probe_answers_in_the_last_line_below_what_libraries_print_and_do(rude: Launch) -> None:
    probed = _run(rude, "probe", f"--parent={os.getpid()}")
    assert probed.returncode == 0, probed.stderr
    *noise, answer = probed.stdout.splitlines()
    assert "printed by C, in a buffer, and no end of line" in "".join(noise)
    assert "printed by Python, likewise" in "".join(noise)
    assert '{"key": "rude", "version": "rude"}' in answer
    assert answer.startswith("{")


def test_what_a_worker_has_started_does_not_hide_that_it_died(rude: Launch, tmp_path: Path) -> None:
    async def run() -> float:
        bundle = bundles.null()
        spec = bundle.manifest.runtime.model_copy(update={"key": "rude"})
        bundle = Bundle(bundle.manifest.model_copy(update={"runtime": spec}), bundle.files)
        arena = Arena(bundle.manifest.signature, 1)
        try:
            worker, _ = await start_worker(bundles.deployment(tmp_path, bundle), rude, arena, LIMITS)
            began = time.monotonic()
            with pytest.raises(WorkerCrashedError, match="SIGKILL"):
                await _infer(worker, arena)
            return time.monotonic() - began
        finally:
            arena.close()

    assert asyncio.run(run()) < 5.0


@pytest.fixture
def rude(tmp_path: Path) -> Launch:
    """The worker's folder with one runtime more."""
    launch = bundles.launch(tmp_path)
    (launch.folder / PACKAGE / "runtimes" / "rude.py").write_text(RUDE)
    return launch


def _run(launch: Launch, verb: str = "", *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [part for part in launch.command(verb, *arguments) if part]
    return subprocess.run(
        command, cwd=launch.folder, env=launch.environment, capture_output=True, text=True, timeout=30, check=False
    )
