"""Resize, where one of TFLite's two forms that the Edge TPU has gives the same, or a few operators together do.

Both forms are without half_pixel_centers and align_corners: element i is read at ``i * size / new size``. What ONNX
reads is asked of ONNX Runtime, with an image whose elements are their own places: of eight ways to name a place and
four to round it only a few come to the same.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from converters.reference import OnnxReference
from converters.tflite.layout import NHWC
from converters.tflite.lowering import Lowering
from converters.tflite.network import Node
from converters.tflite.operators.convolution import emit_depthwise, walking
from converters.tflite.program import Activation

Places = tuple[NDArray[np.float32], NDArray[np.float32]]

_OPSET = 19
_CLOSE = 1e-4
"""Of a place, in elements: far below what a step of int8 shows."""


def _resize(lowering: Lowering) -> None:
    """https://onnx.ai/onnx/operators/onnx__Resize.html."""
    node, shape = lowering.node, lowering.output_shape()
    mode = node.get("mode", "nearest")
    image = lowering.image()
    if len(shape) != 4 or shape[:2] != (1, image.shape[3]):
        raise node.refuse("it resizes more than height and width", "resize images alone")
    if mode not in ("nearest", "linear") or node.get("antialias", 0):
        how = "antialias" if node.get("antialias", 0) else mode
        raise node.refuse(f"its mode is {how!r}", "resize with mode nearest, or linear without antialias")
    before, after = image.shape[1:3], shape[2:]
    read = _places(lowering, image.shape)
    if all(_is_plain(place, size, mode) for place, size in zip(read, before, strict=True)):
        output = lowering.give(NHWC, like=image)
        builtin = "RESIZE_NEAREST_NEIGHBOR" if mode == "nearest" else "RESIZE_BILINEAR"
        _emit(lowering, builtin, image, output)
    elif mode == "linear" and all(_is_centred(place, size) for place, size in zip(read, before, strict=True)):
        _smooth(lowering, image, (after[0] // before[0], after[1] // before[1]))
    elif mode == "linear" and all(_is_halved(place, size) for place, size in zip(read, before, strict=True)):
        _halve(lowering, image)
    else:
        raise node.refuse(
            f"it resizes {list(before)} to {list(after)} with mode {mode!r} and coordinates "
            f"{node.get('coordinate_transformation_mode', 'half_pixel')!r}, which no resize of the Edge TPU gives",
            "resize to a multiple or to half, with mode nearest (floor, asymmetric) or linear (align_corners=False)",
        )


def _places(lowering: Lowering, shape: tuple[int, ...]) -> Places:
    """Where each row and each column of the result is read, in elements of the image."""
    node, (_, height, width, channels) = lowering.node, shape
    constants = {index: lowering.optional(index, "size") for index in (2, 3)}
    names = ["x", "", *(f"c{index}" if constants[index] is not None else "" for index in (2, 3))]
    given = [numpy_helper.from_array(value, f"c{index}") for index, value in constants.items() if value is not None]
    declared = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, height, width])
    graph = helper.make_graph(
        [helper.make_node("Resize", names, ["y"], **_attributes(node))],
        "resize",
        [declared],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        given,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)
    reference = OnnxReference(made.SerializeToString())
    rows = np.broadcast_to(np.arange(height, dtype=np.float32)[:, None], (1, channels, height, width))
    columns = np.broadcast_to(np.arange(width, dtype=np.float32), (1, channels, height, width))
    down, across = (reference([np.ascontiguousarray(ramp)])[0] for ramp in (rows, columns))
    return down[0, 0, :, 0], across[0, 0, 0, :]


def _attributes(node: Node) -> dict[str, Any]:
    return {name: value for name, value in node.attributes.items() if name != "extrapolation_value"}


def _is_plain(places: NDArray[np.float32], size: int, mode: str) -> bool:
    """Whether TFLite reads at the same places: in float32, as its kernels compute them."""
    step = np.float32(size) / np.float32(len(places))
    plain = np.minimum(np.arange(len(places), dtype=np.float32) * step, np.float32(size - 1))
    return bool(np.allclose(places, np.floor(plain) if mode == "nearest" else plain, atol=_CLOSE))


def _is_centred(places: NDArray[np.float32], size: int) -> bool:
    """Whether it is a multiple, read between the centres: PyTorch's align_corners=False."""
    factor, rest = divmod(len(places), size)
    centred = np.clip((np.arange(len(places)) + 0.5) / max(factor, 1) - 0.5, 0, size - 1)
    return rest == 0 and bool(np.allclose(places, centred, atol=_CLOSE))


def _is_halved(places: NDArray[np.float32], size: int) -> bool:
    """Whether each is read in the middle of two."""
    return len(places) * 2 == size and bool(np.allclose(places, np.arange(len(places)) * 2 + 0.5, atol=_CLOSE))


def _halve(lowering: Lowering, image: Activation) -> None:
    lowering.emit(
        "AVERAGE_POOL_2D",
        [image],
        lowering.give(NHWC, like=image),
        padding=1,
        stride_h=2,
        stride_w=2,
        filter_height=2,
        filter_width=2,
        fused_activation_function=0,
    )


def _smooth(lowering: Lowering, image: Activation, factors: tuple[int, int]) -> None:
    """Repeated elements, blurred: the blur of a multiple f weighs as far as linear interpolation between the centres
    does. Beyond the border it finds zeros, so what lies there is multiplied by what it lacks.
    """
    taps = [_taps(factor) for factor in factors]
    batch, height, width, channels = image.shape
    shape = (batch, height * factors[0], width * factors[1], channels)
    output = lowering.give(NHWC)
    repeated = lowering.between(f"{output.name}/repeated", shape, like=image)
    blurred = lowering.between(f"{output.name}/blurred", shape, like=image)
    _emit(lowering, "RESIZE_NEAREST_NEIGHBOR", image, repeated)
    kernel = np.outer(*taps).astype(np.float32)
    whole = np.broadcast_to(kernel, (channels, 1, *kernel.shape))
    # All weights are 1, 2 or 4 times the least: 31, 62 and 124 steps are exact.
    step = float(kernel.min()) / 31
    emit_depthwise(lowering, repeated, blurred, whole, np.zeros(channels), walking(same=True), step=step)
    present = np.outer(*(_present(tap, size) for tap, size in zip(taps, shape[1:3], strict=True)))
    share = lowering.operand("border", (1 / present)[None, :, :, None])
    lowering.emit("MUL", [blurred, share], output, fused_activation_function=0)


def _present(taps: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """How much of the blur's weight lies on the image, for each place of an axis."""
    half = len(taps) // 2
    return np.asarray(np.convolve(np.ones(size), taps)[half : half + size])


def _taps(factor: int) -> NDArray[np.float64]:
    """A blur of repeated elements that interpolates between their centres; the weights of either side sum up to those
    that linear interpolation gives the neighbour.
    """
    far = np.maximum((factor / 2 - np.arange(1, factor // 2 + 2) + 0.5) / factor, 0)
    side = far[:-1] - far[1:]
    centre = 1 - 2 * side.sum()
    return np.concatenate([side[::-1], [centre], side])


def _emit(lowering: Lowering, builtin: str, image: Activation, output: Activation) -> None:
    size = lowering.integers("size", output.shape[1:3])
    lowering.emit(builtin, [image, size], output, align_corners=False, half_pixel_centers=False)


OPERATORS = {"Resize": _resize}
