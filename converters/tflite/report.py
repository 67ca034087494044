"""How far each tensor of a file is from the float model's."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from converters.artifact import LayerError
from converters.errors import UnfitFileError
from converters.golden import Case
from converters.tflite.calibration import outputs_of
from converters.tflite.conversion import Written
from converters.tflite.interpreter import Interpreter
from converters.tflite.program import Activation


def layer_errors(model: ModelProto, written: Written, cases: Sequence[Case]) -> tuple[LayerError, ...]:
    """Of every node whose output is in the file, in the order in which they run; over all `cases` together.

    A layer's error has those of all before it. That all tensors can be read means that none share memory: what the file
    gives as it will be run is held against that once. Raises NotInstalledError, UnfitFileError where it is something
    else.
    """
    made = [
        (operator, tensor)
        for operator in written.program.operators
        for tensor in operator.outputs
        if tensor.source is not None
    ]
    interpreter = Interpreter(written.content, written.artifact.inputs, keep=True)
    _check_sharing(interpreter, written, cases[0])
    signal, noise = np.zeros(len(made)), np.zeros(len(made))
    names = list(dict.fromkeys(str(tensor.source) for _, tensor in made))
    for case, floats in zip(cases, outputs_of(model, names, cases), strict=True):
        interpreter.run(case)
        for index, (_, tensor) in enumerate(made):
            right = _as_stored(floats[str(tensor.source)], tensor)
            difference = right - interpreter.reals(written.places[str(tensor.source)]).ravel()
            signal[index] += _energy(right)
            noise[index] += _energy(difference)
    return tuple(
        LayerError(operator.node, operator.operator, _decibels(*powers))
        for (operator, _), powers in zip(made, zip(signal, noise, strict=True), strict=True)
    )


def _check_sharing(keeping: Interpreter, written: Written, case: Case) -> None:
    usual = Interpreter(written.content, written.artifact.inputs)
    for interpreter in (keeping, usual):
        interpreter.run(case)
    for number, tensor in zip(usual.output_numbers, written.artifact.outputs, strict=True):
        if not np.array_equal(usual.integers(number), keeping.integers(number)):
            raise UnfitFileError(
                f"TFLite computes another {tensor.name!r} where tensors share memory than where each has its own",
                "this is a defect of boardfit or of TFLite: please report it with the model",
            )


def _as_stored(values: NDArray[np.float32], tensor: Activation) -> NDArray[np.float32]:
    if tensor.scramble is not None:
        return values.ravel()[tensor.scramble]
    return values.transpose(tensor.order).ravel()


def _energy(values: NDArray[np.float32]) -> float:
    """The sum of squares, added up in float64 without a copy in it."""
    return float(np.einsum("i,i->", values, values, dtype=np.float64))


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf
