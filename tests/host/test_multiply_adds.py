"""Two rooms count multiply-adds, each for itself: a compression its layers', a conversion a whole model's."""

from pathlib import Path

import onnx
import pytest
import zoo
from onnx import ModelProto

import compression
from compression.compress import compress
from compression.layers import find_layers
from compression.shapes import infer_shapes, multiply_adds
from compression.table import read_table
from converters.anatomy.onnx_macs import of_model

MODELS = Path(compression.__file__).parent / "models"


def of_layers(model: ModelProto) -> int:
    """As a compression counts them."""
    shapes = infer_shapes(model)
    prices = [(layer, multiply_adds(layer, shapes)) for layer in find_layers(model)]
    return sum(layer.weights * price.core for layer, price in prices if price is not None)


@pytest.mark.parametrize("name", ["convolution", "classifier", "autoencoder"])
def test_both_count_the_same(name: str) -> None:
    made = getattr(zoo, name)()
    assert of_model(made) == of_layers(made) > 0


@pytest.mark.parametrize("name", ["autoencoder.onnx", "autoencoder-95.onnx"])
def test_of_the_models_of_the_demo(name: str) -> None:
    model = onnx.load(MODELS / name)
    assert of_model(model) == of_layers(model) > 10**6


def test_a_compressed_model_has_what_its_table_says() -> None:
    made = onnx.load(MODELS / "autoencoder-95.onnx")
    assert of_model(made) == sum(layer.macs_after or 0 for layer in read_table(made).layers)
    original = onnx.load(MODELS / "autoencoder.onnx")
    again = compress(original, 0.5)
    assert of_model(original) == sum(layer.macs_before or 0 for layer in again.table.layers)
    assert of_model(again.model) == sum(layer.macs_after or 0 for layer in again.table.layers)
