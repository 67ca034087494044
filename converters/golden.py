"""Inputs whose right outputs are known: with them a board proves that it computes what the host does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from converters.errors import DataDependentShapeError
from converters.noise import noise
from converters.signature import Signature, TensorSpec

MAX_BYTES = 32 * 2**20
"""Inputs and outputs of all cases together, unless one case alone has more."""

Case = Sequence[NDArray[Any]]


@dataclass(frozen=True)
class Golden:
    """`count` cases one after the other, each the tensors of the signature in order.

    Little-endian, row-major, without padding.
    """

    count: int
    source: Literal["images", "noise"]
    inputs: bytes
    outputs: bytes


def make_golden(
    signature: Signature,
    reference: Callable[[Case], Case],
    images: Sequence[NDArray[Any]] | None = None,
    count: int = 8,
    seed: int = 0,
) -> Golden:
    """Golden inputs (see `golden_inputs`) with the outputs that `reference` (an `OnnxReference`) gives for them.

    Raises RunFailedError, or DataDependentShapeError where an output is not of the signature's shape.
    """
    cases = golden_inputs(signature, images, count, seed)
    return Golden(
        count=len(cases),
        source="images" if images else "noise",
        inputs=b"".join(pack(case, signature.inputs) for case in cases),
        outputs=b"".join(_packed_outputs(reference(case), signature.outputs) for case in cases),
    )


def golden_inputs(
    signature: Signature, images: Sequence[NDArray[Any]] | None = None, count: int = 8, seed: int = 0
) -> list[Case]:
    """The first `count` of `images`, or `count` cases of seeded noise: fewer where they would pass `MAX_BYTES`.

    `images` are preprocessed tensors of the model's one input. At least one case; ValueError for `count` below 1, and
    for images that do not fit the signature.
    """
    if count < 1:
        raise ValueError(f"count is {count}, not 1 or more")
    count = min(count, max(1, MAX_BYTES // (signature.input_bytes + signature.output_bytes)))
    if not images:
        return [noise(signature.inputs, seed + index) for index in range(count)]
    cases: list[Case] = [[image] for image in images[:count]]
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
