import doctest
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import falling, relative_difference

from compression import tucker
from compression.errors import BadRanksError, NanWeightsError
from compression.tucker import Price, decompose, from_blocks, sizes_of, to_blocks

SHAPES = {
    "Conv": ((6, 4, 3, 3), 1),
    "Conv in 1-D": ((6, 4, 5), 1),
    "Conv in 3-D": ((5, 4, 2, 3, 2), 1),
    "Conv in groups": ((6, 4, 3, 3), 2),
    "Conv, more inputs": ((3, 7, 2, 2), 1),
    "Conv 1x1": ((6, 4, 1, 1), 1),
    "ConvTranspose": ((4, 6, 3, 3), 1),
    "ConvTranspose in groups": ((4, 3, 3, 3), 2),
    "ConvTranspose 1x1": ((4, 6, 1, 1), 1),
    "Linear": ((6, 4), 1),
    "MatMul": ((4, 6), 1),
}


@pytest.mark.parametrize("case", SHAPES)
def test_blocks_are_the_kernel_in_another_order(case: str) -> None:
    (shape, groups), kind = SHAPES[case], case.split(" ")[0].rstrip(",")
    weight = falling(*shape)
    blocks = to_blocks(weight, kind, groups)
    sizes = sizes_of(shape, kind, groups)
    assert blocks.shape == (groups, sizes.positions, *sizes.full)
    np.testing.assert_array_equal(from_blocks(blocks, kind, shape[2:]), weight)
    output, entry, place = sizes.outputs - 1, 1, sizes.positions - 1  # of the last group
    row, column = (entry, output) if kind in ("ConvTranspose", "MatMul") else (output, entry)
    by_hand = weight.reshape(groups, -1, *weight.shape[1:2], sizes.positions)[-1, row, column, place]
    assert blocks[-1, place, output, entry] == by_hand


def products(factors: tucker.Factors) -> np.ndarray:
    """The parts put together by one dense sum."""
    core = factors.core
    last = factors.last if factors.last is not None else np.eye(core.shape[2])[np.newaxis].repeat(len(core), 0)
    first = factors.first if factors.first is not None else np.eye(core.shape[3])[np.newaxis].repeat(len(core), 0)
    return np.einsum("goa,gpab,gbi->gpoi", last, core, first)


@pytest.mark.parametrize("case", SHAPES)
def test_every_pair_of_ranks_has_its_parts_and_counts_them(case: str) -> None:
    (shape, groups), kind = SHAPES[case], case.split(" ")[0].rstrip(",")
    weight = falling(*shape)
    sizes = sizes_of(shape, kind, groups)
    for ranks in product(range(1, sizes.outputs + 1), range(1, sizes.inputs + 1)):
        factors = decompose(weight, ranks, kind, groups)
        parts = [part for part in (factors.first, factors.core, factors.last) if part is not None]
        assert factors.weight_count == sum(part.size for part in parts)
        np.testing.assert_allclose(to_blocks(factors.rebuild(), kind, groups), products(factors), atol=1e-6)
        if sizes.positions > 1:
            assert factors.ranks == ranks
            assert (factors.last is None, factors.first is None) == (
                ranks[0] == sizes.outputs,
                ranks[1] == sizes.inputs,
            )
        else:
            assert factors.last is None or factors.first is None


@pytest.mark.parametrize("case", SHAPES)
def test_full_ranks_are_the_kernel_itself(case: str) -> None:
    (shape, groups), kind = SHAPES[case], case.split(" ")[0].rstrip(",")
    weight = falling(*shape)
    factors = decompose(weight, sizes_of(shape, kind, groups).full, kind, groups)
    assert factors.first is None
    assert factors.last is None
    np.testing.assert_array_equal(factors.rebuild(), weight)


def test_a_matrix_is_cut_as_by_numpys_svd() -> None:
    weight = falling(9, 5)
    left, values, right = np.linalg.svd(weight)
    for rank in range(1, 5):
        best = (left[:, :rank] * values[:rank]) @ right[:rank]
        for kind, turned in (("Linear", weight), ("MatMul", weight.T)):
            rebuilt = decompose(turned, (rank, 5) if kind == "Linear" else (rank, rank), kind).rebuild()
            np.testing.assert_allclose(rebuilt if kind == "Linear" else rebuilt.T, best, atol=1e-5)


def test_the_rank_of_a_matrix_is_the_smaller_of_the_two() -> None:
    weight = falling(9, 5)
    assert decompose(weight, (3, 2), "Linear").ranks == (2, 5)
    assert decompose(weight.reshape(9, 5, 1, 1), (2, 3), "ConvTranspose").ranks == (5, 2)
    assert decompose(weight, (9, 4), "Linear").weight_count == 4 * (9 + 5)


