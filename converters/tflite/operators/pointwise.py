"""Activations: each element by itself, but for Softmax."""

from collections.abc import Callable

import numpy as np

from converters.tflite.lowering import Lowering
from converters.tflite.program import MINUS_ONE_TO_ONE, ZERO_TO_ONE, Array, Grid


def _clip(lowering: Lowering) -> None:
    """A Relu or Clip that no operator before it could take in: the output's range ends where it clips.

    RELU and QUANTIZE both bring int8 from one scale to another, and stop at the end of the range.
    """
    node = lowering.node
    bounds = lowering.bounds(node)
    if bounds is None:
        raise node.refuse("its bounds are computed", "make them constants, and export the model again")
    low, high = bounds
    if low > 0 or (high is not None and high < 0):
        raise node.refuse(f"it clips to {low} ... {high}, without 0", "shift what it is given, so that 0 is inside")
    value = lowering.moving()
    output = lowering.give(value.order, scramble=value.scramble, shape=value.tensor.shape)
    output.floor, output.ceiling, output.clipped = low, np.inf if high is None else high, True
    lowering.emit("RELU" if low == 0 else "QUANTIZE", [value.tensor], output)


def _fixed(builtin: str, grid: Grid) -> Callable[[Lowering], None]:
    def lower(lowering: Lowering) -> None:
        value = lowering.moving()
        output = lowering.give(value.order, grid=grid, scramble=value.scramble, shape=value.tensor.shape)
        lowering.emit(builtin, [value.tensor], output)

    return lower


def _softmax(lowering: Lowering) -> None:
    """https://onnx.ai/onnx/operators/onnx__Softmax.html, over the axis that is stored last."""
    node, value = lowering.node, lowering.moving()
    rank = len(value.shape)
    axis = node.get("axis", -1) % rank
    order = value.order
    if value.shape[axis] > 1 and order[-1] != axis:
        order = (*(other for other in range(rank) if other != axis), axis)
    tensor = lowering.ordered(value, order) if order != value.order or value.scramble is not None else value.tensor
    if tensor.shape[-1] != value.shape[axis]:
        raise node.refuse("its axis has one element", "leave the Softmax out: it gives 1 everywhere")
    lowering.emit("SOFTMAX", [tensor], lowering.give(order, grid=ZERO_TO_ONE), beta=1.0)


def _leaky(lowering: Lowering) -> None:
    """LEAKY_RELU is none of the Edge TPU's operators (https://github.com/google-coral/edgetpu/issues/597): PRELU is."""
    value = lowering.moving()
    _prelu_of(lowering, np.full(value.tensor.shape[-1:], lowering.node.get("alpha", 0.01), np.float32))


def _prelu(lowering: Lowering) -> None:
    """https://onnx.ai/onnx/operators/onnx__PRelu.html. The Edge TPU takes one slope for each channel, stored last."""
    node, value = lowering.node, lowering.moving()
    slope = lowering.constant(1, "slope")
    if slope.size == 1:
        _prelu_of(lowering, np.full(value.tensor.shape[-1:], slope.ravel()[0], np.float32))
        return
    rank = len(value.shape)
    sizes = (1,) * (rank - slope.ndim) + slope.shape
    if value.scramble is not None:
        raise node.refuse("its input is flattened", "leave out the Flatten before it")
    stored = slope.reshape(sizes).transpose(value.order)
    if stored.size == stored.shape[-1]:
        stored = stored.ravel()
    _prelu_of(lowering, stored)


def _prelu_of(lowering: Lowering, slopes: Array) -> None:
    """The slopes are [1, ..., channels] without the batch: so Keras writes what the Edge TPU's compiler takes."""
    value = lowering.moving()
    alpha = slopes.reshape((1,) * max(len(value.tensor.shape) - 1 - slopes.ndim, 0) + slopes.shape)
    output = lowering.give(value.order, scramble=value.scramble, shape=value.tensor.shape)
    lowering.emit("PRELU", [value.tensor, lowering.operand("slope", alpha)], output)


OPERATORS = {
    "Clip": _clip,
    "LeakyRelu": _leaky,
    "PRelu": _prelu,
    "Relu": _clip,
    "Sigmoid": _fixed("LOGISTIC", ZERO_TO_ONE),
    "Softmax": _softmax,
    "Tanh": _fixed("TANH", MINUS_ONE_TO_ONE),
}
