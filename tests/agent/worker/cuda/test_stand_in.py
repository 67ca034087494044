"""The stand-in keeps to what cuda.h documents, whoever calls it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cuda_stand_in
import pytest

CUDA_H = Path(os.environ.get("CUDA_HOME", "/usr/local/cuda"), "include")
SHORTHANDS = """
import ctypes, json
cuda = ctypes.CDLL("libcuda.so.1")
pointer, of = ctypes.c_void_p, ctypes.byref
def context():
    made = pointer()
    cuda.cuInit(0)
    cuda.cuDevicePrimaryCtxRetain(of(made), 0)
    cuda.cuCtxSetCurrent(made)
    return made
def memory(size):
    made = pointer()
    cuda.cuMemAlloc_v2(of(made), ctypes.c_size_t(size))
    return made
def event(flags=0):
    made = pointer()
    cuda.cuEventCreate(of(made), flags)
    return made
def copy(target, text, stream=None):
    return cuda.cuMemcpyHtoDAsync_v2(target, text, ctypes.c_size_t(len(text)), stream)
def elapsed(start, end):
    return cuda.cuEventElapsedTime(of(ctypes.c_float()), start, end)
"""


def _ended(library: Path, script: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **cuda_stand_in.environment(library), **variables}
    command = [sys.executable, "-c", SHORTHANDS + script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)


def _seen(library: Path, *expressions: str, before: str = "", **variables: str) -> list[Any]:
    """The value of each expression, one after the other in one process."""
    ended = _ended(library, f"{before}\nprint(json.dumps([{', '.join(expressions)}]))", **variables)
    assert ended.returncode == 0, ended.stderr
    seen: list[Any] = json.loads(ended.stdout)
    return seen


def test_every_function_is_as_cuda_h_declares_it(tmp_path: Path) -> None:
    if not (CUDA_H / "cuda.h").exists():
        pytest.skip(f"there is no {CUDA_H}/cuda.h")
    cuda_stand_in.library(tmp_path, 13000, CUDA_H)


def test_names_with_addresses_of_32_bits_are_not_there(library: Path) -> None:
    legacy = ["cuMemAlloc", "cuMemFree", "cuMemGetInfo", "cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", "cuDeviceTotalMem"]
    assert _seen(library, f"[hasattr(cuda, name) for name in {legacy}]", "hasattr(cuda, 'cuMemAlloc_v2')") == [
        [False] * len(legacy),
        True,
    ]


def test_nothing_goes_before_initialisation_nor_without_a_context(library: Path) -> None:
    seen = _seen(library, "cuda.cuStreamSynchronize(None)", "cuda.cuInit(1)", "cuda.cuInit(0)")
    assert seen == [3, 1, 0]
    create = "cuda.cuEventCreate(of(pointer()), 0)"
    released = "cuda.cuDevicePrimaryCtxRelease(0)"
    assert _seen(library, create, "bool(context())", create, released, create, released, before="cuda.cuInit(0)") == [
        201,
        True,
        0,
        0,
        709,
        201,
    ]


def test_what_it_did_not_give_it_does_not_take(library: Path) -> None:
    seen = _seen(
        library,
        "cuda.cuMemFree_v2(pointer(4096))",
        "cuda.cuMemFreeHost(pointer(4096))",
        "cuda.cuMemFreeHost(block)",
        "cuda.cuStreamDestroy_v2(pointer(4096))",
        "cuda.cuEventDestroy_v2(pointer(4096))",
        "cuda.cuStreamSynchronize(pointer(4096))",
        "cuda.cuMemFree_v2(block)",
        "cuda.cuMemFree_v2(block)",
        before="context(); block = memory(10)",
    )
    assert seen == [1, 1, 1, 400, 400, 400, 0, 1]


def test_a_copy_stays_within_one_allocation_and_memory_is_not_cleared(library: Path) -> None:
    seen = _seen(
        library,
        "ctypes.string_at(block.value, 10).hex()",
        "copy(block, b'0123456789')",
        "copy(block, b'0123456789a')",
        "copy(pointer(block.value + 1), b'0123456789')",
        "copy(pointer(block.value - 1), b'0')",
        "copy(pointer(4096), b'0')",
        before="context(); block = memory(10)",
    )
    assert seen == ["cd" * 10, 0, 1, 1, 1, 1]


def test_an_event_is_not_ready_until_it_is_waited_for(library: Path) -> None:
    seen = _seen(
        library,
        "cuda.cuEventQuery(one)",
        "elapsed(one, two)",
        "cuda.cuEventRecord(one, None)",
        "cuda.cuEventRecord(two, None)",
        "cuda.cuEventQuery(one)",
        "elapsed(one, two)",
        "cuda.cuStreamQuery(None)",
        "cuda.cuEventSynchronize(two)",
        "cuda.cuEventQuery(one)",
        "elapsed(one, two)",
        "cuda.cuStreamQuery(None)",
        before="context(); one, two = event(), event()",
    )
    assert seen == [0, 400, 0, 0, 600, 600, 600, 0, 0, 0, 0]


def test_an_event_without_time_tells_none(library: Path) -> None:
    before = "context(); one = event(2); cuda.cuEventRecord(one, None); cuda.cuCtxSynchronize()"
    assert _seen(library, "cuda.cuEventQuery(one)", "elapsed(one, one)", before=before) == [0, 400]


def test_a_function_on_a_stream_comes_in_its_turn_and_calls_no_cuda(library: Path) -> None:
    before = """
