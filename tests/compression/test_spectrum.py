from itertools import product

import numpy as np
import pytest
from kernels import falling

from compression import spectrum as module
from compression.spectrum import spectrum
from compression.tucker import sizes_of

SHAPES = [
    ("Conv", (6, 4, 3, 3), 1),
    ("Conv", (3, 7, 2, 2), 1),
    ("Conv", (6, 4, 5), 1),
    ("Conv", (6, 2, 3, 3), 2),
    ("Conv", (8, 1, 3, 3), 4),
    ("Conv", (3, 2, 2, 2, 2), 1),
    ("Conv", (6, 4, 1, 1), 1),
    ("ConvTranspose", (4, 6, 3, 3), 1),
    ("ConvTranspose", (6, 2, 3, 3), 2),
    ("ConvTranspose", (4, 6, 1, 1), 1),
    ("Linear", (6, 4), 1),
    ("Linear", (4, 6), 1),
    ("MatMul", (4, 6), 1),
]


@pytest.mark.parametrize(("kind", "shape", "groups"), SHAPES)
def test_the_table_has_the_true_error_of_every_pair(kind: str, shape: tuple[int, ...], groups: int) -> None:
    weight = falling(*shape)
    whole = spectrum(weight, kind, groups)
    assert whole.squared_errors.shape == (len(whole.out_ranks), len(whole.in_ranks))
    for ranks in product(whole.out_ranks.tolist(), whole.in_ranks.tolist()):
        true = np.linalg.norm(weight - whole.truncate(ranks).rebuild()) / np.linalg.norm(weight)
        assert whole.relative_error(ranks) == pytest.approx(true, abs=2e-6)


@pytest.mark.parametrize(("kind", "shape", "groups"), SHAPES)
def test_two_factors_have_all_pairs_and_a_matrix_one_side(kind: str, shape: tuple[int, ...], groups: int) -> None:
    whole, sizes = spectrum(falling(*shape), kind, groups), sizes_of(shape, kind, groups)
    if sizes.positions > 1:
        assert (len(whole.out_ranks), len(whole.in_ranks)) == sizes.full
    elif kind == "ConvTranspose":
        assert (whole.out_ranks.tolist(), len(whole.in_ranks)) == ([sizes.outputs], min(sizes.full))
    else:
        assert (len(whole.out_ranks), whole.in_ranks.tolist()) == (min(sizes.full), [sizes.inputs])


@pytest.mark.parametrize(("kind", "shape", "groups"), SHAPES)
def test_larger_ranks_never_err_more(kind: str, shape: tuple[int, ...], groups: int) -> None:
    errors = spectrum(falling(*shape), kind, groups).squared_errors
    assert (np.diff(errors, axis=0) <= 1e-12).all()
    assert (np.diff(errors, axis=1) <= 1e-12).all()
    assert errors[-1, -1] == 0


def test_limits_only_leave_out() -> None:
    weight = falling(20, 12, 3, 3)
    limited = spectrum(weight, "Conv", limits=(5, 4))
    assert limited.squared_errors.shape == (5, 4)
    for ranks in product(range(1, 6), range(1, 5)):
        true = np.linalg.norm(weight - limited.truncate(ranks).rebuild()) / np.linalg.norm(weight)
        assert limited.relative_error(ranks) == pytest.approx(true, abs=2e-6)
    assert limited.energy == pytest.approx(np.sum(weight.astype(float) ** 2), rel=1e-6)
    with pytest.raises(ValueError, match="not in this spectrum"):
        limited.truncate((6, 4))


def test_a_cut_basis_is_hardly_worse_than_the_whole_one() -> None:
    weight = falling(30, 20, 3, 3)
    whole, limited = spectrum(weight, "Conv"), spectrum(weight, "Conv", limits=(10, 10))
    ratio = np.sqrt(limited.squared_errors / whole.squared_errors[:10, :10])
    assert ratio.max() < 1.01


def test_few_of_many_channels_are_found_without_all_eigenvectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """By subspace iteration, whose errors are exact too, and near the best up to three quarters of the limit."""
    weight = falling(96, 12, 2, 2)
    whole = spectrum(weight, "Conv")
    monkeypatch.setattr(module, "_MANY", 64)
    limited = spectrum(weight, "Conv", limits=(16, 12))
    ratio = np.sqrt(limited.squared_errors[:12] / whole.squared_errors[:12, :12])
    assert ratio.min() > 0.999
    assert 1.00001 < ratio.max() < 1.01  # it is another basis
    true = np.linalg.norm(weight - limited.truncate((16, 12)).rebuild()) / np.linalg.norm(weight)
    assert limited.relative_error((16, 12)) == pytest.approx(true, abs=1e-5)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_scale_of_a_kernel_does_not_matter(scale: float) -> None:
    weight = falling(6, 4, 3, 3)
    usual, scaled = spectrum(weight, "Conv"), spectrum((weight * scale).astype(np.float32), "Conv")
    np.testing.assert_allclose(scaled.squared_errors, usual.squared_errors, atol=1e-6)
    assert scaled.energy == pytest.approx(usual.energy * scale**2, rel=1e-5)


def test_a_kernel_of_zeros_has_no_error() -> None:
    assert not spectrum(np.zeros((4, 3, 2, 2), np.float32), "Conv").squared_errors.any()