def test_groups_are_decomposed_apart() -> None:
    weight = falling(8, 3, 3, 3)
    together = decompose(weight, (2, 2), "Conv", groups=2).rebuild()
    apart = np.concatenate([decompose(half, (2, 2), "Conv").rebuild() for half in np.split(weight, 2)])
    np.testing.assert_allclose(together, apart, atol=1e-6)


def test_a_transposed_convolution_is_a_convolution_the_other_way_round() -> None:
    weight = falling(7, 5, 3, 3)
    there = decompose(weight, (3, 2), "Conv").rebuild()
    back = decompose(weight.swapaxes(0, 1), (3, 2), "ConvTranspose").rebuild()
    np.testing.assert_allclose(back.swapaxes(0, 1), there, atol=1e-6)


@given(st.integers(2, 8), st.integers(2, 8), st.data())
@settings(max_examples=40, deadline=None)
def test_the_error_is_within_the_bounds_of_the_higher_order_svd(outputs: int, inputs: int, data: st.DataObject) -> None:
    """De Lathauwer et al.: at least the larger of both tails, at most their sum."""
    weight = np.random.default_rng(data.draw(st.integers(0, 1000))).standard_normal((outputs, inputs, 3, 2))
    ranks = data.draw(st.integers(1, outputs)), data.draw(st.integers(1, inputs))
    error = np.sum((weight - decompose(weight, ranks, "Conv").rebuild()) ** 2)
    tails = [
        np.sum(np.linalg.svd(np.moveaxis(weight, axis, 0).reshape(size, -1), compute_uv=False)[rank:] ** 2)
        for axis, (size, rank) in enumerate(zip((outputs, inputs), ranks, strict=True))
    ]
    assert max(tails) - 1e-9 <= error <= sum(tails) + 1e-9


def test_sweeps_lower_the_error() -> None:
    weight = np.random.default_rng(0).standard_normal((12, 10, 3, 3)).astype(np.float32)
    errors = [
        np.linalg.norm(weight - decompose(weight, (4, 3), "Conv", sweeps=sweeps).rebuild()) for sweeps in (0, 1, 5)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] > 0.9 * errors[0]


def test_float64_stays_and_float16_is_computed_in_float32() -> None:
    weight = falling(6, 4, 3, 3)
    assert decompose(weight.astype(np.float64), (2, 2), "Conv").rebuild().dtype == np.float64
    assert decompose(weight.astype(np.float16), (2, 2), "Conv").rebuild().dtype == np.float32


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e30])
@pytest.mark.parametrize("shape", [(6, 4, 3, 3), (6, 4, 1, 1)])
def test_kernels_that_decayed_or_exploded_keep_their_precision(scale: float, shape: tuple[int, ...]) -> None:
    weight = falling(*shape)
    usual = decompose(weight, (3, 2), "Conv").rebuild()
    scaled = decompose((weight * scale).astype(np.float32), (3, 2), "Conv").rebuild()
    assert relative_difference(scaled / np.float32(scale), usual) < 1e-5


def test_a_kernel_of_zeros_stays_one() -> None:
    assert not decompose(np.zeros((4, 3, 2, 2), np.float32), (2, 1), "Conv").rebuild().any()


def test_prices_are_paid_part_by_part() -> None:
    factors = decompose(falling(6, 4, 3, 3), (3, 2), "Conv")
    assert factors.cost(Price(first=100, core=10, last=1)) == 100 * 2 * 4 + 10 * 3 * 2 * 9 + 6 * 3


@pytest.mark.parametrize(("ranks", "said"), [((0, 1), "output rank 0"), ((7, 1), "6 output"), ((1, 5), "input rank 5")])
def test_ranks_out_of_range_are_named(ranks: tuple[int, int], said: str) -> None:
    with pytest.raises(BadRanksError, match=said):
        decompose(falling(6, 4, 3, 3), ranks, "Conv")


def test_nan_and_infinity_are_refused_and_counted() -> None:
    weight = falling(6, 4, 3, 3)
    weight[0, 0, 0, :2] = np.nan, np.inf
    with pytest.raises(NanWeightsError, match="2 of the 216 weights"):
        decompose(weight, (2, 2), "Conv")


def test_a_shape_of_another_kind_is_a_bug() -> None:
    for shape, kind, groups in (((4,), "Conv", 1), ((4, 4, 3), "Linear", 1), ((5, 4, 3), "Conv", 2)):
        with pytest.raises(ValueError, match="no kernel of kind"):
            decompose(np.ones(shape, np.float32), (1, 1), kind, groups)


def test_the_example_in_the_docstring() -> None:
    assert doctest.testmod(tucker).failed == 0
    assert doctest.testmod(tucker).attempted > 0
