"""Operators that move elements, or only say otherwise where they are."""

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from converters.tflite.layout import channels_last, places, reshaped, straight
from converters.tflite.lowering import Lowering, Value
from converters.tflite.program import Activation, Constant

_USUAL_RANKS = (3, 4)
_MOST_FILL = 1e30
"""Beyond it nothing is meant but "never the largest": what some exporters pad with in front of a MaxPool."""
_REAL = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE})


def _reshape(lowering: Lowering) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze: the output's shape, known before, is all that they say.

    Where the elements lie as no order of the new axes says it, a flat output keeps them in the order in which they are
    stored, and the product that reads it has its weights in that order.
    """
    value, shape = lowering.moving(), lowering.output_shape()
    if value.scramble is not None:
        _unscramble(lowering, value, value.scramble)
        return
    order = reshaped(value.shape, shape, value.order)
    if order is not None:
        output = lowering.give(order, like=value.tensor)
        lowering.copy(value.tensor, output)
    elif sum(size > 1 for size in shape) == 1:
        scramble = places(value.shape, value.order)
        lowering.copy(value.tensor, lowering.give(straight(len(shape)), like=value.tensor, scramble=scramble))
    else:
        raise lowering.node.refuse(
            f"it makes {list(shape)} of {list(value.shape)}, whose channels are stored last",
            "reshape so that channels and places stay apart, or flatten all of it in front of a Gemm",
        )


def _unscramble(lowering: Lowering, value: Value, scramble: NDArray[np.int64]) -> None:
    """From flat, in an order of its own, to an image that lies so; or to another flat one."""
    shape = lowering.output_shape()
    for order in (channels_last(len(shape)), straight(len(shape))):
        if len(shape) in _USUAL_RANKS and np.array_equal(places(shape, order), scramble):
            lowering.copy(value.tensor, lowering.give(order, like=value.tensor))
            return
    if sum(size > 1 for size in shape) > 1:
        raise lowering.node.refuse("its input is flattened with the channels last", "leave out one of the two reshapes")
    output = lowering.give(straight(len(shape)), like=value.tensor, scramble=scramble)
    lowering.copy(value.tensor, output)


def _transpose(lowering: Lowering) -> None:
    """Nothing moves: the axes have other numbers now, and what reads them says whether that will do."""
    value = lowering.moving()
    rank = len(value.shape)
    turned = [int(axis) for axis in lowering.node.get("perm", list(range(rank))[::-1])]
    shape = tuple(value.shape[axis] for axis in turned)
    if value.scramble is not None:
        if sum(size > 1 for size in shape) > 1:
            raise lowering.node.refuse("its input is flattened", "transpose before, or leave it out")
        order = straight(rank)
    else:
        order = tuple(turned.index(axis) for axis in value.order)
    lowering.rename(lowering.node.output, Value(value.tensor, shape, order, value.scramble))


def _identity(lowering: Lowering) -> None:
    """What fold.py left, for both names are known outside."""
    lowering.rename(lowering.node.output, lowering.moving())


def _cast(lowering: Lowering) -> None:
    """From one kind of real numbers to another is nothing; what cuts off or counts is."""
    to = int(lowering.node.get("to", 0))
    if to not in _REAL:
        raise lowering.node.refuse(
            f"it makes {TensorProto.DataType.Name(to).lower()} of real numbers",
            "end the model before it, and do it where the output is read",
        )
    _identity(lowering)


def _concat(lowering: Lowering) -> None:
    """https://onnx.ai/onnx/operators/onnx__Concat.html.

    All inputs and the output have to be on one grid: a QUANTIZE brings each there. It is left out again (joining.py)
    where the input may be on that grid itself: not where it has one of its own (behind a Sigmoid), or must not get a
    wider one.
    """
    node = lowering.node
    axis = node.get("axis", 0) % len(lowering.output_shape())
    values = [None if lowering.is_constant(index) else lowering.moving(index) for index in range(len(node.inputs))]
    first = next((value for value in values if value is not None), None)
    if first is None or first.scramble is not None:
        raise node.refuse("its inputs are constants or flattened", "compute it before the export, or flatten behind it")
    order = first.order
    output = lowering.give(order)
    tensors = [None if value is None else lowering.ordered(value, order) for value in values]
    output.floor = min(-np.inf if tensor is None else tensor.floor for tensor in tensors)
    inputs: list[Activation | Constant] = []
    for index, tensor in enumerate(tensors):
        if tensor is None:
            whole = lowering.constant(index, "part").transpose(order)
            inputs.append(lowering.operand(f"part{index}", whole, like=output))
        else:
            inputs.append(_on_grid_of(lowering, tensor, output))
    # Of parts that may be joined, some have no other Relu than the end of the grid that all are then on.
    output.clipped = output.floor == 0 and any(tensor is not None and tensor.clipped for tensor in tensors)
    lowering.emit("CONCATENATION", inputs, output, axis=order.index(axis), fused_activation_function=0)


def _on_grid_of(lowering: Lowering, tensor: Activation, output: Activation) -> Activation:
    fixed = tensor.root.grid is not None
    wider = tensor.clipped and not (tensor.floor == output.floor == 0 and tensor.ceiling == np.inf)
    moved = lowering.between(f"{tensor.name}/for/{output.name}", tensor.shape, like=output)
    lowering.emit("QUANTIZE", [tensor], moved, optional=not (fixed or wider))
    return moved


def _pad(lowering: Lowering) -> None:
    """https://onnx.ai/onnx/operators/onnx__Pad.html: of a constant; the axes are an input from opset 18 on.

    One that adds nothing is nothing, whatever its mode.
    """
    node, value = lowering.node, lowering.moving()
    rank = len(value.shape)
    given = lowering.constant(1, "padding").ravel()
    if not given.any():
        _identity(lowering)
        return
    if node.get("mode", "constant") != "constant":
        raise node.refuse(f"its mode is {node.get('mode', '')!r}", "pad with zeros, and train the model with it")
    axes = lowering.optional(3, "axes")
    named = range(rank) if axes is None else [int(axis) % rank for axis in axes]
    half = len(given) // 2
    pads = {axis: (int(given[place]), int(given[place + half])) for place, axis in enumerate(named)}
    if min(min(pair) for pair in pads.values()) < 0:
        raise node.refuse("it crops", "let the layer before it give the part alone")
    if value.scramble is not None:
        raise node.refuse("its input is flattened", "pad before it is")
    constant = lowering.optional(2, "value")
    fill = 0.0 if constant is None or not constant.size else float(constant.ravel()[0])
    if abs(fill) > _MOST_FILL:
        raise node.refuse(f"it pads with {fill:g}, beside which all else would be 0", "let the MaxPool behind it pad")
    places_by_axis = lowering.integers("pads", np.array([pads.get(axis, (0, 0)) for axis in value.order]))
    output = lowering.give(value.order, like=value.tensor)
    if fill == 0:
        lowering.emit("PAD", [value.tensor, places_by_axis], output)
    else:
        output.floor = min(output.floor, fill)
        if value.tensor.clipped or value.tensor.root.grid is not None:
            raise node.refuse(f"it pads with {fill} what an activation limits", "pad with zeros")
        by = lowering.operand("value", np.array([fill]), like=output)
        lowering.emit("PADV2", [value.tensor, places_by_axis, by], output)


OPERATORS = {
    "Concat": _concat,
    "Flatten": _reshape,
    "Identity": _identity,
    "Dropout": _identity,
    "Cast": _cast,
    "Pad": _pad,
    "Reshape": _reshape,
    "Squeeze": _reshape,
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
}
