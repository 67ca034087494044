"""What goes into a model and what comes out: names, element types and static shapes, in order."""

import math
from dataclasses import dataclass

import numpy as np

DTYPES = frozenset(
    {
        "float16",
        "float32",
        "float64",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "bool",
    }
)
"""Element types a model's inputs and outputs may have, named as numpy names them."""


Shape = tuple[int, ...]


@dataclass(frozen=True)
class TensorSpec:
    """Name, element type (one of `DTYPES`) and static shape of one input or output, batch included."""

    name: str
    dtype: str
    shape: Shape

    @property
    def size_bytes(self) -> int:
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Signature:
    """The inputs and the outputs of a model, in its own order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def input_bytes(self) -> int:
        return sum(spec.size_bytes for spec in self.inputs)

    @property
    def output_bytes(self) -> int:
        return sum(spec.size_bytes for spec in self.outputs)
