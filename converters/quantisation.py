"""Where int8 pays on TensorRT, and the QuantizeLinear and DequantizeLinear nodes that say so.

The places are those of "Q/DQ Layer-Placement Recommendations" in NVIDIA's developer guide: all inputs of layers with
weights and none of their outputs, the residual input of an addition. What it leaves open is as NVIDIA's own tool does
it (modelopt.onnx.quantization in https://github.com/NVIDIA/Model-Optimizer): products with one row or column stay as
they are, for int8 is no faster there, and so stays a classifier's last layer at batch 1; pooling that averages is
quantised. Pooling that picks needs nothing: TensorRT moves the next layer's quantisation in front of it.

ONNX Runtime's quantize_static would be the library. In 1.32 it leaves the model it is given without its weights, drops
calibration data that it is told to hold less of, quantises both inputs of an addition, and has no way to treat
ConvTranspose apart from Conv but by the name of each weight. Told to quantise the same inputs by the same ranges, it
comes to the same 56.2 and 53.4 dB as this, of a trained reference autoencoder whole and with 5 % of its weights.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from converters.facts import Facts
from converters.proto import walk_nodes

_CONVOLUTIONS = ("Conv", "ConvTranspose")
_WEIGHTED = (*_CONVOLUTIONS, "Gemm", "MatMul")
_AVERAGES = ("AveragePool", "GlobalAveragePool")
_SUMS = ("Add", "Sum")
_LARGEST = 127
"""Of int8 without -128: TensorRT's int8 is symmetric around 0."""


@dataclass(frozen=True)
class Place:
    """An input of a node that is to be int8: number `index` of the graph's node number `node`.

    axis  of a weight: the axis whose slices have a scale each; None for one scale
    """

    node: int
    index: int
    tensor: str
    axis: int | None = None


def is_quantised(model: ModelProto) -> bool:
    """Whether the model has ranges of its own."""
    nodes = (model.graph.node, *(function.node for function in model.functions))
    return any(node.op_type == "QuantizeLinear" for group in nodes for node in walk_nodes(group))


def find_places(graph: GraphProto, facts: Facts) -> list[Place]:
    """All inputs that are worth it, in the order of the graph; of float32, for older opsets quantise nothing else."""
    uses = Counter(name for node in graph.node for name in node.input)
    uses.update(value.name for value in graph.output)
    found: list[Place] = []
    convolutions: dict[str, int] = {}  # by what they give, if an addition can be taken into them
    for number, node in enumerate(graph.node):
        if node.domain not in ("", "ai.onnx"):
            continue
        if node.op_type in _WEIGHTED and _is_matrix(node, facts) and _suits(node, facts.constant(node.input[1])):
            found += [Place(number, 0, node.input[0]), Place(number, 1, node.input[1], _channel_axis(node))]
            if node.op_type in _CONVOLUTIONS and uses[node.output[0]] == 1:
                convolutions[node.output[0]] = number
        elif node.op_type in _AVERAGES:
            found.append(Place(number, 0, node.input[0]))
        elif node.op_type in _SUMS and (index := _residual(node, convolutions, facts)) is not None:
            found.append(Place(number, index, node.input[index]))
    return [place for place in found if facts.element(place.tensor) == TensorProto.FLOAT]


def _is_matrix(node: NodeProto, facts: Facts) -> bool:
    """Whether a layer multiplies matrices: not so a product with one row or column, or a convolution to one place."""
    shape = facts.shape(node.output[0])
    if shape is None or len(shape) < 2:
        return False
    return prod(shape[2:]) > 1 if node.op_type in _CONVOLUTIONS else min(shape[-2:]) > 1


def _suits(node: NodeProto, weight: NDArray[Any] | None) -> bool:
    """Whether the weight is a constant, of groups that TensorRT takes in int8.

    Its headers, from 8 to 10, want groups of a multiple of 4 channels (IConvolutionLayer::setNbGroups). Depthwise ones
    build where they please: https://github.com/NVIDIA/TensorRT/issues/3385 and 4060 are of boards like ours. Of a
    transposed one see 1934. What is left out runs in float, which costs time alone; a build that fails costs the model.
    """
    groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
    if weight is None or groups == 1:
        return weight is not None
    return node.op_type == "Conv" and weight.shape[0] // groups % 4 == 0 and weight.shape[1] % 4 == 0


def _channel_axis(node: NodeProto) -> int | None:
    """Where a weight has its output channels, if TensorRT takes a scale for each of them there.

    For ConvTranspose 8 takes scales of the input channels alone (https://github.com/NVIDIA/TensorRT/issues/2380) and
    NVIDIA's tool for 10 writes those of the output channels: one scale suits both, and cost nothing measurable on the
    reference autoencoders. A Gemm's weight is laid out as that of a convolution where it is transposed.
    """
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return 0 if node.op_type == "Conv" or transposed else None


def _residual(node: NodeProto, convolutions: Mapping[str, int], facts: Facts) -> int | None:
    """Which input of an addition is added to a convolution: TensorRT does so inside the convolution, which reads it as
    int8. Of two convolutions the later one takes in the addition.
    """
    if len(node.input) != 2 or facts.constants.keys() & set(node.input):
        return None
    first, second = (facts.shape(name) for name in node.input)
    ends = [(convolutions[name], index) for index, name in enumerate(node.input) if name in convolutions]
    return 1 - max(ends)[1] if ends and first is not None and first == second else None


def quantise(graph: GraphProto, places: list[Place], peaks: Mapping[str, float], facts: Facts) -> None:
    """Put a QuantizeLinear and a DequantizeLinear in front of each of `places`, as TensorRT wants them: a pair for each
    use, weights too, all zero points 0. `peaks` has the largest absolute value of each computed tensor.
    """
    by_node: dict[int, list[tuple[int, Place]]] = {}
    for number, place in enumerate(places):
        by_node.setdefault(place.node, []).append((number, place))
    nodes: list[NodeProto] = []
    for position, node in enumerate(graph.node):
        for number, place in by_node.get(position, []):
            scale = _scale(place, peaks, facts)
            nodes += _pair(graph, place, f"{place.tensor}/int8-{number}", scale)
            node.input[place.index] = nodes[-1].output[0]
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _scale(place: Place, peaks: Mapping[str, float], facts: Facts) -> NDArray[np.float32]:
    """What one step of int8 stands for; 1 where all is 0, for a scale has to be positive."""
    weight = facts.constant(place.tensor)
    peak: Any = peaks[place.tensor] if weight is None else np.abs(weight).max()
    if weight is not None and place.axis is not None:
        peak = np.abs(weight).max(axis=tuple(axis for axis in range(weight.ndim) if axis != place.axis))
    scale = np.asarray(peak, np.float32) / np.float32(_LARGEST)
    return np.where(scale > 0, scale, np.float32(1)).astype(np.float32)


def _pair(graph: GraphProto, place: Place, name: str, scale: NDArray[np.float32]) -> Iterator[NodeProto]:
    zeros = np.zeros(scale.shape, np.int8)
    for value, end in ((scale, "scale"), (zeros, "zero")):
        graph.initializer.append(numpy_helper.from_array(value, f"{name}/{end}"))
    attributes: dict[str, Any] = {} if place.axis is None else {"axis": place.axis}
    for operator, source, target in (("QuantizeLinear", place.tensor, "q"), ("DequantizeLinear", f"{name}/q", "dq")):
        inputs = [source, f"{name}/scale", f"{name}/zero"]
        yield helper.make_node(operator, inputs, [f"{name}/{target}"], name=f"{name}/{target}", **attributes)
