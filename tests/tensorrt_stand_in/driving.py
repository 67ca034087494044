"""What a program does with TensorRT, the same for each version: build(), load(), run()."""

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

Arrays = dict[str, NDArray[Any]]
STREAM = 7  # any handle that is not the default stream's


@dataclass
class Log:
    """A logger of Python's, and what it was told: (severity's name, text)."""

    logger: Any
    lines: list[tuple[str, str]] = field(default_factory=list)

    def texts(self, *severities: str) -> list[str]:
        return [text for severity, text in self.lines if severity in (severities or ("ERROR", "WARNING"))]


def new_log(trt: ModuleType) -> Log:
    class Kept(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            log.lines.append((severity.name, msg))

    log = Log(None)
    log.logger = Kept()
    return log


def network(trt: ModuleType, log: Log, flags: int | None = None) -> Any:
    """An empty one, for a parser."""
    explicit = getattr(trt.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH", None)
    default = 0 if explicit is None else 1 << int(explicit)
    return trt.Builder(log.logger).create_network(default if flags is None else flags)


def parse(trt: ModuleType, model: ModelProto | bytes, log: Log, flags: int | None = None) -> tuple[Any, Any]:
    """(the network or None, the parser)."""
    made = network(trt, log, flags)
    parser = trt.OnnxParser(made, log.logger)
    content = model if isinstance(model, bytes) else model.SerializeToString()
    return (made if parser.parse(content) else None), parser


def build(trt: ModuleType, model: ModelProto, *flags: str, log: Log | None = None, config: Any = None) -> Any:
    """The plan, or None. Without TF32, which is on by default; with the named flags."""
    log = log or new_log(trt)
    made, parser = parse(trt, model, log)
    assert made is not None, [str(parser.get_error(index)) for index in range(parser.num_errors)]
    config = config or plain_config(trt, made, log, *flags)
    return trt.Builder(log.logger).build_serialized_network(made, config)


def plain_config(trt: ModuleType, made: Any, log: Log, *flags: str) -> Any:
    config = trt.Builder(log.logger).create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)
    for flag in flags:
        config.set_flag(getattr(trt.BuilderFlag, flag))
    return config


def load(trt: ModuleType, plan: Any, log: Log | None = None) -> Any:
    """The engine, or None."""
    return trt.Runtime((log or new_log(trt)).logger).deserialize_cuda_engine(plan)


def tensors(trt: ModuleType, engine: Any) -> dict[str, tuple[bool, tuple[int, ...], Any]]:
    """By name: whether it is an input, its shape, its DataType; by the older calls where there are no others."""
    if hasattr(engine, "num_io_tensors"):
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        modes = {name: engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT for name in names}
        return {it: (modes[it], tuple(engine.get_tensor_shape(it)), engine.get_tensor_dtype(it)) for it in names}
    names = [engine.get_binding_name(index) for index in range(engine.num_bindings)]
    return {
        name: (engine.binding_is_input(name), tuple(engine.get_binding_shape(name)), engine.get_binding_dtype(name))
        for name in names
    }


def outputs(trt: ModuleType, engine: Any) -> Arrays:
    """Room for each output."""
    numpy_types = {"FLOAT": np.float32, "HALF": np.float16, "INT8": np.int8, "INT32": np.int32, "INT64": np.int64,
                   "BOOL": np.bool_, "UINT8": np.uint8}  # fmt: skip
    found = tensors(trt, engine)
    return {it: np.zeros(shape, numpy_types[dtype.name]) for it, (is_in, shape, dtype) in found.items() if not is_in}


def run(trt: ModuleType, engine: Any, inputs: Arrays, context: Any = None) -> Arrays:
    """The outputs, by the newest asynchronous call that the version has; the inputs must be of the engine's types."""
    results = outputs(trt, engine)
    context = context or engine.create_execution_context()
    addresses = {name: array.ctypes.data for name, array in {**inputs, **results}.items()}
    if hasattr(context, "execute_async_v3"):
        assert all(context.set_tensor_address(name, address) for name, address in addresses.items())
        assert context.execute_async_v3(STREAM)
    else:
        assert context.execute_async_v2([addresses[name] for name in tensors(trt, engine)], STREAM)
    return results


def by_onnx_runtime(model: ModelProto, inputs: Arrays) -> Arrays:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip((it.name for it in session.get_outputs()), session.run(None, inputs), strict=True))


def random(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)
