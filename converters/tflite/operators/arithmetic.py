"""Add, Sub, Mul of two tensors, or of one and a constant; an Affine (fold.py) that no layer could take in."""

import numpy as np

from converters.tflite.layout import Order, channels_last, same_elements
from converters.tflite.lowering import MAX_RANK, Lowering, Value
from converters.tflite.operators.convolution import activation_code, emit_depthwise, walking
from converters.tflite.program import Activation, Array, Constant, Correctable


def _binary(lowering: Lowering) -> None:
    """https://onnx.ai/onnx/operators/onnx__Add.html, with numpy's broadcasting, which is TFLite's."""
    node = lowering.node
    shape = lowering.output_shape()
    if len(shape) > MAX_RANK:
        raise node.refuse(f"its output has {len(shape)} axes", f"reshape to {MAX_RANK} axes before it")
    order = _common_order(lowering)
    inputs: list[Activation | Constant] = []
    for index in (0, 1):
        if lowering.is_constant(index):
            inputs.append(lowering.operand(f"operand{index}", _stored(lowering.constant(index, "operand"), order)))
        else:
            inputs.append(_broadcastable(lowering, lowering.moving(index), order))
    clip = lowering.clip()
    output = lowering.give(order, clip=clip)
    builtin = {"Add": "ADD", "Sub": "SUB", "Mul": "MUL"}[node.operator]
    lowering.emit(builtin, inputs, output, fused_activation_function=activation_code(clip))


def _common_order(lowering: Lowering) -> Order:
    """Of the output's axes: that of the first input that has all of them, and is no constant."""
    rank = len(lowering.output_shape())
    values = [lowering.moving(index) for index in (0, 1) if not lowering.is_constant(index)]
    for value in values:
        if len(value.shape) == rank and value.scramble is None:
            return value.order
    raise lowering.node.refuse(
        "no input has the shape of its output, in an order of axes that is known",
        "reshape the smaller input before the export",
    )


def _stored(constant: Array, order: Order) -> Array:
    """With all axes, in that order."""
    whole = np.reshape(constant, (1,) * (len(order) - constant.ndim) + constant.shape)
    return whole.transpose(order)


def _broadcastable(lowering: Lowering, value: Value, order: Order) -> Activation:
    missing = len(order) - len(value.shape)
    shape = (1,) * missing + value.shape
    inner = tuple(axis + missing for axis in value.order)
    whole = Value(value.tensor, shape, (*range(missing), *inner), value.scramble)
    if value.scramble is None and same_elements(shape, whole.order, order):
        return lowering.reshape(value.tensor, tuple(shape[axis] for axis in order))
    return lowering.ordered(whole, order)


def _affine(lowering: Lowering) -> None:
    """A depthwise convolution of one place: it has a scale for each channel, and rounds once."""
    node, value = lowering.node, lowering.moving()
    rank = len(value.shape)
    scale, shift = (np.asarray(node.attributes[key]) for key in ("scale", "shift"))
    axis = node.attributes["axis"]
    if value.scramble is not None or value.order[-1] != (value.order[-1] if axis is None else axis):
        _by_operand(lowering, value, scale, shift, axis)
        return
    channels = value.tensor.shape[-1] if rank else 1
    clip = lowering.clip()
    output = lowering.give(value.order, clip=clip)
    source, target = value.tensor, output
    if rank != 4:
        rows = int(np.prod(value.tensor.shape)) // channels
        source = lowering.reshape(value.tensor, (1, 1, rows, channels))
        target = lowering.between(f"{output.name}/image", (1, 1, rows, channels), like=output)
        target.clipped = output.clipped
    kernel = np.broadcast_to(scale, channels).astype(np.float32).reshape(channels, 1, 1, 1)
    emit_depthwise(
        lowering,
        source,
        target,
        kernel,
        np.broadcast_to(shift, channels),
        walking(same=False),
        activation_code(clip),
        _correctable(lowering, value, channels),
    )
    lowering.copy(target, output)


def _correctable(lowering: Lowering, value: Value, channels: int) -> Correctable | None:
    """Of an image, as the Conv that it is."""
    if len(value.shape) != 4 or value.order != channels_last(4):
        return None
    return Correctable("Conv", lowering.node.inputs[0], {"group": channels}, 1)


def _by_operand(lowering: Lowering, value: Value, scale: Array, shift: Array, axis: int | None) -> None:
    """Where the channels are not stored last: a product or a sum with a constant, if it is one of them."""
    if np.any(scale != 1) and np.any(shift):
        raise lowering.node.refuse(
            "its channels are not stored last, and it both scales and shifts them",
            "export the model without the Transpose or Reshape before it",
        )
    clip = lowering.clip()
    output = lowering.give(value.order, clip=clip, scramble=value.scramble)
    builtin, constant = ("ADD", shift) if np.any(shift) else ("MUL", scale)
    sizes = [constant.size if place == axis else 1 for place in range(len(value.shape))]
    whole = np.reshape(constant, sizes)
    if value.scramble is not None:
        whole = np.broadcast_to(whole, value.shape).ravel()[value.scramble].reshape(value.tensor.shape)
    else:
        whole = whole.transpose(value.order)
    lowering.emit(
        builtin,
        [value.tensor, lowering.operand("operand", whole)],
        output,
        fused_activation_function=activation_code(clip),
    )


OPERATORS = {"Add": _binary, "Sub": _binary, "Mul": _binary, "Affine": _affine}
