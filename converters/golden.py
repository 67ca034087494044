"""Inputs whose right outputs are known: with them a board proves that it computes what the host does."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from converters.errors import DataDependentShapeError, NotFiniteError
from converters.noise import noise
from converters.signature import Signature, TensorSpec

MAX_BYTES = 32 * 2**20
"""Inputs and outputs of all cases together, unless one case alone has more."""

Case = Sequence[NDArray[Any]]


@dataclass(frozen=True)
class Golden:
    """`count` cases one after the other, each the tensors of the signature in order.

    Little-endian, row-major, without padding. `notices` tell of outputs that are only in part finite.
    """

    count: int
    source: Literal["images", "tensors", "noise"]
    inputs: bytes
    outputs: bytes
    notices: tuple[str, ...] = ()


def make_golden(
    signature: Signature,
    reference: Callable[[Case], Case],
    given: Sequence[Case] = (),
    count: int = 8,
    seed: int = 0,
    source: Literal["images", "tensors"] = "images",
) -> Golden:
    """Golden inputs (see `golden_inputs`) with the outputs that `reference` (an `OnnxReference`) gives for them;
    `source`: what the given ones are.

    Raises RunFailedError, DataDependentShapeError where an output is not of the signature's shape, or NotFiniteError
    where it has no finite value for any of them: whatever a board gave would be as right.
    """
    cases = golden_inputs(signature, given, count, seed)
    outputs, finite = [], []
    for case in cases:
        made = reference(case)
        outputs.append(_packed_outputs(made, signature.outputs))
        finite.append([int(np.count_nonzero(np.isfinite(tensor))) for tensor in made])
    return Golden(
        count=len(cases),
        source=source if given else "noise",
        inputs=b"".join(pack(case, signature.inputs) for case in cases),
        outputs=b"".join(outputs),
        notices=tuple(_not_finite(signature.outputs, finite)),
    )


def _not_finite(outputs: Sequence[TensorSpec], finite: Sequence[Sequence[int]]) -> Iterator[str]:
    """A notice for each output that is not all finite; `finite`: how many values of each are, by case. NotFiniteError
    where none is.
    """
    for spec, counts in zip(outputs, zip(*finite, strict=True), strict=True):
        count, size = sum(counts), math.prod(spec.shape) * len(finite)
        if size and not count:
            raise NotFiniteError(
                f"the output {spec.name!r} has no finite value for any of the golden inputs, in ONNX Runtime",
                "look for a division by 0 or a logarithm in the model; --calibrate gives it inputs like those it was "
                "made for",
            )
        if count < size:
            yield f"of the output {spec.name!r}, {size - count:,} of {size:,} golden values are NaN or infinite"


def golden_inputs(signature: Signature, given: Sequence[Case] = (), count: int = 8, seed: int = 0) -> list[Case]:
    """The first `count` of `given`, or `count` cases of seeded noise: fewer where they would pass `MAX_BYTES`.

    At least one case; ValueError for `count` below 1, and for given ones that do not fit the signature.
    """
    if count < 1:
        raise ValueError(f"count is {count}, not 1 or more")
    count = min(count, max(1, MAX_BYTES // (signature.input_bytes + signature.output_bytes)))
    if not given:
        return [noise(signature.inputs, seed + index) for index in range(count)]
    cases = list(given[:count])
    for case in cases:
        pack(case, signature.inputs)
    return cases


def pack(tensors: Case, specs: Sequence[TensorSpec]) -> bytes:
    """One case as bytes; ValueError where a tensor is not what the signature says."""
    return b"".join(_packed(tensor, spec) for tensor, spec in zip(tensors, specs, strict=True))


def _packed_outputs(outputs: Case, specs: Sequence[TensorSpec]) -> bytes:
    for output, spec in zip(outputs, specs, strict=True):
        if output.shape != spec.shape:
            raise DataDependentShapeError(
                f"the shape of the output {spec.name!r} depends on the input's values: it was {spec.shape} in a trial "
                f"run and is {output.shape} for a golden input",
                "end the model before the operator that sizes it, and do the rest where the outputs are read",
            )
    return pack(outputs, specs)


def _packed(tensor: NDArray[Any], spec: TensorSpec) -> bytes:
    if (str(tensor.dtype), tensor.shape) != (spec.dtype, spec.shape):
        raise ValueError(f"{spec.name!r} is {spec.dtype}{spec.shape}, not {tensor.dtype}{tensor.shape}")
    return tensor.astype(np.dtype(spec.dtype).newbyteorder("<")).tobytes()