context(); block = memory(3); seen = []
def look(_):
    seen.append([ctypes.string_at(block.value, 3).decode(), cuda.cuCtxSynchronize()])
function = ctypes.CFUNCTYPE(None, pointer)(look)
kept = [b"abc", b"xyz"]
copy(block, kept[0]); cuda.cuLaunchHostFunc(None, function, None); copy(block, kept[1])
"""
    seen = _seen(library, "len(seen)", "cuda.cuCtxSynchronize()", "seen", before=before)
    assert seen == [0, 0, [["abc", 800]]]


def test_calls_fail_as_they_are_told_to(library: Path) -> None:
    seen = _seen(
        library,
        "[cuda.cuInit(0) for _ in range(4)]",
        "[cuda.cuDeviceGetCount(of(ctypes.c_int())) for _ in range(3)]",
        "cuda.boardfit_fail(b'cuInit:1:999') and None",
        "[cuda.cuInit(0) for _ in range(2)]",
        BOARDFIT_CUDA_FAIL="cuInit:2:2,cuInit:3+:100,cuDeviceGetCount:1:46",
    )
    assert [seen[0], seen[1], seen[3]] == [[0, 2, 100, 100], [46, 0, 0], [999, 0]]


def test_the_counters_of_a_process_that_was_killed(library: Path, tmp_path: Path) -> None:
    script = """
import os, signal
context(); memory(1000); memory(24); event(); copy(memory(1), b"1")
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert _ended(library, script, BOARDFIT_CUDA_COUNTERS=str(tmp_path)).returncode == -signal.SIGKILL
    (counters,) = cuda_stand_in.counters(tmp_path).values()
    held = {name: counters[name] for name in cuda_stand_in.LEFT if counters[name]}
    assert held == {"device": 3, "device_bytes": 1025, "events": 1, "contexts": 1, "pushed": 1, "waiting": 1}
    assert counters["cuMemAlloc_v2"] == 3


def test_what_a_context_takes_with_it_is_counted(library: Path, tmp_path: Path) -> None:
    script = "context(); memory(1000); event(); cuda.cuDevicePrimaryCtxRelease(0)"
    assert _ended(library, script, BOARDFIT_CUDA_COUNTERS=str(tmp_path)).returncode == 0
    (counters,) = cuda_stand_in.counters(tmp_path).values()
    assert (counters["abandoned"], counters["device"], counters["device_bytes"], counters["events"]) == (2, 0, 0, 0)
