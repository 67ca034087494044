"""Builds an engine, then opens, loads, runs and closes the runtime again and again; prints what the GPU has free.

    python loading.py MODEL FOLDER TIMES        with the worker's code on PYTHONPATH -> a JSON list of bytes

One context is held throughout: with the last one that goes, the driver would take back whatever was left.
"""

import json
import sys
from pathlib import Path

import numpy
from boardfit_worker.runtimes import create
from boardfit_worker.runtimes._trt import libcuda
from boardfit_worker.runtimes.base import Order


def main(model: str, folder: str, times: str) -> None:
    engine = str(Path(folder, "model.engine"))
    held = libcuda.open_device()
    builder = create("trt")
    builder.open({})
    builder.build(Order(model, engine, str(Path(folder, "timing.cache")), "fp32", False, 256 << 20), lambda line: None)
    builder.close()
    free_bytes = []
    for _ in range(int(times)):
        load_and_run(engine)
        free_bytes.append(free())
    print(json.dumps(free_bytes))
    libcuda.open_device().close()
    held.close()


def load_and_run(engine: str) -> None:
    runtime = create("trt")
    runtime.open({})
    runtime.warm_up(engine)
    inputs, outputs = runtime.load(engine)
    arrays = [numpy.ones(each.shape, each.dtype) for each in inputs]
    runtime.run(runtime.bind(arrays, [numpy.zeros(each.shape, each.dtype) for each in outputs]))
    runtime.close()


def free() -> int:
    """By a look of its own: a runtime that closes leaves this thread without a current context."""
    cuda = libcuda.open_device()
    try:
        return int(cuda.free_bytes())
    finally:
        cuda.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
