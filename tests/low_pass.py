"""An autoencoder that needs no training, for tests that need one which sees scratches.

    image - (mean image - 0.5) -> encoder -> decoder -> + mean image - (what the network makes of 0.5) = reconstruction

Its weights are seeded noise but for a low-pass filter through three channels: the reconstruction is the mean image with
the picture's own slow differences (lamp, shading), so that the squared error shows what is small and new.
"""

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
    set_inspection,
)
from compression.calibrate import reconstructor_of
from inspection.preprocess import Preprocessing
from inspection.score import Score

REST = 0.5  # an image like the mean enters the network as this value, so that ReLU passes both signs


def low_pass_weights(spec: AutoencoderSpec, seed: int = 0, noise: float = 0.05) -> Weights:
    """Untrained weights: noise, and in the first three channels binomial down- and bilinear up-sampling.

    Both filters are (1 3 3 1), which keeps a constant constant at stride 2. The noise is `noise` times that of He
    et al. ("Delving deep into rectifiers", 2015): little enough for the filters to be the largest singular values
    of each kernel, so that a truncated decomposition keeps them.
    """
    rng = np.random.default_rng(seed)
    taps = np.array((1, 3, 3, 1), np.float32)
    filters = {"Conv": np.outer(taps, taps) / 64, "ConvTranspose": np.outer(taps, taps) / 16}
    weights: Weights = {}
    for layer in spec.layers:
        kernel = rng.normal(0, noise * np.sqrt(2 / layer.fan_in), layer.kernel_shape).astype(np.float32)
        for colour in range(COLOURS):
            kernel[colour, colour] += filters[layer.operator]
        weights[layer.name] = kernel, np.zeros(layer.outputs, np.float32)
    return weights


def build_autoencoder(
    seed: int = 0, size: int = 256, mean_image: Floats | None = None, score: Score | None = None
) -> onnx.ModelProto:
    """The untrained model: float32 "image" (1,3,size,size) in 0..1 -> "reconstruction" of the same shape.

    `mean_image`: (3,size,size), the mean of prepared good images; grey by default. `score` goes into the metadata.
    Equal arguments give an equal file.
    """
    spec = AutoencoderSpec(size)
    if mean_image is None:
        mean_image = np.full((COLOURS, size, size), REST, np.float32)
    model = to_onnx(spec, low_pass_weights(spec, seed), mean_image)
    set_inspection(model, Preprocessing(height=size, width=size), score or Score())
    return model


def to_onnx(spec: AutoencoderSpec, weights: Weights, mean_image: Floats) -> onnx.ModelProto:
    """`spec` with `weights`; its output for the mean image is the mean image.

    Zero padding and noise make the network answer 0.5 with something else than 0.5, most at the border. That answer
    is taken off again at the end, as a second image in the file.
    """
    if mean_image.shape != (COLOURS, spec.size, spec.size):
        raise ValueError(f"mean image {mean_image.shape}, the model's image is {(COLOURS, spec.size, spec.size)}")
    centre = mean_image[np.newaxis] - np.float32(REST)
    unmoved = np.zeros_like(centre)
    answer = reconstructor_of(_graph(spec, weights, centre, unmoved))(centre + np.float32(REST))
    return _graph(spec, weights, centre, mean_image[np.newaxis] - answer)


def _graph(spec: AutoencoderSpec, weights: Weights, centre: Floats, restore: Floats) -> onnx.ModelProto:
    chain = layer_nodes(spec, "centred")
    nodes = [
        helper.make_node("Sub", ["image", "centre"], ["centred"], name="centre"),
        *chain,
        helper.make_node("Add", [chain[-1].output[0], "restore"], ["reconstruction"], name="restore"),
    ]
    return reconstruction_model(spec, nodes, {"centre": centre, **initializers_of(weights), "restore": restore})
