"""The whole of the runtime over whatever `tensorrt` this Python has: parse, build, load, run, profile. Python 3.6.

    python scenario.py MODEL FOLDER [DIFFERENCE ...]

Prints JSON: what each step gave. The differences named are told to the runtime the wrong way round.
"""

import json
import sys
from pathlib import Path

import numpy
from boardfit_worker.runtimes import create
from boardfit_worker.runtimes._trt import building, module
from boardfit_worker.runtimes.base import Order


def main(model, folder, *wrong):
    right = module.differences
    module.differences = lambda trt: right(trt)._replace(**{name: not getattr(right(trt), name) for name in wrong})
    runtime = create("trt")
    said = {"version": runtime.open({})}
    said["refused"] = runtime.parse(str(Path(folder, "refused.onnx")))
    said["parsed"] = runtime.parse(model)
    engine, lines = str(Path(folder, "model.engine")), []
    plain = Order(model, engine, str(Path(folder, "timing.cache")), "fp32", False, 64 << 20)
    runtime.build(plain, lines.append)
    said["progress"] = any("Building Engine" in line for line in lines)
    said["typed"] = typed_networks(runtime, plain._replace(typed=True))
    # Where no builder can be told, half precision is in the model.
    runtime.build(plain._replace(precision="fp16", typed=not may_be_told(runtime)), lines.append)
    runtime.warm_up(engine)
    inputs, outputs = runtime.load(engine)
    arrays = [numpy.ones(each.shape, each.dtype) for each in inputs]
    made = [numpy.zeros(each.shape, each.dtype) for each in outputs]
    binding = runtime.bind(arrays, made)
    said["accelerator_s"] = runtime.run(binding)
    said["output"] = [float(each.mean()) for each in made]
    said["layers"] = [layer.name for layer in runtime.profile(binding, 2)]
    said["scratch_bytes"] = runtime.details()["scratch_bytes"]
    runtime.close()
    print(json.dumps(said))


def may_be_told(runtime):
    """Whether this version's builder takes precisions: not by what is under test."""
    return hasattr(runtime._tensorrt.trt.BuilderFlag, "FP16")


def typed_networks(runtime, order):
    """Of the networks of a build whether each is strongly typed; None where a version knows no such thing."""
    seen = []
    make = building._parsed

    def watched(tensorrt, read, typed):
        made = make(tensorrt, read, typed)
        flag = getattr(tensorrt.trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
        seen.append(None if flag is None else made.network.get_flag(flag))
        return made

    building._parsed = watched
    try:
        runtime.build(order, lambda line: None)
    finally:
        building._parsed = make
    return seen


if __name__ == "__main__":
    main(*sys.argv[1:])
