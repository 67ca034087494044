"""A TFLite file as this machine computes it, for whoever has a signature's tensors: what `OnnxReference` is of ONNX."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from converters.artifact import Artifact
from converters.errors import ConversionError, RunFailedError
from converters.tflite.interpreter import INSTALL, Interpreter, NotInstalledError, from_artifact


class NoInterpreterError(ConversionError):
    """This machine has no TFLite to run the file with."""

    code = "no_tflite_here"


class TfliteReference:
    """A file with its artifact, loaded into ai-edge-litert, no delegate; called with input tensors, gives the outputs.

    Raises NoInterpreterError where that is not installed, RunFailedError where it does not take the file.
    """

    def __init__(self, content: bytes, artifact: Artifact) -> None:
        self._artifact = artifact
        try:
            self._interpreter = Interpreter(content, artifact.inputs)
        except NotInstalledError as error:
            raise NoInterpreterError(f"TFLite cannot be run on this machine: {error}", INSTALL) from error
        except (ValueError, RuntimeError) as error:  # the two that it throws, for files and for operators
            raise RunFailedError(f"TFLite does not load the file: {error}", _ELSEWHERE) from error

    def __call__(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """RunFailedError."""
        try:
            self._interpreter.run(inputs)
        except (ValueError, RuntimeError) as error:
            raise RunFailedError(f"TFLite loads the file, but does not run it: {error}", _ELSEWHERE) from error
        places = zip(self._interpreter.output_numbers, self._artifact.outputs, strict=True)
        return [from_artifact(self._interpreter.reals(number), tensor) for number, tensor in places]


_ELSEWHERE = "a file compiled for the Edge TPU runs on a board that has one: take the file that it was compiled from"
