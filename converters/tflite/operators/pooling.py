"""Pools: the largest or the mean of a window, or of all places."""

import numpy as np

from converters.tflite.layout import straight
from converters.tflite.lowering import Lowering, Value
from converters.tflite.operators.convolution import emit_depthwise, walking
from converters.tflite.operators.windows import Pair, Window, padded
from converters.tflite.program import Activation, Array


def _max_pool(lowering: Lowering) -> None:
    """https://onnx.ai/onnx/operators/onnx__MaxPool.html.

    Zeros may be padded to what is never below 0; else it has to be the lowest value, and PADV2, which writes it, is
    none of the Edge TPU's operators.
    """
    node = lowering.node
    if len(node.outputs) > 1 and node.outputs[1]:
        raise node.refuse("it gives indices", "export the model without return_indices")
    image, window, results = _window(lowering)
    same = window.is_same(image.shape[1:3], results)
    pads = window.needed(image.shape[1:3], results)
    source = image if same else padded(lowering, image, pads, lowest=image.floor < 0)
    output = lowering.give_image((1, *results, image.shape[3]), like=image)
    _emit(lowering, "MAX_POOL_2D", source, output, window, same)
    lowering.end_image(output)


def _average_pool(lowering: Lowering) -> None:
    """https://onnx.ai/onnx/operators/onnx__AveragePool.html.

    TFLite's SAME leaves padding out of the mean. For any other padding that is to be left out, zeros are padded, a
    convolution takes the mean (AVERAGE_POOL_2D would round it on the coarser grid of its input), and it is multiplied
    by how much more it should have been.
    """
    node = lowering.node
    image, window, results = _window(lowering)
    pads = window.needed(image.shape[1:3], results)
    counts = _counted(window, image.shape[1:3], results, include=bool(node.get("count_include_pad", 0)))
    inside = _counted(window, image.shape[1:3], results, include=False)
    same = window.is_same(image.shape[1:3], results) and np.array_equal(counts, inside)
    source = image if same else padded(lowering, image, pads)
    factor = window.size[0] * window.size[1] / counts
    if same or np.all(factor == 1):
        output = lowering.give_image((1, *results, image.shape[3]), like=image)
        _emit(lowering, "AVERAGE_POOL_2D", source, output, window, same)
    else:
        output = lowering.give_image((1, *results, image.shape[3]))
        mean = lowering.between(f"{output.name}/mean", output.shape, like=output)
        area = window.size[0] * window.size[1]
        kernel = np.full((image.shape[3], 1, *window.size), 1 / area, np.float32)
        emit_depthwise(lowering, source, mean, kernel, np.zeros(image.shape[3]), walking(False, window.strides))
        by = lowering.operand("share", factor.reshape(1, *results, 1))
        lowering.emit("MUL", [mean, by], output, fused_activation_function=0)
    lowering.end_image(output)


def _counted(window: Window, image: tuple[int, ...], results: Pair, include: bool) -> Array:
    """Of each result: over how many elements the mean is taken, [height, width]."""
    axes = []
    for axis in (0, 1):
        before, after = window.pads[axis]
        low, high = (0, before + image[axis] + after) if include else (before, before + image[axis])
        starts = np.arange(results[axis]) * window.strides[axis]
        axes.append(np.minimum(starts + window.size[axis], high) - np.maximum(starts, low))
    return np.asarray(np.outer(axes[0], axes[1]))


def _window(lowering: Lowering) -> tuple[Activation, Window, Pair]:
    node = lowering.node
    image = lowering.image()
    window = Window.of(node, node.get("kernel_shape", ()), image.shape[1:3])
    if window.dilations != (1, 1):
        raise node.refuse("its window is dilated", "pool without dilation")
    shape = (1, *lowering.output_shape()[2:])[-2:]
    for axis in (0, 1):
        if (shape[axis] - 1) * window.strides[axis] >= image.shape[1 + axis] + window.pads[axis][0]:
            raise node.refuse(
                "with ceil_mode its last window would start behind the image, which ONNX leaves out in some versions",
                "pool without ceil_mode, and pad before it if need be",
            )
    return image, window, (shape[0], shape[1])


def _emit(lowering: Lowering, builtin: str, source: Activation, output: Activation, window: Window, same: bool) -> None:
    lowering.emit(
        builtin,
        [source],
        output,
        padding=0 if same else 1,
        stride_h=window.strides[0],
        stride_w=window.strides[1],
        filter_height=window.size[0],
        filter_width=window.size[1],
        fused_activation_function=0,
    )


def _global_average(lowering: Lowering) -> None:
    """https://onnx.ai/onnx/operators/onnx__GlobalAveragePool.html."""
    value = lowering.moving()
    _mean(lowering, value, tuple(range(2, len(value.shape))), keep=True)


def _reduce_mean(lowering: Lowering) -> None:
    """https://onnx.ai/onnx/operators/onnx__ReduceMean.html: the axes are an attribute before opset 18."""
    node, value = lowering.node, lowering.moving()
    rank = len(value.shape)
    given = lowering.optional(1, "axes") if node.input(1) else node.get("axes", None)
    axes = tuple(sorted(int(axis) % rank for axis in given)) if given is not None and len(given) else ()
    if not axes:
        axes = () if node.get("noop_with_empty_axes", 0) else tuple(range(rank))
    if rank > 1 and value.shape[0] == 1:
        axes = tuple(axis for axis in axes if axis)  # of one element: the mean of it is itself
    _mean(lowering, value, axes, keep=bool(node.get("keepdims", 1)))


def _mean(lowering: Lowering, value: Value, axes: tuple[int, ...], keep: bool) -> None:
    if value.scramble is not None:
        raise lowering.node.refuse("its input is flattened", "take the mean before it is")
    left = tuple(1 if axis in axes else size for axis, size in enumerate(value.shape))
    onnx = lowering.output_shape()
    stored_axes = sorted(value.order.index(axis) for axis in axes)
    whole = tuple(left[axis] for axis in value.order)
    if keep:
        output = lowering.give(value.order)
    else:
        kept = [axis for axis in value.order if left[axis] > 1]
        if kept != sorted(kept):
            raise lowering.node.refuse(
                "what is left of its axes would have to be transposed", "keep its axes: keepdims=1"
            )
        output = lowering.give(straight(len(onnx)))
    target = output if output.shape == whole else lowering.between(f"{output.name}/whole", whole, like=output)
    if stored_axes:
        lowering.emit("MEAN", [value.tensor, lowering.integers("axes", stored_axes)], target, keep_dims=True)
    else:
        lowering.emit("QUANTIZE", [value.tensor], target)
    lowering.copy(target, output)


OPERATORS = {
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average,
    "MaxPool": _max_pool,
    "ReduceMean": _reduce_mean,
}
