"""A model of a few nodes as int8 TFLite, held against ONNX Runtime."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from onnx import ModelProto

from converters.compare import Comparison, compare
from converters.int8_options import Int8Options
from converters.reference import OnnxReference
from converters.tflite import gate
from converters.tflite.conversion import Written, convert
from converters.tflite.interpreter import run


@dataclass(frozen=True)
class Tried:
    """A file and how far its outputs are from the model's."""

    written: Written
    comparison: Comparison
    outputs: Sequence[np.ndarray]

    @property
    def sqnr_db(self) -> float:
        return self.comparison.sqnr_db

    @property
    def operators(self) -> list[str]:
        return [operator.builtin for operator in self.written.program.operators]


Try = Callable[..., Tried]


def _trial(model: ModelProto, *inputs: np.ndarray, cases: int = 1, options: Int8Options | None = None) -> Tried:
    """`inputs` are what it is calibrated with and compared on; None are given: seeded normal values, `cases` times."""
    given = [list(inputs)] if inputs else [_normal(model, seed) for seed in range(cases)]
    before = model.SerializeToString()
    written = convert(model, given, options or Int8Options())
    assert model.SerializeToString() == before
    gate.check(written.content)
    reference = OnnxReference(model.SerializeToString())
    measured = run(written.content, written.artifact, given)
    comparison = compare([reference(case) for case in given], measured)
    return Tried(written, comparison, measured[0])


def _normal(model: ModelProto, seed: int) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    constants = {tensor.name for tensor in model.graph.initializer}
    shapes = [
        [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in model.graph.input
        if value.name not in constants
    ]
    return [generator.standard_normal(shape).astype(np.float32) for shape in shapes]


@pytest.fixture(scope="session")
def trial() -> Try:
    """``trial(model)``: the model is converted, passes the gate, and runs in ai-edge-litert beside ONNX Runtime."""
    return _trial
