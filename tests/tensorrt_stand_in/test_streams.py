"""With the stand-in for CUDA's driver: work on a stream is done in its turn, when the stream is waited for."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cuda_stand_in
import pytest
import zoo
from tensorrt_stand_in.placing import HERE, VERSIONS, place

START = """
import ctypes, sys
import numpy as np, onnx
import tensorrt as trt
sys.path.insert(0, sys.argv[2])
from tensorrt_stand_in import driving
cuda = ctypes.CDLL("libcuda.so.1")
handle, size, of = ctypes.c_void_p, ctypes.c_size_t, ctypes.byref
log = driving.new_log(trt)
model = onnx.load(sys.argv[1])
"""
OPEN = """
assert cuda.cuInit(0) == 0
context, stream, memory = handle(), handle(), {"image": handle(), "map": handle()}
assert cuda.cuDevicePrimaryCtxRetain(of(context), 0) == 0
assert cuda.cuCtxSetCurrent(context) == 0
assert cuda.cuStreamCreate(of(stream), 1) == 0
host = {"image": driving.random(1, 3, 8, 8), "map": np.zeros((1, 4, 8, 8), np.float32)}
for name, array in host.items():
    assert cuda.cuMemAlloc_v2(of(memory[name]), size(array.nbytes)) == 0
def copy_in():
    array = host["image"]
    assert cuda.cuMemcpyHtoDAsync_v2(memory["image"], handle(array.ctypes.data), size(array.nbytes), stream) == 0
def copy_out():
    array = host["map"]
    assert cuda.cuMemcpyDtoHAsync_v2(handle(array.ctypes.data), memory["map"], size(array.nbytes), stream) == 0
def enqueue(stream=stream):
    if trt.__version__.startswith("8.2"):
        return execution.execute_async_v2([memory[name].value for name in ("image", "map")], stream.value)
    assert all(execution.set_tensor_address(name, address.value) for name, address in memory.items())
    return execution.execute_async_v3(stream.value)
execution = driving.load(trt, driving.build(trt, model), log).create_execution_context()
expected = driving.by_onnx_runtime(model, {"image": host["image"]})["map"]
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return cuda_stand_in.library(tmp_path_factory.mktemp("cuda"))
    except cuda_stand_in.NoCompilerError as error:
        pytest.skip(str(error))


@pytest.fixture
def run(library: Path, tmp_path: Path) -> Run:
    model = zoo.save(zoo.convolution(), tmp_path)

    def run(version: str, script: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, **cuda_stand_in.environment(library), **variables}
        environment["PYTHONPATH"] = str(place(tmp_path / version, version))
        command = [sys.executable, "-c", START + script, str(model), str(HERE.parent)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.mark.parametrize("version", [VERSIONS[0], VERSIONS[1], VERSIONS[3], VERSIONS[-1]])
def test_a_stream_keeps_its_order(run: Run, version: str) -> None:
    script = """
copy_in()
assert enqueue()
copy_out()
assert not host["map"].any(), "it was only queued"
assert cuda.cuStreamSynchronize(stream) == 0
assert np.array_equal(host["map"], expected), "it came after the one copy and before the other"
host["image"] += 1
assert enqueue()
copy_out()
cuda.cuStreamSynchronize(stream)
assert np.array_equal(host["map"], expected), "nothing new was copied in: it computes on what is there"
"""
    done = run(version, OPEN + script)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("version", ["8.2", "10.3"])
def test_with_a_profiler_a_run_is_over_when_the_call_returns(run: Run, version: str) -> None:
    script = """
seen = []
class Profiler(trt.IProfiler):
    def report_layer_time(self, layer_name, ms):
        seen.append(layer_name)
execution.profiler = profiler = Profiler()
copy_in()
assert enqueue()
assert seen == ["conv", "relu"]
assert ctypes.string_at(memory["map"].value, expected.nbytes) == expected.tobytes()
"""
    done = run(version, OPEN + script)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("version", ["8.2", "10.3"])
def test_a_stream_that_is_none(run: Run, version: str) -> None:
    script = """
assert enqueue(handle(0x1000)) is False
assert "invalid resource handle" in log.texts("ERROR")[0]
"""
    done = run(version, OPEN + script)
    assert done.returncode == 0, done.stderr


def test_the_device_is_the_drivers(run: Run) -> None:
    done = run("8.5", "print(trt.Builder(log.logger)._sm)", BOARDFIT_CUDA_SM="72")
    assert done.stdout == "72\n", done.stderr


def test_a_driver_that_does_not_start(run: Run) -> None:
    script = """
try:
    trt.Runtime(log.logger)
except TypeError as error:
    print(error, log.texts("WARNING")[0][:46])
"""
    done = run("10.3", script, BOARDFIT_CUDA_DEVICES="0")
    nothing = "pybind11::init(): factory function returned nullptr"
    assert done.stdout == f"{nothing} CUDA initialization failure with error: 100. P\n", done.stderr
