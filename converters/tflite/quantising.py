"""Scales, zero points and integers for a program, by the rules that TFLite has for int8.

Source: https://www.tensorflow.org/lite/performance/quantization_spec. Computed in float64; scales are float32, as the
file has them, before anything is divided by them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from converters.tflite.calibration import Difference, Range
from converters.tflite.program import (
    RESCALING_MUL,
    VERSIONS,
    Activation,
    Array,
    Bias,
    Constant,
    Grid,
    Integers,
    Operator,
    Program,
    Tensor,
    Weights,
)

_LARGEST = 127
_LEAST_SCALE = 1e-20
"""Below it products of scales leave what float32 can say; so small a range is as good as none."""
_LARGEST_BIAS = 2**30
_SUMS = ("ADD", "SUB")
_LEAST_OF_SUM = 2 / 2**20 * 1.001
"""Of the coarser input's scale, what that of a sum is at least: below it runtimes up to 2.14 abort the process, whose
kernels allow a multiplier below 1 alone (QuantizeMultiplierSmallerThanOneExp; tensorflow/lite/kernels/add.cc, sub.cc).
"""


@dataclass(frozen=True)
class Stored:
    """A tensor as the file has it.

    scales       one, or one for each slice of `axis`; empty where it is not quantised
    zero_points  as many
    data         None of what is computed
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis: int = 0
    data: bytes | None = None


@dataclass(frozen=True)
class Call:
    """An operator as the file has it: tensors by their number."""

    builtin: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, object]


@dataclass
class Contents:
    """All of a file. `places` has the number of the tensor that holds each ONNX tensor."""

    tensors: list[Stored] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)


def grid_of(low: float, high: float) -> Grid:
    """From -128 for `low` to 127 for `high`, moved so that 0 is met exactly."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / 255))
    if scale < _LEAST_SCALE:
        return Grid(1.0, 0 if low < 0 else -128)
    return Grid(scale, int(np.clip(round(-128 - low / scale), -128, 127)))


def grids_of(program: Program, ranges: Mapping[str, Range]) -> dict[int, Grid]:
    """By the identity of each tensor that stands for others (`Activation.root`): the grid that they are all on."""
    spans: dict[int, Range] = {}
    fixed: dict[int, Grid] = {}
    for tensor in program.activations:
        root = id(tensor.root)
        if tensor.root.grid or tensor.grid:
            fixed[root] = tensor.root.grid or tensor.grid or Grid(1.0, 0)
        if tensor.source is not None:
            low, high = ranges[tensor.source]
            known = spans.get(root, (0.0, 0.0))
            spans[root] = min(known[0], low), max(known[1], high)
    grids = {root: grid_of(*span) for root, span in spans.items()} | fixed
    for operator in program.operators:
        if operator.builtin in _SUMS:
            root = id(operator.outputs[0].root)
            least = _LEAST_OF_SUM * max(_scale_of(tensor, grids) for tensor in operator.inputs)
            if grids[root].scale < least:
                grids[root] = Grid(float(np.float32(least)), grids[root].zero_point)
    return grids


def _scale_of(tensor: Tensor, grids: Mapping[int, Grid]) -> float:
    if isinstance(tensor, Activation):
        return grids[id(tensor.root)].scale
    assert isinstance(tensor, Constant), "a sum has no other"
    return _grid_of_constant(tensor, grids).scale


def _grid_of_constant(constant: Constant, grids: Mapping[int, Grid]) -> Grid:
    if constant.like is not None:
        return grids[id(constant.like.root)]
    values = constant.values.astype(np.float64)
    return grid_of(float(values.min(initial=0)), float(values.max(initial=0)))


def quantised(program: Program, grids: Mapping[int, Grid], errors: Mapping[str, NDArray[np.float64]]) -> Contents:
    """The program with integers. `errors`: by the name of its bias, what a layer's output channels are too large by."""
    return _Quantising(grids, errors).run(program)


