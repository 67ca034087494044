import numpy as np
import pytest

from compression.baselines import best_pca, mean_image, pca

RNG = np.random.default_rng(0)
SHAPE = (3, 8, 8)


def images_in_a_plane(count: int, noise: float = 0.0) -> np.ndarray:
    """Combinations of two patterns around an offset, the first five times as strong."""
    patterns = np.random.default_rng(1).normal(size=(2, *SHAPE))
    strengths = RNG.normal(size=(count, 2)) * (5, 1)
    clean = 0.5 + np.tensordot(strengths, patterns, 1)
    return (clean + noise * RNG.normal(size=clean.shape)).astype(np.float32)


def test_the_mean_image_ignores_what_it_is_shown() -> None:
    train = images_in_a_plane(6)
    baseline = mean_image(train)
    np.testing.assert_allclose(baseline.reconstruct(train[:2]), [train.mean(axis=0)] * 2, atol=1e-6)
    assert (baseline.name, baseline.weights) == ("mean image", 0)


def test_two_components_hold_a_plane() -> None:
    baseline = pca(images_in_a_plane(20), 2)
    unseen = images_in_a_plane(5)
    reconstruction = baseline.reconstruct(unseen)
    assert reconstruction.dtype == np.float32
    assert reconstruction.shape == unseen.shape
    np.testing.assert_allclose(reconstruction, unseen, atol=1e-4)
    assert (baseline.name, baseline.weights) == ("PCA-2", 2 * 3 * 8 * 8)


def test_agrees_with_a_singular_value_decomposition() -> None:
    train, unseen = images_in_a_plane(12, noise=0.5), images_in_a_plane(4, noise=0.5)
    mean = train.reshape(12, -1).mean(axis=0)
    basis = np.linalg.svd(train.reshape(12, -1) - mean, full_matrices=False)[2]
    for k in (1, 5, 11):
        expected = (unseen.reshape(4, -1) - mean) @ basis[:k].T @ basis[:k] + mean
        np.testing.assert_allclose(pca(train, k).reconstruct(unseen).reshape(4, -1), expected, atol=2e-4)


def test_all_components_hold_the_training_images() -> None:
    train = images_in_a_plane(10, noise=0.5)
    np.testing.assert_allclose(pca(train, 9).reconstruct(train), train, atol=2e-4)


def test_the_held_out_images_choose_the_components() -> None:
    assert best_pca(images_in_a_plane(30), images_in_a_plane(10)).name == "PCA-2"
    train, held_out = np.zeros((30, 3, 64, 64), np.float32), np.zeros((10, 3, 64, 64), np.float32)
    for images in (train, held_out):
        images[...] = RNG.normal(0, 0.01, images.shape)
        images += (RNG.normal(size=len(images)) * 0.5)[:, None, None, None].astype(np.float32)
    assert best_pca(train, held_out).name == "PCA-1"


def test_the_choice_is_within_the_tolerance_and_one_fewer_is_not() -> None:
    train, held_out = (RNG.random((count, *SHAPE), np.float32) for count in (25, 6))
    chosen = best_pca(train, held_out)
    k = int(chosen.name.removeprefix("PCA-"))

    def error(components: int) -> float:
        return float(np.square(pca(train, components).reconstruct(held_out) - held_out).sum())

    assert error(k) <= 1.01 * error(24) < error(k - 1)
    np.testing.assert_array_equal(chosen.reconstruct(held_out), pca(train, k).reconstruct(held_out))


def test_equal_images_have_nothing_to_decompose() -> None:
    train = np.full((4, *SHAPE), 0.25, np.float32)
    other = RNG.random((2, *SHAPE), np.float32)
    np.testing.assert_allclose(pca(train, 3).reconstruct(other), 0.25)


@pytest.mark.parametrize("components", [0, -1, 10])
def test_components_there_are_not_are_a_bug(components: int) -> None:
    with pytest.raises(ValueError, match=f"{components} components, 1 to 9"):
        pca(images_in_a_plane(10), components)


def test_one_image_has_no_component() -> None:
    with pytest.raises(ValueError, match="1 images"):
        pca(images_in_a_plane(1), 1)
