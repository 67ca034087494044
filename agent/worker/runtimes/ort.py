"""ONNX Runtime (1.10, the last for Python 3.6, or newer). Inputs and outputs are bound to the caller's memory: a run
copies nothing and allocates nothing for them.
"""

import difflib
import json
import os
import tempfile
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..errors import BadOptionError, LoadFailedError, RunFailedError, RuntimeMissingError
from ._tiny import TINY_MODEL
from .base import Layer, Options, Runtime, Tensor

_DTYPES = {
    "tensor(float16)": "float16",
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(int8)": "int8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
}

_CPU = "CPUExecutionProvider"
_BROKEN = (ImportError, AttributeError, OSError, RuntimeError, SystemError)  # a numpy of another ABI: SystemError


class OnnxRuntime(Runtime):
    """Options: `threads` within an operator (0: ONNX Runtime's choice); `provider`: "cpu" or another one present."""

    option_names = ("provider", "threads")

    def _open(self, options: Options) -> str:
        try:
            import numpy
            import onnxruntime

            self._failures = _failures(onnxruntime)
        except _BROKEN as error:
            raise RuntimeMissingError(
                "this Python has no ONNX Runtime that works: %s" % (error.__cause__ or error),
                "install onnxruntime, and a numpy it was built for, for the Python the worker runs under",
            ) from error
        self._ort = onnxruntime
        # Not numpy.int64: the bindings of ONNX Runtime 1.10 know 64-bit integers by C's `long long` alone.
        self._element_types = {"int64": numpy.longlong, "uint64": numpy.ulonglong}
        self._threads = _threads(options.get("threads", 0))
        self._provider = _provider(options.get("provider", "cpu"), onnxruntime.get_available_providers())
        self._run_tiny_model(numpy.zeros(1, numpy.float32))
        return str(onnxruntime.__version__)

    def _run_tiny_model(self, x: Any) -> None:
        """Shows whether the provider works on this machine. RuntimeMissingError where it does not."""
        try:
            session = self._session(TINY_MODEL)
            session.run(None, {"x": x})
        except self._failures as error:
            raise self._unusable(error) from error
        if self._provider not in session.get_providers():  # ONNX Runtime goes on with the CPU: a wrong figure
            raise self._unusable("it would run on %s" % ", ".join(session.get_providers()))

    def _unusable(self, reason: Any) -> RuntimeMissingError:
        return RuntimeMissingError(
            "ONNX Runtime %s cannot use its %s here: %s" % (self._ort.__version__, self._provider, reason),
            "are the accelerator's driver and libraries installed? provider=cpu needs none",
        )

    def _session(self, model: Any, trace: Optional[str] = None) -> Any:
        """`trace`: what the name of a file with the times of its operators begins with."""
        settings = self._ort.SessionOptions()
        if trace is not None:
            settings.enable_profiling = True
            settings.profile_file_prefix = trace
        settings.intra_op_num_threads = self._threads
        settings.log_severity_level = 3  # errors; its warnings are for those who make graphs, and go to stderr
        return self._ort.InferenceSession(model, settings, providers=[self._provider])

    def load(self, path: str) -> Tuple[List[Tensor], List[Tensor]]:
        self._path = path
        try:
            self._loaded = self._session(path)
        except self._failures as error:
            raise LoadFailedError(
                "ONNX Runtime %s refused the model: %s" % (self._ort.__version__, error),
                "run `host convert` on it for the reason in words, or try a newer onnxruntime on the board",
            ) from error
        return _tensors(self._loaded.get_inputs()), _tensors(self._loaded.get_outputs())

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        return self._bound(self._loaded, inputs, outputs)

    def _bound(self, session: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> "_Binding":
        binding = session.io_binding()
        given = {}  # type: Dict[str, Any]
        handed_on = []
        for declared, array in zip(session.get_inputs(), inputs):
            binding.bind_input(declared.name, *self._place(array))
            given[declared.name] = array
        for declared, array in zip(session.get_outputs(), outputs):
            binding.bind_output(declared.name, *self._place(array))
            if declared.name in given:
                handed_on.append((array, given[declared.name]))
        return _Binding(binding, handed_on, self._provider != _CPU, inputs, outputs)

    def _place(self, array: Any) -> Tuple[Any, ...]:
        """Of an array in host memory, as bind_input and bind_output take it."""
        element = self._element_types.get(array.dtype.name, array.dtype.type)
        return "cpu", 0, element, array.shape, array.ctypes.data

    def run(self, binding: Any) -> Optional[float]:
        self._run(self._loaded, binding)
        return None

    def profile(self, binding: Any, runs: int) -> List[Layer]:
        with tempfile.TemporaryDirectory() as folder:
            session = self._session(self._path, os.path.join(folder, "trace"))
            again = self._bound(session, binding.inputs, binding.outputs)
            for _ in range(runs + 1):
                self._run(session, again)
            with open(session.end_profiling(), encoding="utf-8") as file:
                return _layers(json.load(file))

    def _run(self, session: Any, binding: "_Binding") -> None:
        try:
            session.run_with_iobinding(binding.bound)
            if binding.is_asynchronous:
                binding.bound.synchronize_outputs()
        except self._failures as error:
            raise RunFailedError(
                "ONNX Runtime failed while running: %s" % error, "look at the model's own inputs"
            ) from error
        for target, source in binding.handed_on:
            target[...] = source


class _Binding(NamedTuple):
    """`handed_on`: pairs (output, input) where a model's output is one of its inputs, which ONNX Runtime leaves out."""

    bound: Any
    handed_on: List[Tuple[Any, Any]]
    is_asynchronous: bool
    inputs: Sequence[Any]
    outputs: Sequence[Any]


def create() -> Runtime:
    return OnnxRuntime()


def _failures(onnxruntime: Any) -> Tuple[Any, ...]:
    """ONNX Runtime's own exceptions have no base but Exception, and each version has others."""
    state = vars(onnxruntime.capi.onnxruntime_pybind11_state)
    own = [each for each in state.values() if isinstance(each, type) and issubclass(each, Exception)]
    return tuple(own) + (RuntimeError, MemoryError, ValueError)


def _layers(events: Sequence[Dict[str, Any]]) -> List[Layer]:
    """By node, in order. Its kernel alone: what is around it has names of its own.

    The first run is left out: it is slower. The runs are counted, as a trace ends after a million events
    (onnxruntime/core/common/profiler.h). Format: https://onnxruntime.ai/docs/performance/tune-performance/profiling-tools.html
    """
    suffix = "_kernel_time"
    total_us = {}  # type: Dict[str, int]
    runs = -1
    for event in events:
        name = event.get("name", "")
        if name == "model_run":  # written at its end
            runs += 1
        elif runs >= 0 and event.get("cat") == "Node" and name.endswith(suffix):
            label = "%s (%s)" % (name[: -len(suffix)], event.get("args", {}).get("op_name", "?"))
            total_us[label] = total_us.get(label, 0) + event["dur"]
    return [Layer(label, total / 1000.0 / max(1, runs)) for label, total in total_us.items()]


def _threads(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1024:
        raise BadOptionError("threads is %r" % (value,), "give a whole number from 0 (ONNX Runtime's choice) to 1024")
    return value


def _provider(wanted: Any, present: List[str]) -> str:
    names: Dict[str, str] = {name.replace("ExecutionProvider", "").lower(): name for name in present}
    key = str(wanted).replace("ExecutionProvider", "").lower()
    if key not in names:
        near = difflib.get_close_matches(key, names, n=1)
        raise BadOptionError(
            "this ONNX Runtime has no provider %r" % (wanted,),
            "did you mean %r?" % near[0] if near else "it has %s" % ", ".join(sorted(names)),
        )
    return names[key]


def _tensors(declared: Sequence[Any]) -> List[Tensor]:
    return [
        Tensor(
            item.name,
            _DTYPES.get(item.type, item.type),
            tuple(dim if isinstance(dim, int) and dim > 0 else None for dim in item.shape),
        )
        for item in declared
    ]
