"""Gemm and MatMul with a constant: FULLY_CONNECTED of one row, a convolution of one place for more."""

import math

import numpy as np
from numpy.typing import NDArray

from converters.tflite.layout import NHWC, places, straight
from converters.tflite.lowering import Clip, Lowering, Value
from converters.tflite.network import Network, Node
from converters.tflite.operators.convolution import activation_code, walking
from converters.tflite.program import Activation, Array, Bias, Correctable, Weights


def _gemm(lowering: Lowering) -> None:
    """https://onnx.ai/onnx/operators/onnx__Gemm.html."""
    node = lowering.node
    kernel = lowering.constant(1, "second factor") * np.float32(node.get("alpha", 1.0))
    if node.get("transB", 0):
        kernel = kernel.T
    bias = lowering.optional(2, "bias")
    value = lowering.moving()
    if node.get("transA", 0):
        value = Value(value.tensor, value.shape[::-1], tuple(1 - axis for axis in value.order), value.scramble)
        if math.prod(value.shape) != max(value.shape):
            raise node.refuse(
                "its first factor is transposed", "transpose it before the model, or export without transA"
            )
    if bias is not None:
        bias = np.asarray(bias * np.float32(node.get("beta", 1.0)))
    _multiply(lowering, value, kernel, bias)


def _matmul(lowering: Lowering) -> None:
    """https://onnx.ai/onnx/operators/onnx__MatMul.html; the third input is a bias that was folded into it."""
    if lowering.is_constant(0):
        raise lowering.node.refuse(
            "its first factor is the constant", "swap the factors, transposed, before the export"
        )
    kernel = lowering.constant(1, "second factor")
    if kernel.ndim > 2 and math.prod(kernel.shape[:-2]) == 1:
        kernel = kernel.reshape(kernel.shape[-2:])
    if kernel.ndim != 2:
        raise lowering.node.refuse(f"its second factor has {kernel.ndim} axes", "multiply by a matrix")
    _multiply(lowering, lowering.moving(), kernel, lowering.optional(2, "bias"))


def _multiply(lowering: Lowering, value: Value, kernel: Array, bias: Array | None) -> None:
    """`kernel` is [inputs, outputs]. Weights have one scale for FULLY_CONNECTED, whose scales for each channel came
    after 2021; a convolution has always had them.
    """
    depth, width = kernel.shape
    if bias is not None and bias.size != 1 and (*(1,) * (bias.ndim - 1), width) != bias.shape:
        raise lowering.node.refuse("its bias differs from row to row", "add it in a node of its own")
    rows = math.prod(value.shape) // depth
    clip = lowering.clip()
    image = rows > 1
    if value.scramble is not None and not image:
        source, columns = value.tensor, value.scramble
    else:
        source, columns = lowering.ordered(value, straight(len(value.shape))), np.arange(depth)
    order = np.arange(width) if image else _asked(lowering.network, lowering.node, clip, width)

    def arrange(values: Array) -> Array:
        whole = values[columns][:, order].T
        return whole.reshape(width, 1, 1, depth) if image else whole

    weights = Weights(lowering.named("kernel"), kernel, arrange, axis=0 if image else None)
    bias = np.zeros(width, np.float32) if bias is None else np.broadcast_to(bias.ravel(), width)
    shift = Bias(lowering.named("bias"), np.asarray(bias[order], np.float32), source, weights)
    scramble = None if np.array_equal(order, np.arange(width)) else order
    output = lowering.give(straight(len(lowering.output_shape(clip))), clip=clip, scramble=scramble)
    as_onnx = scramble is None and not lowering.node.get("transA", 0)
    correctable = Correctable("MatMul", lowering.node.inputs[0], {}, -1) if as_onnx else None
    code = activation_code(clip)
    if image:
        _as_convolution(lowering, source, weights, shift, output, correctable, code)
        return
    flat = lowering.reshape(source, (1, depth))
    target = output if output.shape == (1, width) else lowering.between(f"{output.name}/row", (1, width), like=output)
    lowering.emit(
        "FULLY_CONNECTED",
        [flat, weights, shift],
        target,
        correctable,
        fused_activation_function=code,
        weights_format=0,
        keep_num_dims=False,
    )
    lowering.copy(target, output)


def _as_convolution(
    lowering: Lowering,
    source: Activation,
    weights: Weights,
    bias: Bias,
    output: Activation,
    correctable: Correctable | None,
    code: int,
) -> None:
    rows, width = math.prod(output.shape[:-1]), output.shape[-1]
    image = lowering.reshape(source, (1, 1, rows, source.shape[-1]))
    target = lowering.between(f"{output.name}/image", (1, 1, rows, width), like=output)
    target.clipped = output.clipped
    lowering.emit(
        "CONV_2D",
        [image, weights, bias],
        target,
        correctable,
        **walking(same=False),
        fused_activation_function=code,
    )
    lowering.copy(target, output)


def _asked(network: Network, node: Node, clip: Clip | None, width: int) -> NDArray[np.int64]:
    """The order of the outputs: that of an image, channels last, where all that reads them makes one of them."""
    name = (clip.node if clip else node).output
    while (reader := network.only_reader(name)) is not None:
        if reader.operator == "Reshape":
            shape = network.shape(reader.output)
            if len(shape) == 4 and math.prod(shape) == width:
                return places(shape, NHWC)
            break
        if reader.operator not in _ELEMENTWISE:
            break
        name = reader.output
    return np.arange(width)


_ELEMENTWISE = ("Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh")

OPERATORS = {"Gemm": _gemm, "MatMul": _matmul}
