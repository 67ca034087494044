"""One-layer ONNX models for tests of compression, and what they compute."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import zoo
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

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
