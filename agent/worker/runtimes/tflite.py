"""TensorFlow Lite (tflite-runtime, from Mendel's 2.5 on) or its next name LiteRT, on the CPU or with the Edge TPU.

Inputs are copied into the interpreter's memory and outputs out of it within a run: it is from host memory to host
memory as under every other runtime, and an interpreter may move its memory (it refuses to run while an array refers to
it). On the CPU it uses the kernels that it chooses itself: XNNPACK's, in newer versions (details).
"""

import importlib
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy

from ..errors import BadOptionError, LoadFailedError, RunFailedError, RuntimeMissingError
from ._tflite.edgetpu import EdgeTpu, open_edgetpu
from ._tflite.files import TINY_MODEL, is_compiled
from ._tflite.messages import load_failed
from .base import Options, Quantisation, Runtime, Tensor

_PACKAGES = (("tflite_runtime", "TensorFlow Lite"), ("ai_edge_litert", "LiteRT"))
"""In the order they are looked for, with their names: the first is a board's own."""

_BROKEN = (ImportError, AttributeError, OSError, RuntimeError, SystemError)  # a numpy of another ABI: any of these
_FAILURES = (ValueError, RuntimeError, MemoryError, TypeError)
_EDGE_TPU = "edgetpu"


class TfLiteRuntime(Runtime):
    """Options: `delegate` "none" or "edgetpu"; `threads` of the CPU's kernels (0: the runtime's choice)."""

    option_names = ("delegate", "threads")

    def _open(self, options: Options) -> str:
        self._threads = _threads(options.get("threads", 0))
        delegate = _delegate(options.get("delegate", "none"))
        self._module, self._name = _module()
        self._interpreter: Any = None
        self._edge_tpu: Optional[EdgeTpu] = None
        self._run_tiny_model()
        if delegate != _EDGE_TPU:
            return self._name
        self._edge_tpu = open_edgetpu(self._module.load_delegate)
        return "%s, Edge TPU runtime %s" % (self._name, self._edge_tpu.runtime_version)

    def _run_tiny_model(self) -> None:
        try:
            tiny = self._module.Interpreter(model_content=TINY_MODEL)
            tiny.allocate_tensors()
            tiny.invoke()
        except _FAILURES as error:
            raise RuntimeMissingError(
                "%s does not run a tiny model: %s" % (self._name, error),
                "install it again for the Python the worker runs under",
            ) from error

    def load(self, path: str) -> Tuple[List[Tensor], List[Tensor]]:
        compiled = is_compiled(path)
        if self._edge_tpu and not compiled:  # it would go on with the CPU: a wrong figure
            raise LoadFailedError(
                "%s is not compiled for the Edge TPU: all of it would run on the CPU" % path,
                "compile it, or set the runtime option delegate to none",
            )
        try:
            self._interpreter = self._module.Interpreter(
                model_path=path,
                experimental_delegates=[self._edge_tpu.delegate] if self._edge_tpu else None,
                num_threads=self._threads or None,
            )
            self._interpreter.allocate_tensors()
        except _FAILURES as error:
            raise load_failed(self._name, error) from error
        return [_tensor(each) for each in self._inputs()], [_tensor(each) for each in self._outputs()]

    def _inputs(self) -> List[Dict[str, Any]]:
        return list(self._interpreter.get_input_details())

    def _outputs(self) -> List[Dict[str, Any]]:
        return list(self._interpreter.get_output_details())

    def quantisation(self) -> Tuple[List[Quantisation], List[Quantisation]]:
        return [_quantisation(each) for each in self._inputs()], [_quantisation(each) for each in self._outputs()]

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> "_Binding":
        return _Binding(
            [(each["index"], array) for each, array in zip(self._inputs(), inputs)],
            [(self._interpreter.tensor(each["index"]), array) for each, array in zip(self._outputs(), outputs)],
        )

    def run(self, binding: "_Binding") -> Optional[float]:
        interpreter = self._interpreter
        try:
            for index, array in binding.inputs:
                interpreter.set_tensor(index, array)
            interpreter.invoke()
            for view, array in binding.outputs:
                array[...] = view()  # not kept: the interpreter does not run while somebody has one
        except _FAILURES as error:
            raise RunFailedError(
                "%s failed while running: %s" % (self._name, error),
                "`dmesg | grep -i apex` may tell" if self._edge_tpu else "look at the model's own inputs",
            ) from error
        return None

    def details(self) -> Dict[str, str]:
        if self._edge_tpu:
            return {"delegate": _EDGE_TPU, "libedgetpu": self._edge_tpu.version}
        operators: List[Dict[str, Any]] = getattr(self._interpreter, "_get_ops_details", list)()  # private: since 2.5
        delegated = any(operator["op_name"] == "DELEGATE" for operator in operators)
        return {"delegate": "none", "kernels": "XNNPACK" if delegated else "built-in"}

    def close(self) -> None:
        self._interpreter = None  # first: it runs in the delegate
        self._edge_tpu = None


class _Binding(NamedTuple):
    """`inputs`: index and array; `outputs`: what gives a view of the interpreter's memory, and the array."""

    inputs: List[Tuple[int, Any]]
    outputs: List[Tuple[Any, Any]]


def create() -> Runtime:
    return TfLiteRuntime()


def _module() -> Tuple[Any, str]:
    """The interpreter's module, its name and version. RuntimeMissingError says why there is none."""
    reasons = []
    for package, name in _PACKAGES:
        try:
            version = importlib.import_module(package).__version__
            return importlib.import_module(package + ".interpreter"), "%s %s" % (name, version)
        except _BROKEN as error:
            reasons.append(str(error.__cause__ or error))
    raise RuntimeMissingError(
        "this Python has no TensorFlow Lite that works: %s" % "; ".join(reasons),
        "on a Coral board: sudo apt install python3-tflite-runtime; elsewhere: pip install ai-edge-litert",
    )


def _tensor(details: Dict[str, Any]) -> Tensor:
    return Tensor(str(details["name"]), numpy.dtype(details["dtype"]).name, tuple(int(n) for n in details["shape"]))


def _quantisation(details: Dict[str, Any]) -> Quantisation:
    """Of a whole tensor; `quantization` is (0.0, 0) where there is none, or one for each channel."""
    scale, zero_point = details["quantization"]
    return (float(scale), int(zero_point)) if scale else None


def _threads(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1024:
        raise BadOptionError("threads is %r" % (value,), "give a whole number from 0 (its own choice) to 1024")
    return value


def _delegate(value: Any) -> str:
    if value not in ("none", _EDGE_TPU):
        raise BadOptionError("delegate is %r" % (value,), "it is none or %s" % _EDGE_TPU)
    return str(value)
