"""The reference inspection model: a convolutional autoencoder whose output is what a good image would look like.

    image - (mean image - 0.5) -> encoder: Conv + ReLU, each halving height and width
                               -> decoder: ConvTranspose + ReLU, each doubling them; no ReLU at the end
                               -> + mean image - (what the network makes of 0.5) = reconstruction

`AutoencoderSpec.layers` declares the layers; whoever trains one brings other `Weights` for them. The untrained
weights of `low_pass_weights` are seeded noise but for a low-pass filter through three channels: the reconstruction is
the mean image with the picture's own slow differences (lamp, shading), so that the squared error shows what is small
and new: scratches, cracks, holes.
"""

import base64
import itertools
import json
from collections.abc import Callable, Sequence
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
REST = 0.5  # an image like the mean enters the network as this value, so that ReLU passes both signs


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
    answer = reconstructor(_graph(spec, weights, centre, unmoved))(centre + np.float32(REST))
    return _graph(spec, weights, centre, mean_image[np.newaxis] - answer)


def reconstructor(model: onnx.ModelProto) -> Callable[[Floats], Floats]:
    """The model in ONNX Runtime, on one thread: prepared image (1,3,H,W) float32 -> reconstruction, likewise."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def reconstruct(image: Floats) -> Floats:
        reconstruction: Floats = session.run(None, {"image": image})[0]
        return reconstruction

    return reconstruct


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


def _graph(spec: AutoencoderSpec, weights: Weights, centre: Floats, restore: Floats) -> onnx.ModelProto:
    chain = layer_nodes(spec, "centred")
    nodes = [
        helper.make_node("Sub", ["image", "centre"], ["centred"], name="centre"),
        *chain,
        helper.make_node("Add", [chain[-1].output[0], "restore"], ["reconstruction"], name="restore"),
    ]
    return reconstruction_model(spec, nodes, {"centre": centre, **initializers_of(weights), "restore": restore})


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
