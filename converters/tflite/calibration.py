"""What tensors hold on the calibration inputs: the range that int8 has to span for each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from converters.errors import RunFailedError
from converters.golden import Case
from converters.int8_options import Int8Options
from converters.proto import serialise
from converters.reference import OnnxReference

Range = tuple[float, float]
"""From the least to the largest value."""

_BINS = 2048
_PERCENTILE = 99.99
_SHARES = np.linspace(0.3, 1.0, 36)
"""Of the measured range, what a squared error is looked at for."""


def ranges_of(
    model: ModelProto, tensors: Sequence[str], cases: Sequence[Case], options: Int8Options
) -> dict[str, Range]:
    """The range of each of `tensors` (float32, of the main graph).

    One case is held at a time. Of its tensors ONNX Runtime gives two numbers each, where they are computed; for another
    choice than all values the tensors themselves, in a second pass. Raises RunFailedError, also where a value is not
    finite.
    """
    measured = sorted(set(tensors))
    ends = _ends(model, measured, cases)
    if options.ranges == "minmax":
        return ends
    counts = {name: _Histogram(*ends[name]) for name in measured}
    for values in outputs_of(model, measured, cases):
        for name, value in values.items():
            counts[name].add(value)
    return {name: counted.range(options.ranges) for name, counted in counts.items()}


def outputs_of(
    model: ModelProto, tensors: Sequence[str], cases: Sequence[Case]
) -> Iterator[dict[str, NDArray[np.float32]]]:
    """For each case, the values of `tensors` by name: one case is held at a time."""
    graph, nodes, outputs = model.graph, len(model.graph.node), len(model.graph.output)
    for name in tensors:
        graph.node.append(helper.make_node("Identity", [name], [f"{name}/seen"]))
        graph.output.append(helper.make_tensor_value_info(f"{name}/seen", TensorProto.FLOAT, None))
    try:
        reference = OnnxReference(serialise(model))
    finally:
        del graph.node[nodes:]
        del graph.output[outputs:]
    for case in cases:
        yield dict(zip(tensors, reference(case)[outputs:], strict=True))


def _ends(model: ModelProto, tensors: Sequence[str], cases: Sequence[Case]) -> dict[str, Range]:
    reference = OnnxReference(_with_ends(model, tensors))
    found = dict.fromkeys(tensors, (0.0, 0.0))
    for case in cases:
        values = [float(output) for output in reference(case)[len(model.graph.output) :]]
        for name, low, high in zip(tensors, values[::2], values[1::2], strict=True):
            if not (np.isfinite(low) and np.isfinite(high)):
                raise RunFailedError(
                    f"the tensor {name!r} reaches {low} ... {high} on a calibration input",
                    "check the model in ONNX Runtime, and that the inputs are prepared as it was trained",
                )
            found[name] = min(found[name][0], low), max(found[name][1], high)
    return found


def _with_ends(model: ModelProto, tensors: Sequence[str]) -> bytes:
    """The model as bytes, with the least and the largest value of each tensor as further outputs; `model` itself is as
    before in the end.
    """
    graph, nodes, outputs = model.graph, len(model.graph.node), len(model.graph.output)
    for name in tensors:
        for operator in ("ReduceMin", "ReduceMax"):
            end = f"{name}/{operator}"
            graph.node.append(helper.make_node(operator, [name], [end], keepdims=0))
            graph.output.append(helper.make_tensor_value_info(end, TensorProto.FLOAT, []))
    try:
        return serialise(model)
    finally:
        del graph.node[nodes:]
        del graph.output[outputs:]


@dataclass
class _Histogram:
    """How often each of `_BINS` parts of a range was met."""

    low: float
    high: float
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_BINS, np.int64))

    def add(self, values: NDArray[np.float32]) -> None:
        if self.high > self.low:
            self.counts += np.histogram(values, _BINS, (self.low, self.high))[0]

    def range(self, how: str) -> Range:
        if not self.high > self.low:
            return self.low, self.high
        return self._percentile() if how == "percentile" else self._least_error()

    @property
    def _centres(self) -> NDArray[np.float64]:
        edges = np.linspace(self.low, self.high, _BINS + 1)
        return (edges[:-1] + edges[1:]) / 2

    def _percentile(self) -> Range:
        """Without the outermost 0.01 % at either end; an end at 0 stays."""
        share = np.cumsum(self.counts) / self.counts.sum()
        edges = np.linspace(self.low, self.high, _BINS + 1)
        left = edges[np.searchsorted(share, 1 - _PERCENTILE / 100)]
        right = edges[np.searchsorted(share, _PERCENTILE / 100) + 1]
        return min(float(left), 0.0) if self.low < 0 else 0.0, max(float(right), 0.0)

    def _least_error(self) -> Range:
        """The shares of both ends for which rounding and clipping together leave the least squared error."""
        centres, best = self._centres, (np.inf, (self.low, self.high))
        lows, highs = (end * _SHARES if end else np.zeros(1) for end in (self.low, self.high))
        for low in lows:
            for high in highs:
                step = (high - low) / 255
                clipped = centres - np.clip(centres, low, high)
                error = float(self.counts @ (clipped**2 + np.where(clipped == 0, step**2 / 12, 0)))
                if error < best[0]:
                    best = error, (float(low), float(high))
        return best[1]


@dataclass(frozen=True)
class Difference:
    """Weights of an ONNX operator that reads `source`, as they differ from the right ones.

    channel_axis  of the operator's output
    """

    operator: str
    source: str
    attributes: Mapping[str, Any]
    weights: NDArray[np.float32]
    channel_axis: int


def mean_errors(
    model: ModelProto, differences: Mapping[str, Difference], cases: Sequence[Case]
) -> dict[str, NDArray[np.float64]]:
    """By name: what each of `differences` adds to its output channels, on average over all cases and places."""
    graph = model.graph
    nodes, outputs, constants = len(graph.node), len(graph.output), len(graph.initializer)
    for name, layer in differences.items():
        graph.initializer.append(numpy_helper.from_array(layer.weights, f"{name}/difference"))
        inputs, output = [layer.source, f"{name}/difference"], f"{name}/error"
        graph.node.append(helper.make_node(layer.operator, inputs, [output], **layer.attributes))
        graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))
    try:
        reference = OnnxReference(serialise(model))
    finally:
        del graph.node[nodes:]
        del graph.output[outputs:]
        del graph.initializer[constants:]
    sums: dict[str, NDArray[np.float64]] = {}
    for case in cases:
        for (name, layer), error in zip(differences.items(), reference(case)[outputs:], strict=True):
            channels = np.moveaxis(error.astype(np.float64), layer.channel_axis, 0)
            sums[name] = sums.get(name, np.zeros(len(channels))) + channels.reshape(len(channels), -1).mean(axis=1)
    return {name: total / len(cases) for name, total in sums.items()}
