"""Small models of our own to try a board with: what inspection networks are made of, with seeded weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

_OPSET, _IR_VERSION = 13, 8
_CHANNELS, _SIZE = 8, 32
_IMAGES = 8


def write_specimens(folder: Path) -> tuple[Path, ...]:
    """An encoder with a decoder of ConvTranspose, one of Resize with a skip, and a classifier; each some kilobytes."""
    import onnx

    paths = []
    for name, model in (("transposed", _transposed()), ("resized", _resized()), ("classifier", _classifier())):
        path = folder / f"{name}.onnx"
        onnx.save(model, path)
        paths.append(path)
    return tuple(paths)


def write_images(folder: Path) -> None:
    """Images of their inputs' size, for the ranges of int8: seeded noise, smoothed so that it has lights and darks."""
    import numpy as np
    from PIL import Image

    folder.mkdir()
    for number in range(_IMAGES):
        rough = np.random.default_rng(number).integers(0, 256, (_SIZE // 4, _SIZE // 4, 3), np.uint8)
        Image.fromarray(rough).resize((_SIZE, _SIZE), Image.Resampling.BICUBIC).save(folder / f"{number}.png")


def _transposed() -> "ModelProto":
    from onnx import helper

    nodes = [
        _conv("image", "encoded", "down", strides=[2, 2]),
        helper.make_node("ConvTranspose", ["encoded", "up"], ["reconstruction"], strides=[2, 2], kernel_shape=[2, 2]),
    ]
    return _model(nodes, {"down": (_CHANNELS, 3, 3, 3), "up": (_CHANNELS, 3, 2, 2)}, [1, 3, _SIZE, _SIZE])


def _resized() -> "ModelProto":
    from onnx import helper, numpy_helper

    nodes = [
        _conv("image", "first", "wide", strides=[1, 1]),
        helper.make_node("Relu", ["first"], ["skip"]),
        helper.make_node("MaxPool", ["skip"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node(
            "Resize",
            ["pooled", "", "scales"],
            ["enlarged"],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
        helper.make_node("Concat", ["enlarged", "skip"], ["both"], axis=1),
        _conv("both", "reconstruction", "narrow", strides=[1, 1]),
    ]
    import numpy as np

    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    shapes = {"wide": (_CHANNELS, 3, 3, 3), "narrow": (3, 2 * _CHANNELS, 3, 3)}
    return _model(nodes, shapes, [1, 3, _SIZE, _SIZE], scales)


def _classifier() -> "ModelProto":
    from onnx import helper

    nodes = [
        _conv("image", "features", "kernels", strides=[2, 2]),
        helper.make_node("Relu", ["features"], ["active"]),
        helper.make_node("GlobalAveragePool", ["active"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "matrix"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["reconstruction"], axis=1),
    ]
    return _model(nodes, {"kernels": (_CHANNELS, 3, 3, 3), "matrix": (_CHANNELS, 2)}, [1, 2])


def _conv(given: str, made: str, weight: str, strides: list[int]) -> "NodeProto":
    from onnx import helper

    return helper.make_node("Conv", [given, weight], [made], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=strides)


def _model(
    nodes: "list[NodeProto]", shapes: Mapping[str, tuple[int, ...]], output: list[int], *constants: "TensorProto"
) -> "ModelProto":
    """With weights of a size that keeps activations near 1."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array((random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    graph = helper.make_graph(
        nodes,
        "specimen",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, _SIZE, _SIZE])],
        [helper.make_tensor_value_info("reconstruction", TensorProto.FLOAT, output)],
        [*weights, *constants],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION, producer_name="boardfit"
    )
