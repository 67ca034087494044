"""Conv: one CONV_2D or DEPTHWISE_CONV_2D, or one for each group of channels."""

from typing import Any

import numpy as np

from converters.tflite.lowering import Clip, Lowering
from converters.tflite.operators.windows import Pair, Window, padded
from converters.tflite.program import Activation, Array, Bias, Correctable, Weights


def _conv(lowering: Lowering) -> None:
    """https://onnx.ai/onnx/operators/onnx__Conv.html."""
    node = lowering.node
    kernel = lowering.constant(1, "kernel")
    if kernel.ndim not in (3, 4):
        raise node.refuse(f"its kernel has {kernel.ndim - 2} axes of places", "the Edge TPU convolves images")
    image, groups = lowering.image(), node.get("group", 1)
    bias = _bias(lowering, kernel.shape[0])
    window = Window.of(node, kernel.shape[2:], image.shape[1:3])
    clip = lowering.clip()
    results = (1, *lowering.output_shape(clip)[2:])[-2:]
    same = window.is_same(image.shape[1:3], results)
    source = image if same else padded(lowering, image, window.needed(image.shape[1:3], results))
    output = lowering.give_image((1, *results, kernel.shape[0]), clip)
    options = walking(same, window.strides, window.dilations)
    layer = _Layer(lowering, kernel, bias, options, clip)
    if groups > 1 and groups == image.shape[3]:
        layer.depthwise(source, output)
    elif groups > 1:
        layer.grouped(source, output, groups)
    else:
        layer.whole(source, output)
    lowering.end_image(output, clip)


def _bias(lowering: Lowering, channels: int) -> Array:
    bias = lowering.optional(2, "bias")
    return np.zeros(channels, np.float32) if bias is None else np.asarray(bias, np.float32)


class _Layer:
    """A kernel [outputs, inputs of a group, (height,) width] and its bias, to be applied with `options`."""

    def __init__(
        self, lowering: Lowering, kernel: Array, bias: Array, options: dict[str, Any], clip: Clip | None
    ) -> None:
        self.lowering, self.kernel, self.bias, self.options = lowering, kernel, bias, options
        self.activation = activation_code(clip)

    def whole(self, source: Activation, output: Activation) -> None:
        self._emit(source, output, self.kernel, self.bias, self._correctable())

    def depthwise(self, source: Activation, output: Activation) -> None:
        emit_depthwise(
            self.lowering, source, output, self.kernel, self.bias, self.options, self.activation, self._correctable()
        )

    def _correctable(self) -> Correctable:
        node = self.lowering.node
        return Correctable("Conv", node.inputs[0], node.attributes, 1)

    def grouped(self, source: Activation, output: Activation, groups: int) -> None:
        """The runtimes of 2021 know no groups, nor does the Edge TPU: the channels are split and put together again."""
        lowering, depth, width = self.lowering, source.shape[3] // groups, output.shape[3] // groups
        parts = [
            lowering.between(f"{lowering.node.output}/group{number}", (*source.shape[:3], depth), like=source)
            for number in range(groups)
        ]
        results = [
            lowering.between(f"{lowering.node.output}/result{number}", (*output.shape[:3], width), like=output)
            for number in range(groups)
        ]
        lowering.emit("SPLIT", [lowering.integers("axis", np.array(3)), source], parts, num_splits=groups)
        for number, (part, result) in enumerate(zip(parts, results, strict=True)):
            rows = slice(number * width, (number + 1) * width)
            self._emit(part, result, self.kernel[rows], self.bias[rows], None)
        lowering.emit("CONCATENATION", results, output, axis=3, fused_activation_function=0)

    def _emit(
        self, source: Activation, output: Activation, kernel: Array, bias: Array, correctable: Correctable | None
    ) -> None:
        weights = Weights(self.lowering.named("kernel"), kernel, _outputs_first, axis=0)
        values = Bias(self.lowering.named("bias"), bias, source, weights)
        self.lowering.emit(
            "CONV_2D",
            [source, weights, values],
            output,
            correctable,
            **self.options,
            fused_activation_function=self.activation,
        )


def emit_depthwise(
    lowering: Lowering,
    source: Activation,
    output: Activation,
    kernel: Array,
    bias: Array,
    options: dict[str, Any],
    activation: int = 0,
    correctable: Correctable | None = None,
    step: float | None = None,
) -> None:
    """Of a kernel [outputs, 1, (height,) width]: output c * multiplier + i is the i-th of input channel c, in ONNX and
    in TFLite. `step`: see Weights.
    """
    weights = Weights(lowering.named("kernel"), kernel, _outputs_last, axis=3, step=step)
    shift = Bias(lowering.named("bias"), np.asarray(bias, np.float32), source, weights)
    lowering.emit(
        "DEPTHWISE_CONV_2D",
        [source, weights, shift],
        output,
        correctable,
        **options,
        depth_multiplier=kernel.shape[0] // source.shape[3],
        fused_activation_function=activation,
    )


def walking(same: bool, strides: Pair = (1, 1), dilations: Pair = (1, 1)) -> dict[str, Any]:
    """The options that a convolution walks by; `same`: padded as TFLite does it, or not at all."""
    return {
        "padding": 0 if same else 1,
        "stride_h": strides[0],
        "stride_w": strides[1],
        "dilation_h_factor": dilations[0],
        "dilation_w_factor": dilations[1],
    }


def _outputs_first(kernel: Array) -> Array:
    """[outputs, height, width, inputs]"""
    return _with_height(kernel).transpose(0, 2, 3, 1)


def _outputs_last(kernel: Array) -> Array:
    """[1, height, width, outputs]"""
    return _with_height(kernel).transpose(1, 2, 3, 0)


def _with_height(kernel: Array) -> Array:
    return kernel if kernel.ndim == 4 else kernel[:, :, None]


def activation_code(clip: Clip | None) -> int:
    """ActivationFunctionType of TFLite's schema."""
    return {"NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}[clip.fused if clip else "NONE"]


OPERATORS = {"Conv": _conv}
