"""A model as the host's ONNX Runtime computes it: what every board is held against."""

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from converters.diagnosis import plain, refusal
from converters.errors import RunFailedError

# They have no base in common but Exception; what C++ throws otherwise arrives as RuntimeError.
_ORT_ERRORS = (
    ort_errors.EPFail,
    ort_errors.EngineError,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    RuntimeError,
)
_FATAL = 4


def open_session(model: bytes, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    """The model in ONNX Runtime on the CPU; what is worth saying is in the exception, so nothing is logged.

    Raises InvalidModelError, UnsupportedOperatorError or UnsupportedVersionError where it does not load.
    """
    options.log_severity_level = _FATAL
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except _ORT_ERRORS as error:
        raise refusal(error, onnx.load_model_from_string(model)) from error


class OnnxReference:
    """A model loaded into ONNX Runtime on the CPU; called with input tensors, gives the output tensors.

    Raises InvalidModelError, UnsupportedOperatorError or UnsupportedVersionError where it does not load.
    """

    def __init__(self, model: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.use_deterministic_compute = True
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = open_session(model, options)
        self.input_names: tuple[str, ...] = tuple(value.name for value in self._session.get_inputs())
        self.output_names: tuple[str, ...] = tuple(value.name for value in self._session.get_outputs())

    @property
    def undetermined_outputs(self) -> tuple[str, ...]:
        """Names of the outputs whose shape ONNX Runtime does not know before it runs the model."""
        return tuple(
            value.name
            for value in self._session.get_outputs()
            if not all(isinstance(size, int) and size > 0 for size in value.shape)
        )

    def __call__(self, inputs: Mapping[str, NDArray[Any]] | Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """The outputs, in the model's order, for inputs by name or in the model's order; RunFailedError."""
        named = inputs if isinstance(inputs, Mapping) else dict(zip(self.input_names, inputs, strict=True))
        try:
            return list(self._session.run(None, dict(named)))
        except (*_ORT_ERRORS, ValueError) as error:
            raise RunFailedError(
                f"the model loads, but does not run: {plain(error)}",
                "check that the input shapes suit the model, and that it runs in ONNX Runtime where it was made",
            ) from error
