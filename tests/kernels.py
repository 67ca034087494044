"""One-layer ONNX models for tests of compression, and what they compute."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import zoo
from low_pass import low_pass_weights, to_onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from compression.autoencoder import AutoencoderSpec, set_inspection
from inspection.preprocess import Preprocessing
from inspection.score import Score

Array = NDArray[Any]


def run(model: ModelProto, **feeds: Array) -> list[Array]:
    """The outputs in ONNX Runtime, after onnx's own checks of the whole model."""
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    outputs: list[Array] = session.run(None, feeds)
    return outputs


def images(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def mixed(*shape: int, seed: int = 0, sources: int = 3) -> Array:
    """Images whose channels are mixtures of few, as those within a network are."""
    mix = np.random.default_rng(99).standard_normal((shape[1], sources))
    return np.einsum("ci,ni...->nc...", mix, images(shape[0], sources, *shape[2:], seed=seed)).astype(np.float32)


def layer(
    operator: str,
    kernel: Array,
    dims: Sequence[int | str],
    bias: Array | None = None,
    opset: int = zoo.OPSET,
    **attributes: Any,
) -> ModelProto:
    """x -> `operator` with `kernel`, and `bias` -> y."""
    names = ["x", "kernel"] + ([] if bias is None else ["bias"])
    node = helper.make_node(operator, names, ["y"], name="layer", **attributes)
    return chain([node], dims, opset=opset, kernel=kernel, **({} if bias is None else {"bias": bias}))


def chain(
    nodes: Sequence[NodeProto], dims: Sequence[int | str], opset: int = zoo.OPSET, **constants: Array
) -> ModelProto:
    """x of `dims` through `nodes` to y, whose shape is inferred."""
    tensors = [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()]
    output = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    made = zoo.model(nodes, [zoo.tensor("x", dims)], [output], tensors, opset=opset)
    made.graph.output[0].CopyFrom(onnx.shape_inference.infer_shapes(made).graph.output[0])
    return made


def falling(*shape: int, seed: int = 0) -> Array:
    """A kernel whose singular values fall on both sides, as those of a trained one do."""
    kernel = np.random.default_rng(seed).standard_normal(shape)
    for axis in (0, 1):
        turn = np.linalg.qr(np.random.default_rng((seed, axis)).standard_normal((shape[axis],) * 2))[0]
        scaled = turn * (np.arange(shape[axis]) + 1.0) ** -0.7
        kernel = np.moveaxis(np.tensordot(scaled, kernel, (1, axis)), 0, axis)
    return np.asarray(kernel / np.abs(kernel).max(), np.float32)


def relative_difference(a: Array, b: Array) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


def autoencoder() -> ModelProto:
    """The reference inspection model, of 0.35 M weights: image (1, 3, 32, 32)."""
    spec = AutoencoderSpec(32, (16, 32, 64, 128))
    made = to_onnx(spec, low_pass_weights(spec), np.full((3, 32, 32), 0.5, np.float32))
    set_inspection(made, Preprocessing(height=32, width=32), Score())
    return made


def classifier(seed: int = 0) -> ModelProto:
    """As torch exports one: normalisation, Clip, a depthwise layer, a shared kernel, pooling and a Gemm head."""
    rng = np.random.default_rng(seed)
    constants: dict[str, np.ndarray] = {
        "features.0.weight": falling(32, 3, 3, 3),
        "depth.weight": falling(32, 1, 3, 3),
        "point.weight": falling(64, 32, 1, 1),
        "block.weight": falling(64, 64, 3, 3),
        "head.weight": falling(50, 64),
        "head.bias": images(50),
        "low": np.float32(0),
        "high": np.float32(6),
    }
    nodes, value = [], "x"

    def add(operator: str, *inputs: str, name: str, **attributes: Any) -> None:
        nonlocal value
        nodes.append(helper.make_node(operator, [value, *inputs], [f"/{name}_output_0"], name=f"/{name}", **attributes))
        value = nodes[-1].output[0]

    def norm(channels: int, name: str) -> None:
        rows = {
            "scale": rng.uniform(0.5, 2, channels),
            "B": rng.normal(size=channels),
            "mean": rng.normal(size=channels),
            "var": rng.uniform(0.5, 2, channels),
        }
        constants.update({f"{name}.{key}": row.astype(np.float32) for key, row in rows.items()})
        add("BatchNormalization", *(f"{name}.{key}" for key in rows), name=name)

    add("Conv", "features.0.weight", name="features/0/Conv", strides=[2, 2], pads=[1, 1, 1, 1])
    norm(32, "features/1/BatchNormalization")
    add("Clip", "low", "high", name="features/2/Clip")
    add("Conv", "depth.weight", name="depth/Conv", group=32, pads=[1, 1, 1, 1])
    norm(32, "depth/BatchNormalization")
    add("Conv", "point.weight", name="point/Conv")
    norm(64, "point/BatchNormalization")
    for turn in range(2):
        add("Conv", "block.weight", name=f"block/Conv_{turn}", pads=[1, 1, 1, 1])
        add("Relu", name=f"block/Relu_{turn}")
    add("GlobalAveragePool", name="pool")
    add("Flatten", name="flatten")
    add("Gemm", "head.weight", "head.bias", name="head/Gemm", transB=1)
    nodes[-1].output[0] = "y"
    return chain(nodes, ("N", 3, 32, 32), **constants)
