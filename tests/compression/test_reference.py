import numpy as np
import onnx
import pytest

from compression.autoencoder import AutoencoderSpec, reconstructor
from compression.layers import count_weights
from compression.reference import SPECS, reference_model

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
    made = reconstructor(model)(images(1))
    np.testing.assert_allclose(made[0], images().mean(axis=0), atol=1e-6)


def test_what_enters_the_first_layer_has_mean_0_and_deviation_1() -> None:
    model = reference_model(TOY, images(), seed=0)
    model.graph.output[0].name = "scaled"
    entering = np.concatenate([reconstructor(model)(image[np.newaxis]) for image in images()])
    assert abs(entering.mean()) < 1e-5
    assert entering.std() == pytest.approx(1, abs=1e-4)


def test_the_same_seed_gives_the_same_file_and_another_seed_another() -> None:
    files = [reference_model(TOY, images(), seed).SerializeToString() for seed in (0, 0, 1)]
    assert files[0] == files[1] != files[2]


def test_the_weights_are_those_of_the_specification() -> None:
    model = reference_model(TOY, images(), seed=0)
    onnx.checker.check_model(model)
    assert count_weights(model) == TOY.weight_count


def test_equal_images_leave_nothing_to_divide_by() -> None:
    grey = np.full((4, 3, 16, 16), 0.5, np.float32)
    made = reconstructor(reference_model(TOY, grey, seed=0))(grey[:1])
    assert np.isfinite(made).all()


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="16"):
        reference_model(TOY, np.zeros((2, 3, 8, 8), np.float32), seed=0)
