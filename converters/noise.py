"""Made-up input tensors: enough to run a model, and to compare two runs of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.signature import TensorSpec

_FULL_RANGE = {"uint8": (0, 256), "int8": (-128, 128)}
"""Quantised images use all of their range."""
_INDEX = (0, 2)
"""Wider integers are mostly indices or lengths: 0 and 1 are valid nearly everywhere."""


def noise(specs: Sequence[TensorSpec], seed: int) -> list[NDArray[Any]]:
    """One seeded tensor per spec: floats in [0, 1), 8-bit integers over their range, other integers and bools 0 or 1.

    The same specs and seed give the same tensors.
    """
    generator = np.random.default_rng(seed)
    return [_tensor(generator, spec) for spec in specs]


def constant(specs: Sequence[TensorSpec], value: int) -> list[NDArray[Any]]:
    """One tensor per spec, filled with `value`."""
    return [np.full(spec.shape, value, dtype=spec.dtype) for spec in specs]


def _tensor(generator: np.random.Generator, spec: TensorSpec) -> NDArray[Any]:
    if np.dtype(spec.dtype).kind == "f":
        # 11 bits are what float16 holds below 1: rounded up to float16, a finer number could become 1.
        return np.asarray(generator.integers(0, 2**11, spec.shape) / 2**11, dtype=spec.dtype)
    low, high = _FULL_RANGE.get(spec.dtype, _INDEX)
    return np.asarray(generator.integers(low, high, spec.shape), dtype=spec.dtype)
