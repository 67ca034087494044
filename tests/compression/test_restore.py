import numpy as np
import pytest
from kernels import autoencoder, chain, classifier, falling, images, relative_difference, run
from onnx import helper

from compression.compress import compress
from compression.errors import NotCompressedError
from compression.layers import count_weights
from compression.restore import restore_layers
from compression.table import METADATA_KEY


@pytest.mark.parametrize("name", ["autoencoder", "classifier", "old gemm", "left"])
def test_restored_layers_compute_the_same(name: str) -> None:
    gemm = helper.make_node("Gemm", ["x", "w", "b"], ["y"], name="gemm", alpha=0.5, beta=2.0, transA=1)
    left = helper.make_node("Gemm", ["w", "x"], ["y"], name="gemm", alpha=0.5, transB=1)
    model, x = {
        "autoencoder": (autoencoder(), np.random.default_rng(0).random((1, 3, 32, 32), np.float32)),
        "classifier": (classifier(), images(2, 3, 32, 32)),
        "old gemm": (chain([gemm], (40, 7), opset=9, w=falling(40, 30), b=images(30)), images(40, 7)),
        "left": (chain([left], (7, 30), w=falling(40, 30)), images(7, 30)),
    }[name]
    feed = {model.graph.input[0].name: x}
    compressed = compress(model, 0.8).model
    restored = restore_layers(compressed)
    assert count_weights(restored) == count_weights(model)
    assert relative_difference(run(restored, **feed)[0], run(compressed, **feed)[0]) < 2e-5
    assert METADATA_KEY not in {entry.key for entry in restored.metadata_props}
    assert len(restored.graph.initializer) == len(compress(model, 0.1).model.graph.initializer) - sum(
        1 if row.kernels.first is None or row.kernels.last is None else 2
        for row in compress(model, 0.1).table.layers
        if row.kernels is not None
    ) - (name == "old gemm")
    assert compress(restored, 0.85).table.rate >= 0.85


def test_a_model_that_lost_its_parts_cannot_be_restored() -> None:
    model = compress(classifier(), 0.8).model
    for tensor in model.graph.initializer:
        if tensor.name.endswith(".core"):
            tensor.name = f"{tensor.name}.renamed"
    with pytest.raises(NotCompressedError, match="no longer has"):
        restore_layers(model)
    with pytest.raises(NotCompressedError, match="metadata"):
        restore_layers(classifier())
