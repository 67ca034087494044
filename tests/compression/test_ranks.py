from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from kernels import falling

from compression.errors import BelowFloorError, RateOutOfRangeError
from compression.knapsack import front_of
from compression.ranks import Allocation, Options, allocate_ranks, only_option, options_of
from compression.spectrum import spectrum
from compression.tucker import Price, decompose


def of(*shape: int, name: str = "layer", price: Price | None = None, **more: float) -> Options:
    return options_of(name, spectrum(falling(*shape, seed=sum(shape)), "Conv"), price or Price(), **more)


def loss(layer: Options, ranks: tuple[int, int]) -> float:
    rows = np.flatnonzero((layer.ranks == ranks).all(1))
    return float(-np.log1p(-layer.squared_errors[rows].min()))


MODEL = [of(16, 3, 3, 3), of(32, 16, 3, 3), of(64, 32, 3, 3), of(32, 64, 3, 3), of(16, 32, 1, 1), of(3, 16, 3, 3)]


def test_options_cost_what_the_factors_have() -> None:
    weight, price = falling(6, 4, 3, 3), Price(first=100, core=10, last=1)
    layer = options_of("layer", spectrum(weight, "Conv"), price)
    assert len(layer.ranks) == 6 * 4 + 1
    for ranks, cost in zip(layer.ranks.tolist(), layer.costs, strict=True):
        assert decompose(weight, (ranks[0], ranks[1]), "Conv").cost(price) == cost
    assert layer.dense_cost == weight.size * 10


def test_a_matrix_has_one_factor_alone() -> None:
    layer = options_of("matrix", spectrum(falling(6, 4), "Linear"), Price())
    assert layer.ranks.tolist() == [[1, 4], [2, 4], [3, 4], [4, 4], [6, 4]]
    assert layer.costs.tolist() == [10, 20, 30, 40, 24]


@pytest.mark.parametrize("allocation", get_args(Allocation))
@pytest.mark.parametrize("rate", [0.05, 0.3, 0.5, 0.8, 0.9, 0.95, 0.98])
def test_rates_are_met_and_never_undercut(rate: float, allocation: Allocation) -> None:
    allocated = allocate_ranks(MODEL, rate, allocation)
    assert allocated.dense_cost == sum(layer.dense_cost for layer in MODEL)
    assert rate - 1e-9 <= allocated.rate <= rate + 2e-4
    cost = sum(
        int(layer.costs[(layer.ranks == ranks).all(1)].min())
        for layer, ranks in zip(MODEL, allocated.ranks, strict=True)
    )
    assert cost == allocated.cost


@pytest.mark.parametrize("allocation", get_args(Allocation))
def test_a_higher_rate_never_has_more_weights(allocation: Allocation) -> None:
    rates = np.concatenate([np.linspace(0.4, 0.406, 40), np.linspace(0.1, 0.98, 30)])
    for layers in (MODEL, MODEL[:1], MODEL[1:3]):
        floor = 1 - sum(int(layer.costs.min()) for layer in layers) / sum(layer.dense_cost for layer in layers)
        costs = [allocate_ranks(layers, float(rate), allocation).cost for rate in sorted(rates[rates < floor])]
        assert len(costs) > 50
        assert all(before >= after for before, after in pairwise(costs))


def best_by_trying_all(layers: list[Options], budget: int) -> float:
    sums = np.array([[0, 0.0]])
    for layer in layers:
        losses = -np.log1p(-np.minimum(layer.squared_errors, 1 - 1e-12))
        front = front_of(layer.costs, losses)
        step = np.stack([layer.costs[front], losses[front]], 1)
        sums = (sums[:, np.newaxis] + step).reshape(-1, 2)
    return float(sums[sums[:, 0] <= budget, 1].min())


@pytest.mark.parametrize("rate", [0.2, 0.35, 0.5, 0.65, 0.8])
def test_the_log_allocation_is_near_the_best_of_all(rate: float) -> None:
    layers = [of(8, 3, 2, 2), of(9, 8, 2, 2), of(5, 9, 2, 2)]
    allocated = allocate_ranks(layers, rate)
    total = sum(loss(layer, ranks) for layer, ranks in zip(layers, allocated.ranks, strict=True))
    best = best_by_trying_all(layers, allocated.dense_cost - int(np.ceil(rate * allocated.dense_cost - 1e-6)))
    assert best - 1e-9 <= total <= 1.25 * best


def test_equal_gives_every_layer_the_same_share() -> None:
    layers = [of(64, 32, 3, 3), of(64, 64, 3, 3), of(32, 64, 3, 3)]
    shares = []
    for layer, ranks in zip(layers, allocate_ranks(layers, 0.8, "equal").ranks, strict=True):
        full = layer.ranks[-1]
        shares += [ranks[0] / full[0], ranks[1] / full[1]]
    assert max(shares) - min(shares) < 0.12  # so much it takes to meet the rate with three layers


def test_energy_weighs_large_kernels_more_and_log_does_not() -> None:
    weight = falling(32, 32, 3, 3)
    layers = [
        options_of("small", spectrum(weight, "Conv"), Price()),
        options_of("large", spectrum(weight * 9, "Conv"), Price()),
    ]
    small, large = allocate_ranks(layers, 0.8, "energy").ranks
    assert large[0] > 2 * small[0]
    small, large = allocate_ranks(layers, 0.8, "log").ranks
    assert large[0] < 1.5 * small[0]


def test_an_important_layer_gets_more() -> None:
    plain = [of(32, 32, 3, 3), of(32, 32, 3, 3)]
    weighed = [plain[0], of(32, 32, 3, 3, importance=5.0)]
    assert allocate_ranks(weighed, 0.8).ranks[1][0] > 1.2 * allocate_ranks(plain, 0.8).ranks[1][0]


def test_layers_left_alone_count_in_the_whole() -> None:
    layers = [of(32, 32, 3, 3), only_option("depthwise", 3000, (1, 1), 3000)]
    allocated = allocate_ranks(layers, 0.5)
    assert allocated.dense_cost == 9216 + 3000
    assert allocated.cost <= (9216 + 3000) / 2
    assert allocated.ranks[1] == (1, 1)


def test_a_rate_beyond_the_floor_names_it() -> None:
    floor = 1 - (32 + 32 + 9) / 9216
    with pytest.raises(BelowFloorError, match=r"with every rank at 1 it is 0\.99") as caught:
        allocate_ranks([of(32, 32, 3, 3)], 0.999)
    assert caught.value.floor == pytest.approx(floor)
    assert "0.99207" in caught.value.hint
    assert allocate_ranks([of(32, 32, 3, 3)], 0.99207).ranks == ((1, 1),)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.5, 99.0, float("nan")])
def test_a_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(RateOutOfRangeError):
        allocate_ranks(MODEL, rate)


def test_what_cannot_be_met_says_how_large_the_next_step_is() -> None:
    allocated = allocate_ranks([of(3, 3, 2, 2)], 0.1)
    assert allocated.rate > 0.1002
    assert allocated.next_step is not None
    assert allocated.cost + allocated.next_step > 0.9 * allocated.dense_cost


def test_an_unknown_allocation_is_a_bug() -> None:
    with pytest.raises(ValueError, match="'vbmf' is not one of"):
        allocate_ranks(MODEL, 0.5, "vbmf")