def rounding_of(weights: Weights, scales: NDArray[np.float64]) -> NDArray[np.float32]:
    """By how much the integers of `weights` differ from them, in ONNX's order."""
    values = weights.values
    steps = _along(scales, weights.axis, values.ndim)
    difference = np.clip(np.round(values / steps), -_LARGEST, _LARGEST) * steps - values
    numbers = weights.arrange(np.arange(1, weights.onnx.size + 1).reshape(weights.onnx.shape)).ravel()
    found = np.zeros(weights.onnx.size, np.float32)
    found[numbers[numbers > 0] - 1] = difference.ravel()[numbers > 0]
    return found.reshape(weights.onnx.shape)


def differences_of(program: Program, grids: Mapping[int, Grid]) -> dict[str, Difference]:
    """Of each layer whose mean can be corrected, by the name of its bias."""
    found = {}
    for operator in program.operators:
        if operator.correctable is not None:
            weights = next(tensor for tensor in operator.inputs if isinstance(tensor, Weights))
            bias = next(tensor for tensor in operator.inputs if isinstance(tensor, Bias))
            what = operator.correctable
            rounding = rounding_of(weights, scales_of(bias, grids))
            found[bias.name] = Difference(what.operator, what.input, what.attributes, rounding, what.channel_axis)
    return found


def scales_of(bias: Bias, grids: Mapping[int, Grid]) -> NDArray[np.float64]:
    """Of the weights that the bias goes with: so large that the bias fits into int32 as well."""
    weights, step = bias.weights, grids[id(bias.input.root)].scale
    values = np.abs(weights.values.astype(np.float64))
    if weights.axis is None:
        scales = np.array([values.max(initial=0)]) / _LARGEST
        largest_bias = np.array([np.abs(bias.values).max(initial=0)])
    else:
        scales = values.max(axis=tuple(axis for axis in range(values.ndim) if axis != weights.axis)) / _LARGEST
        largest_bias = np.abs(bias.values.astype(np.float64))
    if weights.step is not None:
        scales = np.full(scales.shape, weights.step)
    scales = np.maximum(scales, largest_bias / step / _LARGEST_BIAS)
    usual = scales.max(initial=0)
    scales = np.where(scales < max(_LEAST_SCALE, usual * 1e-12), usual if usual > _LEAST_SCALE else 1.0, scales)
    return scales.astype(np.float32).astype(np.float64)


def _along(scales: NDArray[np.float64], axis: int | None, rank: int) -> NDArray[np.float64]:
    return scales.reshape([-1 if place == axis else 1 for place in range(rank)])


