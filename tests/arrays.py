"""Tensors of every dtype with the limits of their types among the values, and what declares or refuses them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from agent.errors import BadTensorError
from contract.tensors import ITEM_BYTES, Signature, TensorSpec

Array = NDArray[Any]
every_dtype = pytest.mark.parametrize("dtype", ITEM_BYTES)
small_shapes = hnp.array_shapes(max_dims=3, max_side=4)
on_a_busy_machine = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)


def signature(*inputs: TensorSpec) -> Signature:
    """Of an echo."""
    return Signature(inputs=inputs, outputs=inputs)


def spec(dtype: str = "float32", shape: tuple[int, ...] = (2, 3), name: str = "x") -> TensorSpec:
    return TensorSpec.model_validate({"name": name, "dtype": dtype, "shape": shape})


def some(dtype: str, shape: tuple[int, ...] = (2, 3)) -> Array:
    """The limits of the type are among the values."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        limits = [np.finfo(kind).max, -np.finfo(kind).max, np.finfo(kind).smallest_subnormal, -0.0]
    elif kind.kind == "b":
        limits = [True, False, False, True]
    else:
        limits = [np.iinfo(kind).max, np.iinfo(kind).min, 0, 1]
    return np.resize(np.array(limits, kind), shape)


def refusal(read: Any, *arguments: Any) -> BadTensorError:
    """What `read` says of them instead of a result."""
    with pytest.raises(BadTensorError) as caught:
        read(*arguments)
    assert caught.value.hint
    return caught.value
