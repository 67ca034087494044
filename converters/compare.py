"""How far one model's outputs are from another's on the same inputs."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Outputs = Sequence[NDArray[Any]]

CHUNK = 2**20
"""Elements that are float64 at a time: an output may have a gigabyte, of which no further copy is made."""


@dataclass(frozen=True)
class OutputComparison:
    """One output over all cases.

    max_abs_error     largest absolute difference; inf where one side is not finite and the other differs
    sqnr_db           signal-to-quantisation-noise ratio in dB, of the worst case
    top1_agreement    share of samples with the same largest score, 0 to 1; None unless the output looks like scores
    """

    max_abs_error: float
    sqnr_db: float
    top1_agreement: float | None


@dataclass(frozen=True)
class Comparison:
    """All outputs, in order, and the worst of them."""

    outputs: tuple[OutputComparison, ...]

    @property
    def worst(self) -> int:
        """Index of the output with the lowest SQNR."""
        return min(range(len(self.outputs)), key=lambda index: self.outputs[index].sqnr_db)

    @property
    def sqnr_db(self) -> float:
        return self.outputs[self.worst].sqnr_db

    @property
    def max_abs_error(self) -> float:
        return max(output.max_abs_error for output in self.outputs)


def compare(reference: Sequence[Outputs], measured: Sequence[Outputs]) -> Comparison:
    """Compare two runs over the same cases, each case a list of output arrays in the model's order.

    ValueError where there is no case or output, or where numbers or shapes differ: these are not the same model.
    """
    cases = [list(zip(right, got, strict=True)) for right, got in zip(reference, measured, strict=True)]
    if not cases or not cases[0]:
        raise ValueError("there is nothing to compare")
    return Comparison(tuple(_compare_output(pairs) for pairs in zip(*cases, strict=True)))


def _compare_output(pairs: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> OutputComparison:
    differences = [_difference(reference, measured) for reference, measured in pairs]
    return OutputComparison(
        max_abs_error=max(error for error, _ in differences),
        sqnr_db=min(sqnr for _, sqnr in differences),
        top1_agreement=_top1_agreement(pairs),
    )


def _difference(reference: NDArray[Any], measured: NDArray[Any]) -> tuple[float, float]:
    """Largest absolute error, and SQNR in dB = 10 log10(sum(reference^2) / sum((reference - measured)^2)).

    Source: R. M. Gray and D. L. Neuhoff, "Quantization", IEEE Trans. Inf. Theory 44(6), 1998, section I; the same as
    ONNX Runtime's onnxruntime/python/tools/quantization/qdq_loss_debug.py, without its epsilon.

    Computed in float64, whatever the element type. Equal tensors give inf; a zero reference that is not met, and a
    value that is not finite on one side alone, -inf. Places where both have the same NaN or infinity are equal.
    """
    if reference.shape != measured.shape:
        raise ValueError(f"shapes differ: {reference.shape} and {measured.shape}")
    largest = 0.0
    for part in _parts(reference, measured):
        if part is None:
            return math.inf, -math.inf
        largest = max(largest, *(float(np.abs(values).max(initial=0)) for values in part))
    # Scaled by a power of two, which is exact, so that no square overflows or vanishes.
    _, exponent = math.frexp(largest)
    signal = noise = error = 0.0
    for part in _parts(reference, measured):
        assert part is not None, "the first pass has seen all of them"
        right, got = (np.ldexp(values, -exponent) for values in part)
        difference = right - got
        signal, noise = signal + float(right @ right), noise + float(difference @ difference)
        error = max(error, float(np.abs(difference).max(initial=0)))
    with np.errstate(over="ignore"):
        return float(np.ldexp(error, exponent)), _decibels(signal, noise)


def _parts(
    reference: NDArray[Any], measured: NDArray[Any]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]] | None]:
    """`CHUNK` elements of each at a time, in float64, without the places where both have the same NaN or infinity; None
    of a part where a value is not finite on one side alone.
    """
    right, got = reference.ravel(), measured.ravel()
    for start in range(0, right.size, CHUNK):
        both = right[start : start + CHUNK].astype(np.float64), got[start : start + CHUNK].astype(np.float64)
        finite = np.isfinite(both[0]) & np.isfinite(both[1])
        if finite.all():
            yield both
        elif np.array_equal(both[0][~finite], both[1][~finite], equal_nan=True):
            yield both[0][finite], both[1][finite]
        else:
            yield None


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


def _top1_agreement(pairs: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> float | None:
    """Of outputs [samples, classes] of floats, with any number of trailing dimensions of 1."""
    reference, _ = pairs[0]
    shape = reference.shape
    if reference.dtype.kind != "f" or len(shape) < 2 or shape[1] < 2 or math.prod(shape[2:]) != 1:
        return None
    agreements = [
        right.reshape(shape[:2]).argmax(axis=1) == got.reshape(shape[:2]).argmax(axis=1) for right, got in pairs
    ]
    return float(np.mean(agreements))
