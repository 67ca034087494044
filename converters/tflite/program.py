"""A network in TFLite's operators before its tensors are integers: what `lowering` makes and `quantising` reads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.signature import Shape

Array = NDArray[Any]
Floats = NDArray[np.float32]

VERSIONS = {
    "ADD": 2,
    "AVERAGE_POOL_2D": 2,
    "CONCATENATION": 2,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "LOGISTIC": 2,
    "MAX_POOL_2D": 2,
    "MEAN": 2,
    "MUL": 2,
    "PAD": 2,
    "PADV2": 2,
    "PRELU": 1,
    "QUANTIZE": 1,
    "RELU": 2,
    "RESHAPE": 1,
    "RESIZE_BILINEAR": 2,
    "RESIZE_NEAREST_NEIGHBOR": 2,
    "SLICE": 2,
    "SOFTMAX": 2,
    "SPLIT": 2,
    "SUB": 2,
    "TANH": 2,
    "TRANSPOSE_CONV": 3,
}
"""Every operator that is written, at the version that its int8 form had first: newer ones say the same to it.

Source: GetBuiltinOperatorVersion in tensorflow/lite/tools/versioning/op_version.cc of TensorFlow 2.4 and 2.5. A
TRANSPOSE_CONV of version 4 is refused by the last Edge TPU compiler (https://github.com/google-coral/edgetpu/issues/845).
"""

RESCALING_MUL = 3
"""A MUL is of this version where the product of its inputs' scales is at least its output's (the same source)."""


@dataclass(frozen=True)
class Grid:
    """``real = scale * (integer - zero_point)``, the integer from -128 to 127."""

    scale: float
    zero_point: int


ZERO_TO_ONE = Grid(1 / 256, -128)
MINUS_ONE_TO_ONE = Grid(1 / 128, 0)
"""What the outputs of LOGISTIC and SOFTMAX, and that of TANH, have to be on.

Source: https://www.tensorflow.org/lite/performance/quantization_spec
"""


@dataclass(eq=False)
class Activation:
    """A tensor that is computed, or an input.

    shape     as it is stored
    source    the ONNX tensor it holds, whose values are measured; None for one in between, that shares another's grid
    order     the ONNX tensor's axes in the order in which they are stored
    scramble  the ONNX tensor's elements in the order in which they are stored, where no order of its axes says it
    grid      that it has to be on; None where it follows from what is measured
    floor     what it cannot be below: 0 behind a Relu
    ceiling   what it cannot be above
    clipped   that its range ends where a Relu or Clip does is all that clips it: no wider grid may be given to it
    """

    name: str
    shape: Shape
    source: str | None
    order: tuple[int, ...]
    scramble: Array | None = None
    grid: Grid | None = None
    floor: float = -np.inf
    ceiling: float = np.inf
    clipped: bool = False
    _shares: "Activation | None" = None

    @property
    def root(self) -> "Activation":
        """The one that stands for all that have the same grid."""
        return self if self._shares is None else self._shares.root

    def share(self, other: "Activation") -> None:
        """Both, and all that share with either, are on one grid."""
        if self.root is not other.root:
            self.root._shares = other.root


@dataclass(eq=False)
class Weights:
    """A constant kernel, to be symmetric int8 with a scale for each slice of `axis`, or one scale where that is None.

    arrange  from the order that ONNX has to that of the file; zeros may be added
    step     the scale, where one is known that all values are multiples of
    """

    name: str
    onnx: Floats
    arrange: Callable[[Array], Array]
    axis: int | None
    step: float | None = None

    @property
    def values(self) -> Floats:
        return np.ascontiguousarray(self.arrange(self.onnx), np.float32)


@dataclass(eq=False)
class Bias:
    """One int32 for each output channel, at the scale of the input times that of the kernel."""

    name: str
    values: Floats
    input: Activation
    weights: Weights


@dataclass(eq=False)
class Constant:
    """Float values that are an operand, to be int8: on the grid of `like`, or on one of their own.

    lowest  the lowest value that there is on the grid stands in the place of each
    """

    name: str
    values: Floats
    like: Activation | None = None
    lowest: bool = False


@dataclass(eq=False)
class Integers:
    """Shapes, paddings, axes."""

    name: str
    values: NDArray[np.int32]


Tensor = Activation | Weights | Bias | Constant | Integers


@dataclass(frozen=True)
class Correctable:
    """What a layer computes, in ONNX: enough to find what the rounding of its weights does to its mean.

    attributes  of the ONNX node
    """

    operator: str
    input: str
    attributes: dict[str, Any]
    channel_axis: int


@dataclass(eq=False)
class Operator:
    """One operator: `builtin` is its name in TFLite, `node` and `operator` what it stands for in ONNX.

    optional  it could be left out if its input and output were on one grid
    """

    builtin: str
    inputs: Sequence[Tensor]
    outputs: Sequence[Activation]
    options: dict[str, int | float | bool | Sequence[int]]
    node: str
    operator: str
    correctable: Correctable | None = None
    optional: bool = False


@dataclass
class Program:
    """Operators in the order in which they run; inputs and outputs in the model's, with the axes of the model's."""

    operators: list[Operator] = field(default_factory=list)
    inputs: list[Activation] = field(default_factory=list)
    outputs: list[Activation] = field(default_factory=list)
    output_orders: list[tuple[int, ...]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    @property
    def activations(self) -> list[Activation]:
        """All tensors that are computed, inputs first."""
        return [*self.inputs, *(output for operator in self.operators for output in operator.outputs)]
