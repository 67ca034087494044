import json
import time

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from compression.autoencoder import (
    METADATA_KEY,
    AutoencoderSpec,
    build_autoencoder,
    low_pass_weights,
    reconstructor,
    set_inspection,
    to_onnx,
)
from compression.data.capsule import photograph
from contract.manifest import Inspection
from inspection.preprocess import Preprocessing, prepare
from inspection.score import Score, decode_error_map, render_map

CAPSULE = prepare(photograph(0), Preprocessing(height=256, width=256))


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return build_autoencoder(mean_image=CAPSULE[0])


def test_is_a_valid_model_that_old_runtimes_read(model: onnx.ModelProto) -> None:
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == 8
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 13)]
    assert {node.op_type for node in model.graph.node} == {"Sub", "Add", "Conv", "ConvTranspose", "Relu"}


def test_reconstruction_has_the_images_shape(model: onnx.ModelProto) -> None:
    for value, name in ((model.graph.input[0], "image"), (model.graph.output[0], "reconstruction")):
        assert value.name == name
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        assert [dim.dim_value for dim in value.type.tensor_type.shape.dim] == [1, 3, 256, 256]


def test_has_between_one_and_two_million_weights(model: onnx.ModelProto) -> None:
    kernels = [numpy_helper.to_array(tensor) for tensor in model.graph.initializer if tensor.name.endswith(".weight")]
    assert sum(kernel.size for kernel in kernels) == AutoencoderSpec().weight_count
    assert 1_000_000 <= AutoencoderSpec().weight_count <= 2_000_000
    assert len(kernels) == len(AutoencoderSpec().layers) == 10


def test_a_seed_is_a_file() -> None:
    assert build_autoencoder(3, 64).SerializeToString() == build_autoencoder(3, 64).SerializeToString()
    assert build_autoencoder(3, 64).SerializeToString() != build_autoencoder(4, 64).SerializeToString()


def test_the_mean_image_is_its_own_reconstruction(model: onnx.ModelProto) -> None:
    np.testing.assert_allclose(reconstructor(model)(CAPSULE), CAPSULE, atol=1e-5)


def test_follows_the_lamp_but_not_a_scratch(model: onnx.ModelProto) -> None:
    changed = CAPSULE + np.float32(0.05)
    changed[:, :, 128, 100:140] = 0
    reconstruction = reconstructor(model)(changed)
    inside = np.s_[:, :, 64:192, 64:192]
    np.testing.assert_allclose((reconstruction - CAPSULE)[inside], 0.05, atol=0.03)


def test_every_layer_has_a_say() -> None:
    spec = AutoencoderSpec(64)
    mean = np.full((3, 64, 64), 0.5, np.float32)
    image = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    weights = low_pass_weights(spec)
    usual = reconstructor(to_onnx(spec, weights, mean))(image)
    for layer in spec.layers:
        kernel, bias = weights[layer.name]
        other = reconstructor(to_onnx(spec, {**weights, layer.name: (kernel * np.float32(0.5), bias)}, mean))(image)
        assert np.abs(other - usual).max() > 1e-3


def test_the_filters_survive_a_truncated_decomposition() -> None:
    for kernel, _ in low_pass_weights(AutoencoderSpec()).values():
        for axis in (0, 1):
            unfolded = np.moveaxis(kernel, axis, 0).reshape(kernel.shape[axis], -1)
            singular_values = np.sqrt(np.linalg.eigvalsh(unfolded @ unfolded.T))[::-1]
            assert len(singular_values) == 3 or singular_values[2] > 2 * singular_values[3]


def test_runs_in_milliseconds_on_one_thread(model: onnx.ModelProto) -> None:
    reconstruct = reconstructor(model)
    durations = []
    for _ in range(15):
        start = time.perf_counter()
        reconstruct(CAPSULE)
        durations.append(time.perf_counter() - start)
    assert 0.001 < min(durations) < 0.030


def test_metadata_is_what_the_contract_reads(model: onnx.ModelProto) -> None:
    (entry,) = model.metadata_props
    assert entry.key == METADATA_KEY
    inspection = Inspection.model_validate_json(entry.value)
    assert inspection.preprocessing is not None
    assert (inspection.preprocessing.height, inspection.preprocessing.layout) == (256, "NCHW")
    assert inspection.score is not None
    assert inspection.score.threshold is None


def test_metadata_of_others_is_kept_and_ours_replaced() -> None:
    model = build_autoencoder(size=64)
    model.metadata_props.add(key="author", value="someone")
    set_inspection(model, Preprocessing(height=64, width=64), Score(sigma=2.0, threshold=0.5))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["author"] == "someone"
    assert json.loads(metadata[METADATA_KEY])["score"]["threshold"] == 0.5


def test_what_the_score_needs_travels_along() -> None:
    model = build_autoencoder(size=64)
    usual = np.linspace(1e-4, 1e-2, 64 * 64, dtype=np.float32).reshape(64, 64)
    good = [render_map(usual), render_map(usual.T)]
    judged = Score("max_normalised_squared_error", threshold=3.0)
    set_inspection(model, Preprocessing(height=64, width=64), judged, usual, good)
    known = Inspection.model_validate_json(model.metadata_props[0].value)
    assert known.score is not None
    assert (known.score.method, known.score.threshold) == ("max_normalised_squared_error", 3.0)
    assert known.training_error is not None
    np.testing.assert_allclose(decode_error_map(known.training_error, 64, 64), usual, rtol=1e-3)
    assert known.good_image_files() == tuple(good)


def test_what_is_not_given_is_not_written() -> None:
    model = build_autoencoder(size=64)
    assert set(json.loads(model.metadata_props[0].value)) == {"preprocessing", "score"}


@pytest.mark.parametrize("size", [0, -32, 100])
def test_a_size_that_cannot_be_halved_is_a_bug(size: int) -> None:
    with pytest.raises(ValueError, match=f"size {size}"):
        AutoencoderSpec(size)


def test_a_mean_image_of_another_size_is_a_bug() -> None:
    with pytest.raises(ValueError, match="mean image"):
        build_autoencoder(size=64, mean_image=CAPSULE[0])
