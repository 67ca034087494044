"""The other side of the fidelity benchmark: a bare session.run loop over the same inputs, in a process of its own.

python benchmarks/bare_loop.py MODEL INPUTS.bin THREADS RUNS -> mean nanoseconds of all runs but the first
"""

import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime


def main(model: str, inputs: str, threads: str, runs: str) -> None:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = int(threads)
    session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    declared = session.get_inputs()[0]
    cases = np.frombuffer(Path(inputs).read_bytes(), np.float32).reshape(-1, *declared.shape)
    feeds = [{declared.name: np.ascontiguousarray(case)} for case in cases]
    samples = np.empty(int(runs), np.int64)
    for index in range(int(runs)):
        feed = feeds[index % len(feeds)]
        start = time.perf_counter_ns()
        session.run(None, feed)
        samples[index] = time.perf_counter_ns() - start
    print(samples[1:].mean())


if __name__ == "__main__":
    main(*sys.argv[1:])
