import json

import numpy as np
import onnx
import pytest

from compression.autoencoder import METADATA_KEY, SPECS, AutoencoderSpec, reference_model, set_inspection
from compression.calibrate import reconstructor_of
from compression.layers import count_weights
from contract.manifest import Inspection
from inspection.preprocess import Preprocessing
from inspection.score import Score, decode_error_map, render_map

TOY = AutoencoderSpec(16, (4, 8), linear_bottleneck=True)


def images(count: int = 6) -> np.ndarray:
    return np.random.default_rng(3).uniform(0, 1, (count, 3, 16, 16)).astype(np.float32)


def test_the_sizes_are_what_their_documentation_says() -> None:
    millions = {name: round(spec.weight_count / 1e6, 2) for name, spec in SPECS.items()}
    assert millions == {"tiny": 1.92, "small": 7.67, "medium": 18.68, "large": 31.79}


def test_a_model_of_no_weights_answers_with_the_mean_image() -> None:
    model = reference_model(TOY, images(), seed=0)
    for tensor in model.graph.initializer:
        if tensor.name.endswith((".weight", ".bias")):
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.zeros(tensor.dims, np.float32), tensor.name))
    made = reconstructor_of(model)(images(1))
    np.testing.assert_allclose(made[0], images().mean(axis=0), atol=1e-6)


def test_what_enters_the_first_layer_has_mean_0_and_deviation_1() -> None:
    model = reference_model(TOY, images(), seed=0)
    model.graph.output[0].name = "scaled"
    entering = np.concatenate([reconstructor_of(model)(image[np.newaxis]) for image in images()])
    assert abs(entering.mean()) < 1e-5
    assert entering.std() == pytest.approx(1, abs=1e-4)


def test_the_same_seed_gives_the_same_file_and_another_seed_another() -> None:
    files = [reference_model(TOY, images(), seed).SerializeToString() for seed in (0, 0, 1)]
    assert files[0] == files[1] != files[2]


def test_the_weights_are_those_of_the_specification() -> None:
    model = reference_model(TOY, images(), seed=0)
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == 8
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 13)]
    assert count_weights(model) == TOY.weight_count


def test_equal_images_leave_nothing_to_divide_by() -> None:
    grey = np.full((4, 3, 16, 16), 0.5, np.float32)
    made = reconstructor_of(reference_model(TOY, grey, seed=0))(grey[:1])
    assert np.isfinite(made).all()


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="16"):
        reference_model(TOY, np.zeros((2, 3, 8, 8), np.float32), seed=0)


def test_metadata_of_others_is_kept_and_ours_replaced() -> None:
    model = reference_model(AutoencoderSpec(64), np.zeros((2, 3, 64, 64), np.float32), seed=0)
    model.metadata_props.add(key="author", value="someone")
    set_inspection(model, Preprocessing(height=64, width=64), Score(sigma=2.0, threshold=0.5))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["author"] == "someone"
    assert json.loads(metadata[METADATA_KEY])["score"]["threshold"] == 0.5


def test_what_the_score_needs_travels_along() -> None:
    model = reference_model(AutoencoderSpec(64), np.zeros((2, 3, 64, 64), np.float32), seed=0)
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
    model = reference_model(AutoencoderSpec(64), np.zeros((2, 3, 64, 64), np.float32), seed=0)
    set_inspection(model, Preprocessing(height=64, width=64), Score())
    assert set(json.loads(model.metadata_props[0].value)) == {"preprocessing", "score"}


@pytest.mark.parametrize("size", [0, -32, 100])
def test_a_size_that_cannot_be_halved_is_a_bug(size: int) -> None:
    with pytest.raises(ValueError, match=f"size {size}"):
        AutoencoderSpec(size)
