"""What a compressed model is compared with: its ranks without its weights, and a narrow model without its ranks."""

import math
from dataclasses import replace

import numpy as np
from onnx import ModelProto, numpy_helper

from compression.autoencoder import AutoencoderSpec
from compression.graph import attribute, inlined
from compression.layers import Layer, find_layers


def with_random_weights(model: ModelProto, seed: int) -> ModelProto:
    """A copy with the same graph, all kernels of its layers drawn anew, their biases 0.

    The variance is 1 / fan-in in the factors and 2 / fan-in where a ReLU follows (He et al., "Delving deep into
    rectifiers", ICCV 2015).
    """
    draft = inlined(model)
    rng, tensors = np.random.default_rng(seed), {tensor.name: tensor for tensor in draft.graph.initializer}
    rectified = {node.input[0] for node in draft.graph.node if node.op_type == "Relu"}
    for layer in find_layers(draft):
        node = layer.uses[0].node
        gain = 2 if node.output[0] in rectified else 1
        kernel = rng.normal(0, math.sqrt(gain / _fan_in(layer)), layer.shape).astype(layer.dtype)
        tensors[layer.constant.name].CopyFrom(numpy_helper.from_array(kernel, layer.constant.name))
        for name in node.input[2:]:
            zeros = np.zeros(tuple(tensors[name].dims), layer.dtype)
            tensors[name].CopyFrom(numpy_helper.from_array(zeros, name))
    return draft


def narrowed(spec: AutoencoderSpec, weights: int) -> AutoencoderSpec:
    """`spec` with all its channels scaled so that it has about as many `weights`, at least one channel each."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _scaled(spec, middle).weight_count <= weights else (low, middle)
    return min((_scaled(spec, factor) for factor in (low, high)), key=lambda each: abs(each.weight_count - weights))


def _scaled(spec: AutoencoderSpec, factor: float) -> AutoencoderSpec:
    return replace(spec, channels=tuple(max(1, round(width * factor)) for width in spec.channels))


def _fan_in(layer: Layer) -> float:
    """How many inputs meet in one output."""
    node, window = layer.uses[0].node, math.prod(layer.shape[2:])
    if layer.operator == "ConvTranspose":
        return float(layer.shape[0] * window / math.prod(attribute(node, "strides", [1])))
    return layer.shape[1] * window if layer.operator == "Conv" else layer.shape[0]
