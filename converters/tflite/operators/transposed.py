"""ConvTranspose: a TRANSPOSE_CONV, and a SLICE where TFLite's paddings do not leave what ONNX does."""

from math import ceil
from typing import Any

import numpy as np

from converters.tflite.lowering import Lowering
from converters.tflite.operators.windows import Pair
from converters.tflite.program import Activation, Array, Bias, Correctable, Weights


def _conv_transpose(lowering: Lowering) -> None:
    """https://onnx.ai/onnx/operators/onnx__ConvTranspose.html.

    TFLite's SAME crops ``(size - 1) * stride + kernel - result`` places, the smaller half in front (it has
    ComputePaddingHeightWidth of the result, tensorflow/lite/kernels/padding.h): zeros at one end of the kernel move
    ONNX's crop there. Where the result is of no SAME convolution, VALID gives all of it and a SLICE crops.

    The activation is never fused: the range of the output does the same, and version 4 of the operator would have it.
    """
    node = lowering.node
    kernel = lowering.constant(1, "kernel")
    if kernel.ndim not in (3, 4):
        raise node.refuse(f"its kernel has {kernel.ndim - 2} axes of places", "the Edge TPU convolves images")
    image, groups = lowering.image(), node.get("group", 1)
    if groups > 1:
        lowering.program.notices.append(
            f"{node.label}: TFLite has no groups for ConvTranspose, so its weights are written {groups} times over, "
            "with zeros between the groups"
        )
    if node.get("auto_pad", "NOTSET").startswith("SAME") and any(node.get("output_padding", ())):
        raise node.refuse(
            "with auto_pad and output_padding, of which ONNX Runtime and ONNX's own inference make other sizes",
            "export it with pads",
        )
    places = kernel.shape[2:]
    strides, dilations = (_pair(node.get(name, (1,) * len(places))) for name in ("strides", "dilations"))
    clip = lowering.clip()
    results = _pair(lowering.output_shape(clip)[2:])
    given = node.get("pads", (0,) * 2 * len(places))
    fronts = (0,) * (2 - len(places)) + tuple(given[: len(places)])
    crops = _crops(node.attributes, fronts, _pair(places), strides, dilations, image.shape[1:3], results)
    zeros = tuple((max(after - before, 0), max(before - after, 0)) for before, after in crops)
    extent = tuple((size - 1) * step + 1 for size, step in zip(_pair(places), dilations, strict=True))
    same = all(
        ceil(result / step) == size for result, step, size in zip(results, strides, image.shape[1:3], strict=True)
    )
    outputs = kernel.shape[1] * groups
    if not same:  # all of it: zeros behind the kernel, where the result is longer still
        zeros = tuple((0, max(-after, 0)) for _, after in crops)

    def arrange(values: Array) -> Array:
        """[outputs, height, width, inputs], spread out by the dilation, with zeros around it and between groups."""
        spread = np.zeros((*values.shape[:2], *extent), values.dtype)
        spread[:, :, :: dilations[0], :: dilations[1]] = values.reshape(*values.shape[:2], *_pair(places))
        spread = np.pad(spread, ((0, 0), (0, 0), *zeros))
        depth, width = values.shape[0] // groups, values.shape[1]
        whole = np.zeros((outputs, *spread.shape[2:], values.shape[0]), values.dtype)
        for group in range(groups):
            rows, columns = slice(group * width, (group + 1) * width), slice(group * depth, (group + 1) * depth)
            whole[rows, :, :, columns] = spread[columns].transpose(1, 2, 3, 0)
        return whole

    bias = lowering.optional(2, "bias")
    weights = Weights(lowering.named("kernel"), kernel, arrange, axis=0)
    output = lowering.give_image((1, *results, outputs), clip, fusing=False)
    target = output
    if not same:
        spread = [size + sum(pair) for size, pair in zip(extent, zeros, strict=True)]
        whole = [(size - 1) * step + long for size, step, long in zip(image.shape[1:3], strides, spread, strict=True)]
        target = lowering.between(f"{output.name}/whole", (image.shape[0], *whole, outputs), like=output)
        if target.shape == output.shape:
            target = output
    lowering.emit(
        "TRANSPOSE_CONV",
        [
            lowering.integers("shape", target.shape),
            weights,
            image,
            Bias(lowering.named("bias"), _or_zeros(bias, outputs), image, weights),
        ],
        target,
        Correctable("ConvTranspose", node.inputs[0], node.attributes, 1),
        padding=0 if same else 1,
        stride_h=strides[0],
        stride_w=strides[1],
    )
    if target is not output:
        _crop(lowering, target, output, (crops[0][0], crops[1][0]))
    lowering.end_image(output, clip)


def _crop(lowering: Lowering, whole: Activation, output: Activation, start: Pair) -> None:
    begin = lowering.integers("begin", (0, *start, 0))
    lowering.emit("SLICE", [whole, begin, lowering.integers("size", output.shape)], output)


def _crops(
    attributes: dict[str, Any], fronts: Any, size: Any, strides: Pair, dilations: Pair, image: Any, results: Pair
) -> tuple[Pair, Pair]:
    """What is cut off before and after each axis of all that the kernel reaches; negative where more is asked for."""
    found = []
    added = (0, *attributes.get("output_padding", (0, 0)))[-2:]
    for axis in (0, 1):
        whole = (image[axis] - 1) * strides[axis] + (size[axis] - 1) * dilations[axis] + 1
        total = whole - results[axis]
        padding = total + added[axis]
        before = fronts[axis]
        mode = attributes.get("auto_pad", b"NOTSET")
        if mode in (b"SAME_UPPER", b"SAME_LOWER") or "output_shape" in attributes:
            cut = max(padding, 0)
            before = cut - cut // 2 if mode == b"SAME_LOWER" else cut // 2
            if mode not in (b"SAME_UPPER", b"SAME_LOWER"):
                before = cut - cut // 2
        elif mode == b"VALID":
            before = 0
        found.append((int(before), int(total - before)))
    return found[0], found[1]


def _or_zeros(bias: Array | None, channels: int) -> Array:
    return np.zeros(channels, np.float32) if bias is None else np.asarray(bias, np.float32)


def _pair(values: Any) -> Pair:
    """Of height and width; of a line, the height is 1."""
    height, width = (1, *values)[-2:]
    return int(height), int(width)


OPERATORS = {"ConvTranspose": _conv_transpose}
