"""How far each tensor of a file is from the float model's."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from converters.artifact import LayerError
from converters.golden import Case
from converters.tflite.calibration import outputs_of
from converters.tflite.conversion import Written
from converters.tflite.interpreter import Interpreter
from converters.tflite.program import Activation


def layer_errors(model: ModelProto, written: Written, cases: Sequence[Case]) -> tuple[LayerError, ...]:
    """Of every node whose output is in the file, in the order in which they run; over all `cases` together.

    A layer's error has those of all before it. Raises NotInstalledError.
    """
    made = [
        (operator, tensor)
        for operator in written.program.operators
        for tensor in operator.outputs
        if tensor.source is not None
    ]
    interpreter = Interpreter(written.content, written.artifact.inputs, keep=True)
    signal, noise = np.zeros(len(made)), np.zeros(len(made))
    names = list(dict.fromkeys(str(tensor.source) for _, tensor in made))
    for case, floats in zip(cases, outputs_of(model, names, cases), strict=True):
        interpreter.run(case)
        for index, (_, tensor) in enumerate(made):
            right = _as_stored(floats[str(tensor.source)], tensor).astype(np.float64)
            got = interpreter.reals(written.places[str(tensor.source)]).astype(np.float64).ravel()
            signal[index] += right @ right
            noise[index] += (right - got) @ (right - got)
    return tuple(
        LayerError(operator.node, operator.operator, _decibels(*powers))
        for (operator, _), powers in zip(made, zip(signal, noise, strict=True), strict=True)
    )


def _as_stored(values: NDArray[np.float32], tensor: Activation) -> NDArray[np.float32]:
    if tensor.scramble is not None:
        return values.ravel()[tensor.scramble]
    return values.transpose(tensor.order).ravel()


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf
