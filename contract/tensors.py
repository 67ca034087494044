"""What goes into a model and what comes out of it: as its users see it, and as the file on the board has it."""

import math
from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, StringConstraints, model_validator

from contract.base import Contract

ITEM_BYTES = {
    "float16": 2,
    "float32": 4,
    "float64": 8,
    "int8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "uint8": 1,
    "uint16": 2,
    "uint32": 4,
    "uint64": 8,
    "bool": 1,
}
"""Element types a tensor may have, named as numpy names them, with their size in bytes."""

ZERO_POINTS = {"int8": range(-128, 128), "uint8": range(256)}
"""Of element types that an artifact may be quantised to."""

NARROWED = (("int64", "int32"),)
"""Element types of a signature that an artifact may have in another size: what does not fit becomes the nearest."""

MAX_DIMENSIONS = 32
"""Of a shape: what numpy 1 takes, which boards have."""

DType = Literal[
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
]


class TensorSpec(Contract):
    """Name, element type and static shape of one input or output (batch included)."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    dtype: DType
    shape: Annotated[tuple[PositiveInt, ...], Field(max_length=MAX_DIMENSIONS)]

    @property
    def size_bytes(self) -> int:
        return math.prod(self.shape) * ITEM_BYTES[self.dtype]


class Signature(Contract):
    """What goes into a model and what comes out, in order."""

    inputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1)]
    outputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_tell_apart(self) -> Self:
        for kind, specs in (("inputs", self.inputs), ("outputs", self.outputs)):
            (name, count), *_ = Counter(spec.name for spec in specs).most_common(1)
            if count > 1:
                raise ValueError(f"{count} {kind} are named {name!r}")
        return self

    @property
    def input_bytes(self) -> int:
        return sum(spec.size_bytes for spec in self.inputs)

    @property
    def output_bytes(self) -> int:
        return sum(spec.size_bytes for spec in self.outputs)


class Quantisation(Contract):
    """Of a whole tensor: ``real = scale * (integer - zero_point)``.

    Source: https://www.tensorflow.org/lite/performance/quantization_spec
    """

    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    zero_point: int


class ArtifactTensor(Contract):
    """What the runtime's file takes or gives in the place of a tensor of the signature: a worker converts.

    order  the signature's axes in the file's order, (0, 2, 3, 1) from NCHW to NHWC; empty: they are the same
    """

    name: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    dtype: DType
    shape: Annotated[tuple[PositiveInt, ...], Field(max_length=MAX_DIMENSIONS)]
    order: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(max_length=MAX_DIMENSIONS)] = ()
    quantisation: Quantisation | None = None

    @model_validator(mode="after")
    def _holds_its_zero_point(self) -> Self:
        if self.quantisation is None:
            return self
        if self.dtype not in ZERO_POINTS:
            raise ValueError(f"{self.name!r} is {self.dtype}, quantised are {', '.join(ZERO_POINTS)}")
        if self.quantisation.zero_point not in ZERO_POINTS[self.dtype]:
            raise ValueError(f"{self.dtype} has no {self.quantisation.zero_point}, the zero point of {self.name!r}")
        return self

    def problem(self, spec: TensorSpec) -> str | None:
        """Why it cannot stand for `spec`; None where it can."""
        if self.order and sorted(self.order) != list(range(len(spec.shape))):
            return f"{list(self.order)} is no order of {len(spec.shape)} axes"
        shape = tuple(spec.shape[axis] for axis in self.order) if self.order else spec.shape
        if self.shape != shape:
            return f"it has the shape {list(self.shape)}, the signature's in that order is {list(shape)}"
        if self.quantisation and spec.dtype != "float32":
            return f"by a scale float32 becomes {self.dtype}, not {spec.dtype}"
        if not self.quantisation and spec.dtype != self.dtype and (spec.dtype, self.dtype) not in NARROWED:
            return f"{spec.dtype} becomes {self.dtype} by a scale alone"
        return None


class Artifact(Contract):
    """The tensors of the runtime's file, in the signature's order, where they are not those of the signature."""

    inputs: Annotated[tuple[ArtifactTensor, ...], Field(min_length=1)]
    outputs: Annotated[tuple[ArtifactTensor, ...], Field(min_length=1)]

    def check(self, signature: Signature) -> None:
        """ValueError where it does not stand for the signature."""
        for kind, specs, tensors in (
            ("inputs", signature.inputs, self.inputs),
            ("outputs", signature.outputs, self.outputs),
        ):
            if len(specs) != len(tensors):
                raise ValueError(f"the artifact has {len(tensors)} {kind}, the signature {len(specs)}")
            for spec, tensor in zip(specs, tensors, strict=True):
                if problem := tensor.problem(spec):
                    raise ValueError(f"the artifact's {tensor.name!r} cannot stand for {spec.name!r}: {problem}")
