"""An engine that is loaded, and its runs."""

import contextlib
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import numpy

from ...errors import LoadFailedError, RunFailedError, UnsupportedError
from ..base import Layer, Tensor
from . import transfer
from .cuda import Cuda
from .messages import explained
from .module import TensorRt

_DTYPES = (
    ("FLOAT", "float32"),
    ("HALF", "float16"),
    ("INT8", "int8"),
    ("INT32", "int32"),
    ("INT64", "int64"),
    ("BOOL", "bool"),
    ("UINT8", "uint8"),
)
"""Of trt.DataType, as far as a version has them. Not trt.nptype: that of 8.2 and 8.5 fails with numpy from 1.24 on."""


class Port(NamedTuple):
    """An input or output of an engine: its place in the device's memory, and pinned memory of its size."""

    tensor: Tensor
    address: int
    pinned: Any


class Binding(NamedTuple):
    """The ways of one slot's arrays."""

    there: List[transfer.Move]
    back: List[transfer.Move]


class Execution:
    """One engine with one context, one stream and one set of device buffers: one run at a time.

    Every method raises CudaError beside what it names.
    """

    def __init__(self, tensorrt: TensorRt, cuda: Cuda) -> None:
        self._tensorrt = tensorrt
        self._cuda = cuda
        self._taken = contextlib.ExitStack()
        self._runtime = self._engine = self._context = None  # type: Any

    def open(self, plan: bytes, names: Sequence[str]) -> None:
        """Loads the plan; its inputs and outputs are given in the order of `names`, as far as these go.

        LoadFailedError and its kin, OutOfMemoryError; what was taken by then is given back."""
        try:
            self._open(plan, names)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Gives everything back, the last first; again and again is allowed."""
        self._taken.close()

    def _open(self, plan: bytes, names: Sequence[str]) -> None:
        cuda, taken = self._cuda, self._taken
        taken.callback(self._forget)
        self._deserialise(plan)
        self._stream = cuda.stream()
        taken.callback(cuda.destroy_stream, self._stream)
        self._began, self._ended = self._event(), self._event()
        described = self._described()
        known = sorted(described, key=lambda each: names.index(each[1][0]) if each[1][0] in names else len(names))
        self.inputs = [self._port(*each) for is_input, each in known if is_input]
        self.outputs = [self._port(*each) for is_input, each in known if not is_input]
        by_name = {port.tensor.name: port.address for port in self.inputs + self.outputs}
        self._addresses = [by_name[name] for _, (name, _, _) in described]
        if self._tensorrt.differences.names_tensors:
            for name, address in by_name.items():
                self._context.set_tensor_address(name, address)
        self.choice = transfer.choose(
            cuda,
            self._stream,
            [(port.address, port.pinned) for port in self.inputs],
            [(port.address, port.pinned) for port in self.outputs],
        )

    def _deserialise(self, plan: bytes) -> None:
        tensorrt, log = self._tensorrt, self._tensorrt.log
        log.take()
        self._runtime = tensorrt.trt.Runtime(tensorrt.logger)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise explained("TensorRT %s did not load the engine" % tensorrt.version, log.take())
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise explained("TensorRT %s made no context to run the engine in" % tensorrt.version, log.take())

    def _forget(self) -> None:
        """In this order: a context needs its engine, and an engine its runtime."""
        self._context = None
        self._engine = None
        self._runtime = None

    def _event(self) -> int:
        event = self._cuda.event()
        self._taken.callback(self._cuda.destroy_event, event)
        return event

    def _described(self) -> List[Tuple[bool, Tuple[str, Any, Tuple[int, ...]]]]:
        """Whether it is an input; name, dtype and shape: of each, in the engine's order."""
        engine: Any = self._engine
        if self._tensorrt.differences.names_tensors:
            given = self._tensorrt.trt.TensorIOMode.INPUT
            names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
            return [
                (
                    engine.get_tensor_mode(name) == given,
                    (name, engine.get_tensor_dtype(name), tuple(engine.get_tensor_shape(name))),
                )
                for name in names
            ]
        return [
            (
                engine.binding_is_input(index),
                (
                    engine.get_binding_name(index),
                    engine.get_binding_dtype(index),
                    tuple(engine.get_binding_shape(index)),
                ),
            )
            for index in range(engine.num_bindings)
        ]

    def _port(self, name: str, dtype: Any, shape: Tuple[int, ...]) -> Port:
        if any(size < 0 for size in shape):
            raise LoadFailedError(
                "%s has the shape %s: a size is open" % (name, list(shape)), "convert the model again"
            )
        tensor = Tensor(name, self._dtype_name(dtype), shape)
        size = int(numpy.prod(shape, dtype="int64")) * numpy.dtype(tensor.dtype).itemsize
        address = self._cuda.allocate(size)
        self._taken.callback(self._cuda.free, address)
        pinned = self._cuda.pinned(size)
        self._taken.callback(self._cuda.unpin, pinned)
        return Port(tensor, address, pinned)

    def _dtype_name(self, dtype: Any) -> str:
        known = self._tensorrt.trt.DataType
        for name, numpy_name in _DTYPES:
            if hasattr(known, name) and dtype == getattr(known, name):
                return numpy_name
        raise LoadFailedError("the engine has an input or output of type %s" % dtype, "convert the model again")

    @property
    def scratch_bytes(self) -> int:
        """Of the device, while it runs: weights, inputs and outputs are not in it."""
        counts_v2 = self._tensorrt.differences.counts_memory_v2
        return int(self._engine.device_memory_size_v2 if counts_v2 else self._engine.device_memory_size)

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Binding:
        return Binding(self._moves(self.inputs, inputs), self._moves(self.outputs, outputs))

    def _moves(self, ports: Sequence[Port], arrays: Sequence[Any]) -> List[transfer.Move]:
        return [
            transfer.move(port.address, array, port.pinned if self.choice.is_pinned else None)
            for port, array in zip(ports, arrays)
        ]

    def run(self, binding: Binding) -> float:
        """The seconds between two events around the engine's work. RunFailedError."""
        transfer.copies(self._cuda, self._stream, binding.there, binding.back, self._enqueue_timed)
        return self._cuda.elapsed_s(self._began, self._ended)

    def _enqueue_timed(self) -> None:
        self._cuda.record(self._began, self._stream)
        self._enqueue()
        self._cuda.record(self._ended, self._stream)

    def _enqueue(self) -> None:
        if self._tensorrt.differences.names_tensors:
            done = self._context.execute_async_v3(self._stream)
        else:
            done = self._context.execute_async_v2(self._addresses, self._stream)
        if not done:
            doing = "TensorRT %s did not run the engine" % self._tensorrt.version
            raise explained(doing, self._tensorrt.log.take(), RunFailedError)

    def profile(self, binding: Binding, runs: int) -> List[Layer]:
        """RunFailedError; UnsupportedError where no layer is told."""
        profiler = _profiler(self._tensorrt.trt)
        self._context.profiler = profiler
        # Else a layer's time is told while the next run is prepared; with it, when it is asked for (8.2 and later).
        self._context.enqueue_emits_profile = False
        for _ in range(runs):
            self.run(binding)
            self._context.report_to_profiler()
        if not profiler.total_ms:
            raise UnsupportedError("TensorRT told no layer's time", "measure the whole: host bench")
        return [Layer(name, total / runs) for name, total in profiler.total_ms.items()]


def _profiler(trt: Any) -> Any:
    class Profiler(trt.IProfiler):  # type: ignore[misc]  # a class of a module that is only known at run time
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)
            self.total_ms: Dict[str, float] = {}  # in the order of the first run: CPython keeps it from 3.6 on

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            self.total_ms[layer_name] = self.total_ms.get(layer_name, 0.0) + ms

    return Profiler()
