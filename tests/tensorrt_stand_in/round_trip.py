"""Parse, build, load, run: by each version's own calls, in a Python that may be 3.6. `python round_trip.py MODEL`.

Prints JSON: the versions, what ran, and whether the outputs are those of ONNX Runtime in the same Python.
"""

import json
import sys

import numpy
import onnxruntime
import tensorrt


class Log(tensorrt.ILogger):
    def __init__(self):
        tensorrt.ILogger.__init__(self)
        self.lines = []

    def log(self, severity, msg):
        if severity <= tensorrt.ILogger.WARNING:
            self.lines.append(msg)


def main(path):
    log = Log()
    engine = tensorrt.Runtime(log).deserialize_cuda_engine(build(path, log))
    context = engine.create_execution_context()
    if hasattr(engine, "num_io_tensors"):
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        shapes = {name: tuple(engine.get_tensor_shape(name)) for name in names}
        inputs = [name for name in names if engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT]
    else:
        names = [engine.get_binding_name(index) for index in range(engine.num_bindings)]
        shapes = {name: tuple(engine.get_binding_shape(name)) for name in names}
        inputs = [name for name in names if engine.binding_is_input(name)]
    random = numpy.random.RandomState(0)
    arrays = {name: random.standard_normal(shapes[name]).astype(numpy.float32) for name in names}
    call = run(context, names, arrays)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    expected = session.run(None, {name: arrays[name] for name in inputs})
    results = [arrays[it.name].tobytes() for it in session.get_outputs()]
    is_same = results == [it.tobytes() for it in expected]
    said = {"tensorrt": tensorrt.__version__, "python": ".".join(map(str, sys.version_info[:2])), "call": call}
    print(json.dumps(dict(said, inputs=inputs, same=is_same, log=log.lines)))


def build(path, log):
    builder = tensorrt.Builder(log)
    explicit = getattr(tensorrt.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH", None)
    network = builder.create_network(0 if explicit is None else 1 << int(explicit))
    parser = tensorrt.OnnxParser(network, log)
    assert parser.parse_from_file(path), str(parser.get_error(0))
    config = builder.create_builder_config()
    if hasattr(config, "set_memory_pool_limit"):
        config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, 1 << 28)
    else:
        config.max_workspace_size = 1 << 28
    config.clear_flag(tensorrt.BuilderFlag.TF32)
    assert config.set_timing_cache(config.create_timing_cache(b""), False)
    return bytes(builder.build_serialized_network(network, config))


def run(context, names, arrays):
    addresses = {name: array.ctypes.data for name, array in arrays.items()}
    if hasattr(context, "execute_async_v3"):
        assert all(context.set_tensor_address(name, address) for name, address in addresses.items())
        assert context.execute_async_v3(7)
        return "execute_async_v3"
    assert context.execute_async_v2([addresses[name] for name in names], 7)
    return "execute_async_v2"


if __name__ == "__main__":
    main(sys.argv[1])
