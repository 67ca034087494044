"""Faults on demand, each where it belongs."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

import pytest
import zoo
from tensorrt_stand_in import driving, models
from tensorrt_stand_in.placing import HERE, place

FAULTS = "BOARDFIT_TENSORRT_FAULTS"
OLDER = ("8.2", "8.5", "8.6")
NO_IMPLEMENTATION = "(Could not find any implementation for node relu.)"
SCRIPT = """
import sys
import tensorrt as trt
class Log(trt.ILogger):
    def __init__(self):
        trt.ILogger.__init__(self)
    def log(self, severity, msg):
        if len(sys.argv) > 2:
            raise ValueError("no")
log = Log()
builder = trt.Builder(log)
explicit = getattr(trt.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH", None)
network = builder.create_network(0 if explicit is None else 1 << int(explicit))
assert trt.OnnxParser(network, log).parse_from_file(sys.argv[1])
builder.build_serialized_network(network, builder.create_builder_config())
print("built")
"""


@pytest.fixture
def log(trt: ModuleType) -> driving.Log:
    return driving.new_log(trt)


def in_process(version: str, folder: Path, faults: str, *more: str) -> "subprocess.CompletedProcess[str]":
    """A build in a Python of its own."""
    place(folder / version, version)
    model = zoo.save(zoo.convolution(), folder)
    environment = {**os.environ, "PYTHONPATH": str(folder / version), FAULTS: faults}
    command = [sys.executable, "-c", SCRIPT, str(model), *more]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_build_short_of_memory_goes_on(trt: ModuleType, log: driving.Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FAULTS, "build_memory_warning")
    assert driving.build(trt, zoo.convolution(), log=log) is not None
    assert log.texts("WARNING") == [
        "Tactic Device request: 538MB Available: 166MB. Device memory is insufficient to use tactic.",
        "Skipping tactic 3 due to insuficient memory on requested size of 538 detected for tactic 4.",
    ]


def test_a_build_without_memory_fails(
    trt: ModuleType, version: str, log: driving.Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FAULTS, "build_memory_fatal")
    assert driving.build(trt, zoo.convolution(), log=log) is None
    older = f"10: [optimizer.cpp::computeCosts::2011] Error Code 10: Internal Error {NO_IMPLEMENTATION}"
    newer = f"IBuilder::buildSerializedNetwork: Error Code 10: Internal Error {NO_IMPLEMENTATION}"
    assert log.texts("ERROR")[0] == (older if version in OLDER else newer)


@pytest.mark.parametrize("version", ["8.2", "10.3"])
def test_a_build_is_killed(version: str, tmp_path: Path) -> None:
    done = in_process(version, tmp_path, "build_killed")
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == ""


def test_nvmap_has_no_more(
    trt: ModuleType, version: str, log: driving.Log, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(FAULTS, "nvmap_exhausted")
    assert driving.build(trt, zoo.convolution(), log=log) is None
    assert capfd.readouterr().err == "NvMapMemAllocInternalTagged: 1075072515 error 12\n"
    assert "Error Code 2: OutOfMemory" in log.texts("ERROR")[0]


@pytest.mark.parametrize("kind", ["Builder", "Runtime"])
def test_no_permission(
    trt: ModuleType, log: driving.Log, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    monkeypatch.setenv(FAULTS, "no_permission")
    with pytest.raises(TypeError, match=r"^pybind11::init\(\): factory function returned nullptr$"):
        getattr(trt, kind)(log.logger)
    assert capfd.readouterr().err == "NvRmMemInitNvmap failed: Permission denied\n"
    assert log.texts("WARNING")[0].startswith("CUDA initialization failure with error: 999.")


def test_no_context(trt: ModuleType, log: driving.Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FAULTS, "context_none")
    engine = driving.load(trt, driving.build(trt, zoo.convolution()), log)
    assert engine.create_execution_context() is None
    assert "Error Code 2: OutOfMemory" in log.texts("ERROR")[0]


@pytest.mark.parametrize(("value", "expected"), [("", [False] * 3), ("=3", [True, True, False])])
def test_a_run_fails(
    trt: ModuleType, log: driving.Log, monkeypatch: pytest.MonkeyPatch, value: str, expected: list[bool]
) -> None:
    monkeypatch.setenv(FAULTS, f"execute_false{value}")
    engine = driving.load(trt, driving.build(trt, zoo.convolution()), log)
    context = engine.create_execution_context()
    arrays = [driving.random(1, 3, 8, 8), driving.random(1, 4, 8, 8)]
    assert [context.execute_v2([array.ctypes.data for array in arrays]) for _ in range(3)] == expected
    assert "Error Code 1: Cuda Runtime (invalid resource handle)" in log.texts("ERROR")[0]


def test_an_operator_is_taken_away(trt: ModuleType, log: driving.Log, monkeypatch: pytest.MonkeyPatch) -> None:
    assert driving.parse(trt, models.chain("Relu", "Tanh"), log)[0] is not None
    monkeypatch.setenv(FAULTS, "unsupported_operator=Tanh")
    network, parser = driving.parse(trt, models.chain("Relu", "Tanh"), log)
    assert (network, parser.get_error(0).node()) == (None, 1)


def test_a_slow_build(trt: ModuleType, log: driving.Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FAULTS, "build_slow=0.2")
    began = time.monotonic()
    assert driving.build(trt, zoo.convolution(), log=log) is not None
    assert time.monotonic() - began >= 0.2
    assert sum("Autotuning" in text for text in log.texts("VERBOSE")) == 2


def test_a_build_that_logs_from_another_thread(trt: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[int] = set()

    class Where(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: object, msg: str) -> None:
            threads.add(threading.get_ident())

    log = driving.Log(Where())
    driving.build(trt, zoo.convolution(), log=log)
    assert threads == {threading.get_ident()}
    monkeypatch.setenv(FAULTS, "log_from_thread")
    driving.build(trt, zoo.convolution(), log=log)
    assert len(threads) == 2


def test_a_build_that_says_nothing(trt: ModuleType, log: driving.Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FAULTS, "build_none")
    assert driving.build(trt, zoo.convolution(), log=log) is None
    assert log.texts("ERROR", "WARNING") == []


@pytest.mark.parametrize(
    ("version", "code", "said"),
    [
        ("8.2", -signal.SIGABRT, "terminate called after throwing an instance of 'pybind11::error_already_set'"),
        ("8.5", 0, "[ERROR] Exception caught in log(): no"),
    ],
)
def test_a_logger_that_raises_ends_8_2(version: str, tmp_path: Path, code: int, said: str) -> None:
    done = in_process(version, tmp_path, "", "raise")
    assert done.returncode == code, done.stderr
    assert said in done.stderr


@pytest.mark.parametrize(
    ("faults", "said"),
    [("frobnicate", "nobody knows that fault"), ("safe_serialization", "TensorRT 10.3 cannot have that fault")],
)
def test_a_fault_that_cannot_be(tmp_path: Path, faults: str, said: str) -> None:
    done = in_process("10.3", tmp_path, faults)
    assert done.returncode == 1
    assert said in done.stderr


def test_every_fault_is_tested_here() -> None:
    known = json.loads((HERE / "surface" / "faults.json").read_text(encoding="utf-8"))["faults"]
    tests = "".join(path.read_text(encoding="utf-8") for path in HERE.glob("test_*.py"))
    assert not [name for name, *_ in known if not re.search(rf'"{name}["=]|f"{name}{{', tests)]
