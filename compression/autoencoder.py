"""The reference models that `host train` trains: convolutional autoencoders around the mean training image.

    (image - mean) / deviation -> encoder: Conv + ReLU, each halving height and width; no ReLU at the bottleneck
                               -> decoder: ConvTranspose + ReLU, each doubling them; no ReLU at the end
                               -> * deviation + mean = reconstruction

Mean and deviation are constants of the graph, from the training images. Centred by the mean image the squared error at
epoch 12 was a third of that with one mean per channel, and without it the best AUC came from an untrained net.
"""

import base64
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inspection.preprocess import Preprocessing
from inspection.score import FloatMap, Score, encode_error_map

Floats = NDArray[np.float32]
Weights = dict[str, tuple[Floats, Floats]]
"""Kernel and bias by layer name; kernels as ONNX lays them out: Conv [out, in, k, k], ConvTranspose [in, out, k, k]."""

OPSET, IR_VERSION = 13, 8  # ONNX Runtime 1.10 and TensorRT 8 read these
METADATA_KEY = "boardfit"

KERNEL, STRIDE, PADDING = 4, 2, 1  # exactly halves or doubles an even size
COLOURS = 3


@dataclass(frozen=True)
class Layer:
    """One convolution of the chain."""

    name: str
    operator: Literal["Conv", "ConvTranspose"]
    inputs: int
    outputs: int
    relu: bool

    @property
    def kernel_shape(self) -> tuple[int, int, int, int]:
        channels = (self.outputs, self.inputs) if self.operator == "Conv" else (self.inputs, self.outputs)
        return (*channels, KERNEL, KERNEL)

    @property
    def fan_in(self) -> float:
        """How many inputs meet in one output: of a transposed convolution's taps a quarter does."""
        return self.inputs * KERNEL**2 / (STRIDE**2 if self.operator == "ConvTranspose" else 1)


@dataclass(frozen=True)
class AutoencoderSpec:
    """`channels` has the outputs of each encoder layer; the decoder mirrors them.

    `size` (height and width of the image) is a multiple of 2 ** len(channels). The defaults make 1.39 M weights and
    293 M multiply-adds. A `linear_bottleneck` has no ReLU on the last of `channels`.
    """

    size: int = 256
    channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    linear_bottleneck: bool = False

    def __post_init__(self) -> None:
        if self.size <= 0 or self.size % 2 ** len(self.channels):
            raise ValueError(f"size {self.size} is not a multiple of {2 ** len(self.channels)}")

    @property
    def layers(self) -> tuple[Layer, ...]:
        widths = (COLOURS, *self.channels)
        steps = list(itertools.pairwise(widths))
        encoder = [
            Layer(f"encode{i}", "Conv", inner, outer, not self.linear_bottleneck or i < len(steps))
            for i, (inner, outer) in enumerate(steps, 1)
        ]
        decoder = [
            Layer(f"decode{i}", "ConvTranspose", outer, inner, inner != COLOURS)
            for i, (inner, outer) in reversed(list(enumerate(steps, 1)))
        ]
        return (*encoder, *decoder)

    @property
    def weight_count(self) -> int:
        """Kernel elements, as the compression rate counts them."""
        return sum(int(np.prod(layer.kernel_shape)) for layer in self.layers)


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


def set_inspection(
    model: onnx.ModelProto,
    preprocessing: Preprocessing,
    score: Score,
    training_error: FloatMap | None = None,
    good_images: Sequence[bytes] = (),
) -> None:
    """Write all into the model's metadata, where every conversion step and the host look for them.

    `training_error`: float32 (H,W), the mean anomaly map of good training images; needed by the normalised score.
    `good_images`: PNG files of the model's input size, held out from training, from which the threshold is found again
    on a board. What is not given is not written. InputMismatchError, NonFiniteError of `encode_error_map`.
    """
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    known: dict[str, Any] = {"preprocessing": asdict(preprocessing), "score": asdict(score)}
    if training_error is not None:
        known["training_error"] = encode_error_map(training_error)
    if good_images:
        known["good_images"] = [base64.b64encode(image).decode("ascii") for image in good_images]
    metadata[METADATA_KEY] = json.dumps(known)
    helper.set_model_props(model, metadata)


def reconstruction_model(
    spec: AutoencoderSpec, nodes: list[onnx.NodeProto], initializers: dict[str, Floats]
) -> onnx.ModelProto:
    """`nodes` as a model: float32 "image" (1,3,size,size) -> "reconstruction" of the same shape."""
    shape = (1, COLOURS, spec.size, spec.size)
    graph = helper.make_graph(
        nodes,
        "autoencoder",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("reconstruction", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in initializers.items()],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="boardfit")


def initializers_of(weights: Weights) -> dict[str, Floats]:
    """By the names that `layer_nodes` gives them."""
    return {
        f"{layer}.{part}": value
        for layer, pair in weights.items()
        for part, value in zip(("weight", "bias"), pair, strict=True)
    }


def layer_nodes(spec: AutoencoderSpec, value: str) -> list[onnx.NodeProto]:
    """The chain of convolutions, from the value of that name."""
    nodes: list[onnx.NodeProto] = []
    for layer in spec.layers:
        nodes += _layer_nodes(layer, [value, f"{layer.name}.weight", f"{layer.name}.bias"])
        value = nodes[-1].output[0]
    return nodes


def _layer_nodes(layer: Layer, inputs: list[str]) -> list[onnx.NodeProto]:
    attributes: dict[str, Any] = {"strides": [STRIDE] * 2, "pads": [PADDING] * 4, "kernel_shape": [KERNEL] * 2}
    nodes = [helper.make_node(layer.operator, inputs, [layer.name], name=layer.name, **attributes)]
    if layer.relu:
        rectified = f"{layer.name}.relu"
        nodes.append(helper.make_node("Relu", [layer.name], [rectified], name=rectified))
    return nodes
