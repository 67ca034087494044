"""The reference models that `host train` trains: convolutional autoencoders around the mean training image.

    (image - mean) / deviation -> encoder -> decoder -> * deviation + mean = reconstruction

Both are constants of the graph, from the training images. Centred by the mean image the squared error at epoch 12 was
a third of that with one mean per channel, and without it the best AUC came from an untrained net.
"""

import math

import numpy as np
import onnx
from onnx import helper

from compression.autoencoder import (
    COLOURS,
    AutoencoderSpec,
    Floats,
    Weights,
    initializers_of,
    layer_nodes,
    reconstruction_model,
)

SPECS = {
    "tiny": AutoencoderSpec(128, (16, 32, 64, 128, 256, 64), linear_bottleneck=True),
    "small": AutoencoderSpec(128, (32, 64, 128, 256, 512, 128), linear_bottleneck=True),
    "medium": AutoencoderSpec(128, (32, 64, 128, 384, 1024, 128), linear_bottleneck=True),
    "large": AutoencoderSpec(256, (32, 64, 128, 256, 640, 1024, 128), linear_bottleneck=True),
}
"""1.88, 7.67, 18.7 and 31.8 million weights; the last encoder layer is the bottleneck, of 2 x 2 places."""


def he_weights(spec: AutoencoderSpec, seed: int) -> Weights:
    """Seeded noise with the variance of He et al. ("Delving deep into rectifiers", ICCV 2015), biases 0."""
    rng = np.random.default_rng(seed)
    weights: Weights = {}
    for layer in spec.layers:
        deviation = math.sqrt((2 if layer.relu else 1) / layer.fan_in)
        kernel = rng.normal(0, deviation, layer.kernel_shape).astype(np.float32)
        weights[layer.name] = kernel, np.zeros(layer.outputs, np.float32)
    return weights


def reference_model(spec: AutoencoderSpec, train: Floats, seed: int) -> onnx.ModelProto:
    """`spec` with random weights, around the mean of the prepared training images `train`: float32 (n,3,size,size).

    Equal arguments give an equal file. ValueError for images of another shape.
    """
    if train.shape[1:] != (COLOURS, spec.size, spec.size):
        raise ValueError(f"images {train.shape[1:]}, the model's image is {(COLOURS, spec.size, spec.size)}")
    mean = train.mean(axis=0, dtype=np.float64, keepdims=True).astype(np.float32)
    deviation = max(float(np.square(train - mean, dtype=np.float64).mean()) ** 0.5, 1e-6)
    chain = layer_nodes(spec, "scaled")
    nodes = [
        helper.make_node("Sub", ["image", "mean"], ["centred"], name="centre"),
        helper.make_node("Mul", ["centred", "1/deviation"], ["scaled"], name="scale"),
        *chain,
        helper.make_node("Mul", [chain[-1].output[0], "deviation"], ["difference"], name="unscale"),
        helper.make_node("Add", ["difference", "mean"], ["reconstruction"], name="add_mean"),
    ]
    constants = {
        "mean": mean,
        "deviation": np.array(deviation, np.float32),
        "1/deviation": np.array(1 / deviation, np.float32),
    }
    return reconstruction_model(spec, nodes, {**constants, **initializers_of(he_weights(spec, seed))})
