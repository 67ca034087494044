"""What a compressed model has to beat: the mean training image and PCA, as reconstructions.

They need no training beyond a decomposition and show what an AUC is worth: a model at the level of the mean image has
learned nothing. PCA as an autoencoder: Baldi and Hornik, "Neural networks and principal component analysis: Learning
from examples without local minima", Neural Networks 2, 1989.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

TOLERANCE = 0.01
"""`best_pca` takes the fewest components whose error is within this share of the least."""
_BLOCK = 8192  # columns that are in double precision at a time


@dataclass(frozen=True)
class Baseline:
    """`reconstruct`: prepared images (n,C,H,W) -> the same shape, float32.

    `weights` are counted as a model's: the mean image is not, and a matrix that is used twice counts once.
    """

    name: str
    weights: int
    reconstruct: Callable[[Floats], Floats]


def mean_image(train: Floats) -> Baseline:
    """Every image's reconstruction is the mean of the training images (n,C,H,W)."""
    mean = train.mean(axis=0, dtype=np.float64).astype(np.float32)
    return Baseline("mean image", 0, lambda images: np.broadcast_to(mean, images.shape).copy())


def pca(train: Floats, components: int) -> Baseline:
    """Projection onto the mean and the first principal components of the training images (n,C,H,W).

    ValueError for fewer than 1 component or more than n - 1.
    """
    mean, basis = _principal_components(train)
    return _projection(mean, basis, components)


def best_pca(train: Floats, held_out: Floats) -> Baseline:
    """`pca` with the number of components that the held-out good images (m,C,H,W) ask for.

    Their mean squared error never rises with a further component, so that its minimum would always be at all n - 1:
    taken are the fewest components within `TOLERANCE` of it.
    """
    mean, basis = _principal_components(train)
    centred = held_out.reshape(len(held_out), -1) - mean
    explained = np.square(centred @ basis.T, dtype=np.float64).sum(axis=0).cumsum()
    errors = np.square(centred, dtype=np.float64).sum() - explained
    return _projection(mean, basis, int(np.argmax(errors <= errors[-1] * (1 + TOLERANCE))) + 1)


def _principal_components(train: Floats) -> tuple[Floats, Floats]:
    """Mean (d,) and orthonormal components (n - 1, d), d = C * H * W, the largest variance first.

    From the (n,n) matrix of inner products, as n is far below d (Sirovich and Kirby, "Low-dimensional procedure for
    the characterization of human faces", J. Opt. Soc. Am. A 4, 1987). Components without variance are zero.
    """
    if len(train) < 2:
        raise ValueError(f"{len(train)} images have no principal component")
    flat = train.reshape(len(train), -1)
    mean: Floats = np.asarray(flat.mean(axis=0, dtype=np.float64), np.float32)
    centred = flat - mean
    products = np.zeros((len(flat), len(flat)))
    for start in range(0, flat.shape[1], _BLOCK):
        block = centred[:, start : start + _BLOCK].astype(np.float64)
        products += block @ block.T
    variances, vectors = np.linalg.eigh(products)
    variances, vectors = variances[:0:-1], vectors[:, :0:-1]  # the smallest is 0: the images are centred
    scales = np.where(variances > variances[0] * 1e-12, np.sqrt(np.maximum(variances, 1e-300)), np.inf)
    return mean, (vectors / scales).astype(np.float32).T @ centred


def _projection(mean: Floats, basis: Floats, components: int) -> Baseline:
    if not 1 <= components <= len(basis):
        raise ValueError(f"{components} components, 1 to {len(basis)} are possible")
    kept = basis[:components]

    def reconstruct(images: Floats) -> Floats:
        centred = images.reshape(len(images), -1) - mean
        projected = np.asarray((centred @ kept.T) @ kept + mean, np.float32)
        return projected.reshape(images.shape)

    return Baseline(f"PCA-{components}", kept.size, reconstruct)
