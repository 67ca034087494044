"""The ranks and factors of a model's layers, with as little of each kernel's spectrum as the choice needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np

from compression.activations import Metric
from compression.layers import Layer
from compression.ranks import Allocation, Options, allocate_ranks, only_option, options_of
from compression.spectrum import Spectrum, spectrum
from compression.tucker import Factors, Price, Ranks, Sizes, check_finite, decompose

_FEW = 136
"""Ranks up to which a whole spectrum costs next to nothing."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """The factors of the layers that are not left dense, and the errors of their kernels. `next_step` is the least that
    the next larger form of any layer would cost, where there was a choice."""

    factors: dict[Layer, Factors]
    relative_errors: dict[Layer, float]
    next_step: int | None = None


def choose(
    layers: Sequence[Layer],
    prices: Mapping[Layer, Price],
    fixed: Mapping[Layer, Factors],
    rate: float,
    allocation: Allocation,
    importance: Mapping[str, float],
    metrics: Mapping[Layer, Metric],
    sweeps: int,
) -> Chosen:
    """Ranks for all layers but those with an obstacle, which stay dense, and those that are `fixed`.

    A layer is first looked at up to ranks that its share of the rate suggests; where one is chosen that comes near the
    limit, up to twice that, until none does. `importance` of layers by name: see `ranks.Options`. With `metrics` the
    errors are those of the layers' outputs. `sweeps`: see `tucker.iterate`. BelowFloorError, NanWeightsError.
    """
    options = {layer: _only(layer, prices[layer], fixed.get(layer)) for layer in layers}
    free = [layer for layer in layers if layer.obstacle is None and layer not in fixed]
    limits = {layer: _first_limits(layer.sizes, rate, allocation) for layer in free}
    spectra: dict[Layer, Spectrum] = {}
    stale = free
    while True:
        for layer in stale:
            kernel = metrics[layer].weigh(layer) if layer in metrics else layer.kernel()
            check_finite(kernel, f"the layer {layer.name!r}")
            spectra[layer] = spectrum(kernel, layer.form.kind, layer.form.groups, limits[layer])
            options[layer] = options_of(layer.name, spectra[layer], prices[layer], importance.get(layer.name, 1.0))
        allocated = allocate_ranks([options[layer] for layer in layers], rate, allocation)
        ranks = dict(zip(layers, allocated.ranks, strict=True))
        stale = [layer for layer in free if _is_near(ranks[layer], limits[layer], layer.sizes)]
        if not stale:
            break
        limits |= {layer: _doubled(limits[layer], layer.sizes) for layer in stale}
    kept = only_fixed(fixed)
    factors, errors = dict(kept.factors), dict(kept.relative_errors)
    for layer in free:
        if ranks[layer] != layer.sizes.full:
            found, errors[layer] = spectra[layer].swept(ranks[layer], sweeps)
            factors[layer] = metrics[layer].unweigh(found) if layer in metrics else found
    return Chosen(factors, errors, allocated.next_step)


def decomposed(layer: Layer, ranks: Ranks, sweeps: int = 0) -> Factors:
    """The layer's kernel at `ranks`. BadRanksError, NanWeightsError."""
    kernel = layer.kernel()
    check_finite(kernel, f"the layer {layer.name!r}")
    return decompose(kernel, ranks, layer.form.kind, layer.form.groups, sweeps)


def only_fixed(fixed: Mapping[Layer, Factors]) -> Chosen:
    """Those of `fixed` that have a factor at all, and no other layer."""
    factors = {layer: each for layer, each in fixed.items() if each.first is not None or each.last is not None}
    return Chosen(factors, {layer: _error(layer, each) for layer, each in factors.items()})


def _error(layer: Layer, factors: Factors) -> float:
    kernel = layer.kernel().astype(np.float64)
    return float(np.linalg.norm(kernel - factors.rebuild()) / (np.linalg.norm(kernel) or 1))


def _only(layer: Layer, price: Price, factors: Factors | None) -> Options:
    """The one form of a layer that nothing is to be chosen for."""
    dense = layer.weights * price.core
    if factors is None:
        return only_option(layer.name, dense, (0, 0), dense)
    return only_option(layer.name, dense, factors.ranks, factors.cost(price))


def _first_limits(sizes: Sizes, rate: float, allocation: Allocation) -> Ranks:
    """Ranks that 1.2 times the layer's share of what is to be left would pay for, the same on both sides."""
    if allocation == "equal":  # there the ranks are in proportion to the channels
        share = sqrt(1.2 * (1 - rate))
        outputs, inputs = ceil(share * sizes.outputs), ceil(share * sizes.inputs)
    else:
        weights, channels = 1.2 * (1 - rate) * sizes.weights / sizes.groups, sizes.outputs + sizes.inputs
        root = sqrt(channels**2 + 4 * sizes.positions * weights)
        outputs = inputs = ceil((root - channels) / (2 * sizes.positions))
    return min(sizes.outputs, max(outputs, _FEW)), min(sizes.inputs, max(inputs, _FEW))


def _is_near(ranks: Ranks, limits: Ranks, sizes: Sizes) -> bool:
    """Beyond three quarters of a limit the bases are less exact, and what is beyond it might be better still."""
    sides = list(zip(ranks, limits, sizes.full, strict=True))
    if sizes.positions == 1:
        sides = [(min(ranks), max(limits), min(sizes.full))]
    return any(limit < full and 4 * rank > 3 * limit for rank, limit, full in sides)


def _doubled(limits: Ranks, sizes: Sizes) -> Ranks:
    return min(sizes.outputs, 2 * limits[0]), min(sizes.inputs, 2 * limits[1])
