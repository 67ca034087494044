"""The models that `host train` makes and `host compress` shrinks, on their way to TensorRT."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto

from compression.autoencoder import SPECS, reference_model
from compression.compress import compress
from converters.compare import compare
from converters.convert import Converted
from converters.reference import OnnxReference
from converters.weights import count_weights

RATES = (0.0, 0.9, 0.99)


def pictures(size: int, count: int = 6) -> NDArray[np.float32]:
    """Coarse squares with a little noise: float32 (n,3,size,size) in 0 to 1."""
    generator = np.random.default_rng(0)
    coarse = generator.random((count, 3, size // 16, size // 16))
    fine = np.kron(coarse, np.ones((16, 16))) * 0.9 + 0.1 * generator.random((count, 3, size, size))
    return fine.astype(np.float32)


@cache
def original(spec: str) -> ModelProto:
    return reference_model(SPECS[spec], pictures(SPECS[spec].size), seed=1)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("spec", ["tiny", "small"])
def test_at_every_rate_and_precision(
    spec: str, rate: float, convert_for_tensorrt: Callable[..., Converted], builds_in_tensorrt: Callable[[bytes], None]
) -> None:
    model = compress(original(spec), rate).model if rate else original(spec)
    images = pictures(SPECS[spec].size)
    cases = [[image[None]] for image in images]
    reference = OnnxReference(model.SerializeToString())
    expected = [reference(case) for case in cases]
    for precision, version, least_db in (
        ("fp32", (8, 2, 1), 110),
        ("fp16", (11, 1), 40),
        ("int8", (8, 5, 2), 25),
        ("int8", (11, 1), 25),
    ):
        converted = convert_for_tensorrt(model, precision, version, cases if precision == "int8" else ())
        assert converted.weights == count_weights(model)
        measured = OnnxReference(converted.model)
        assert compare(expected, [measured(case) for case in cases]).sqnr_db > least_db
        builds_in_tensorrt(converted.model)
