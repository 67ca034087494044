"""The other side of the fidelity benchmark: a bare loop over TensorRT's own API (8.5 and later) and CUDA's driver.

python benchmarks/gpu/bare_loop.py ENGINE INPUTS.bin pinned|pageable RUNS -> mean nanoseconds of all runs but the first

Of a model of one float32 input and one float32 output. From numpy arrays to numpy arrays, as `host bench` measures:
`pinned` goes by way of page-locked memory. Nothing of boardfit is imported.
"""

import ctypes
import importlib
import sys
import time
from ctypes import byref, c_int, c_size_t, c_uint, c_uint64, c_void_p
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING (cuda.h)
Array = NDArray[Any]


class Cuda:
    """Each function by the name it is exported under, its status looked at. Arguments have ctypes' own types."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libcuda.so.1")
        device, context = c_int(), c_void_p()
        self.call("cuInit", c_uint(0))
        self.call("cuDeviceGet", byref(device), c_int(0))
        self.call("cuDevicePrimaryCtxRetain", byref(context), device)
        self.call("cuCtxSetCurrent", context)

    def call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            sys.exit(f"{name} gives {status}")

    def stream(self) -> c_void_p:
        made = c_void_p()
        self.call("cuStreamCreate", byref(made), c_uint(NON_BLOCKING))
        return made

    def memory(self, size: int) -> c_uint64:
        made = c_uint64()
        self.call("cuMemAlloc_v2", byref(made), c_size_t(size))
        return made

    def pinned(self, like: Array) -> Array:
        made = c_void_p()
        self.call("cuMemHostAlloc", byref(made), c_size_t(like.nbytes), c_uint(0))
        assert made.value, "CUDA_SUCCESS comes with an address"
        content: Any = (ctypes.c_uint8 * like.nbytes).from_address(made.value)
        return np.frombuffer(content, like.dtype).reshape(like.shape)


def main(engine_path: str, inputs: str, way: str, runs: str) -> None:
    trt: Any = importlib.import_module("tensorrt")
    cuda, logger = Cuda(), trt.Logger(trt.Logger.ERROR)
    trt.init_libnvinfer_plugins(logger, "")
    runtime = trt.Runtime(logger)
    engine = runtime.deserialize_cuda_engine(Path(engine_path).read_bytes())
    context = engine.create_execution_context()
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    [given] = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    [made] = [name for name in names if name != given]
    shapes = {name: tuple(engine.get_tensor_shape(name)) for name in (given, made)}
    cases = np.frombuffer(Path(inputs).read_bytes(), np.float32).reshape(-1, *shapes[given])
    output = np.empty(shapes[made], np.float32)
    addresses = {given: cuda.memory(cases[0].nbytes), made: cuda.memory(output.nbytes)}
    for name, address in addresses.items():
        context.set_tensor_address(name, address.value)
    stream = cuda.stream()

    def copied(case: Array, into: Array) -> None:
        """In, the engine, out."""
        size = c_size_t(case.nbytes)
        cuda.call("cuMemcpyHtoDAsync_v2", addresses[given], c_void_p(case.ctypes.data), size, stream)
        if not context.execute_async_v3(stream.value):
            sys.exit("TensorRT did not run the engine")
        size = c_size_t(into.nbytes)
        cuda.call("cuMemcpyDtoHAsync_v2", c_void_p(into.ctypes.data), addresses[made], size, stream)
        cuda.call("cuStreamSynchronize", stream)

    staged, result = cuda.pinned(cases[0]), cuda.pinned(output)

    def pageable(case: Array) -> None:
        copied(case, output)

    def pinned(case: Array) -> None:
        staged[...] = case
        copied(staged, result)
        output[...] = result

    run = {"pageable": pageable, "pinned": pinned}[way]
    samples = np.empty(int(runs), np.int64)
    for index in range(int(runs)):
        case = cases[index % len(cases)]
        start = time.perf_counter_ns()
        run(case)
        samples[index] = time.perf_counter_ns() - start
    print(samples[1:].mean())


if __name__ == "__main__":
    main(*sys.argv[1:])