class _Quantising:
    """Constants that are equal in all are stored once: weights that layers share stay one."""

    def __init__(self, grids: Mapping[int, Grid], errors: Mapping[str, NDArray[np.float64]]) -> None:
        self._grids, self._errors = grids, errors
        self._contents = Contents()
        self._numbers: dict[int, int] = {}
        self._equal: dict[tuple[object, ...], int] = {}
        self._scales: dict[int, NDArray[np.float64]] = {}

    def run(self, program: Program) -> Contents:
        contents = self._contents
        contents.inputs = [self._number(tensor) for tensor in program.inputs]
        for operator in program.operators:
            self._scales |= {
                id(tensor.weights): scales_of(tensor, self._grids)
                for tensor in operator.inputs
                if isinstance(tensor, Bias)
            }
            inputs = tuple(self._number(tensor) for tensor in operator.inputs)
            outputs = tuple(self._number(tensor) for tensor in operator.outputs)
            version = self._version(operator, inputs, outputs)
            contents.calls.append(Call(operator.builtin, version, inputs, outputs, operator.options))
        contents.outputs = [self._number(tensor) for tensor in program.outputs]
        contents.places = {
            tensor.source: self._number(tensor) for tensor in program.activations if tensor.source is not None
        }
        return contents

    def _version(self, operator: Operator, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> int:
        if operator.builtin == "MUL":
            first, second, result = (self._contents.tensors[number].scales[0] for number in (*inputs, *outputs))
            if first * second / result >= 1:
                return RESCALING_MUL
        return VERSIONS[operator.builtin]

    def _number(self, tensor: Tensor) -> int:
        if id(tensor) not in self._numbers:
            self._numbers[id(tensor)] = self._add(self._stored(tensor))
        return self._numbers[id(tensor)]

    def _add(self, stored: Stored) -> int:
        tensors = self._contents.tensors
        if stored.data is None:
            tensors.append(stored)
            return len(tensors) - 1
        key = (stored.dtype, stored.shape, stored.scales, stored.zero_points, stored.axis, stored.data)
        if key not in self._equal:
            tensors.append(stored)
            self._equal[key] = len(tensors) - 1
        return self._equal[key]

    def _stored(self, tensor: Tensor) -> Stored:
        if isinstance(tensor, Activation):
            grid = self._grids[id(tensor.root)]
            return Stored(tensor.name, "int8", tensor.shape, (grid.scale,), (grid.zero_point,))
        if isinstance(tensor, Weights):
            return self._weights(tensor)
        if isinstance(tensor, Bias):
            return self._bias(tensor)
        if isinstance(tensor, Constant):
            return self._constant(tensor)
        return self._integers(tensor)

    def _weights(self, weights: Weights) -> Stored:
        scales, values = self._scales[id(weights)], weights.values
        integers = np.round(values / _along(scales, weights.axis, values.ndim))
        data = np.clip(integers, -_LARGEST, _LARGEST).astype(np.int8).tobytes()
        zeros = (0,) * len(scales)
        return Stored(weights.name, "int8", values.shape, tuple(scales.tolist()), zeros, weights.axis or 0, data)

    def _bias(self, bias: Bias) -> Stored:
        values = bias.values.astype(np.float64) - self._errors.get(bias.name, 0.0)
        products = self._grids[id(bias.input.root)].scale * self._scales[id(bias.weights)]
        scales = products.astype(np.float32)
        limit = 2**31 - 1
        data = np.clip(np.round(values / scales), -limit, limit).astype("<i4").tobytes()
        zeros = (0,) * len(scales)
        return Stored(bias.name, "int32", values.shape, tuple(scales.tolist()), zeros, 0, data)

    def _constant(self, constant: Constant) -> Stored:
        values = constant.values.astype(np.float64)
        grid = _grid_of_constant(constant, self._grids)
        integers = np.clip(np.round(values / grid.scale) + grid.zero_point, -128, 127)
        if constant.lowest:
            integers = np.full_like(integers, -128)
        data = integers.astype(np.int8).tobytes()
        return Stored(constant.name, "int8", values.shape, (grid.scale,), (grid.zero_point,), 0, data)

    def _integers(self, integers: Integers) -> Stored:
        values: Array = integers.values
        return Stored(integers.name, "int32", values.shape, data=values.astype("<i4").tobytes())


def with_bytes_outside(contents: Contents) -> Contents:
    """The same file, its inputs and outputs in uint8: a QUANTIZE behind and in front of each, as TFLite's own converter
    puts them, which the Edge TPU runs.
    """
    outside = Contents([*contents.tensors], [], [], [], contents.places)
    tensors, ends = outside.tensors, []
    for number in contents.inputs:
        outside.inputs.append(_byte_tensor(tensors, number))
        outside.calls.append(Call("QUANTIZE", VERSIONS["QUANTIZE"], (outside.inputs[-1],), (number,), {}))
    for number in contents.outputs:
        outside.outputs.append(_byte_tensor(tensors, number))
        ends.append(Call("QUANTIZE", VERSIONS["QUANTIZE"], (number,), (outside.outputs[-1],), {}))
    outside.calls += [*contents.calls, *ends]
    return outside


def _byte_tensor(tensors: list[Stored], number: int) -> int:
    """It takes the name; the other keeps it with an ending."""
    inside = tensors[number]
    zero_points = tuple(point + 128 for point in inside.zero_points)
    tensors.append(Stored(inside.name, "uint8", inside.shape, inside.scales, zero_points))
    tensors[number] = Stored(f"{inside.name}/int8", inside.dtype, inside.shape, inside.scales, inside.zero_points)
    return len(tensors) - 1
