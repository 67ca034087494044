"""Which ranks each layer gets, for the whole model to lose a given share of its weights. Pure numpy.

The forms of a layer (dense, one factor, two factors, at every pair of ranks) are the options of an item in a knapsack:
each costs weights and leaves an error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from compression.errors import BelowFloorError, RateOutOfRangeError
from compression.knapsack import Item, Knapsack, along_hull, front_of
from compression.spectrum import Spectrum
from compression.tucker import Price, Ranks

Allocation = Literal["log", "equal", "energy"]
"""What is made small: "log" the sum of -log(1 - squared relative error), "energy" that of the squared errors as they
are; "equal" gives every layer the same share of its full ranks."""

_COLOURS = 4


@dataclass(frozen=True, eq=False)
class Options:
    """The forms that one layer can take: rows of `ranks` (n, 2), with the `costs`, `squared_errors` (relative) and
    `shares` (of the full ranks, the lesser side's) of each.

    `importance` multiplies the layer's loss: an error in a layer that the output depends on weighs more.
    """

    name: str
    dense_cost: int
    ranks: NDArray[np.int64]
    costs: NDArray[np.int64]
    squared_errors: NDArray[np.float64]
    shares: NDArray[np.float64]
    energy: float = 1.0
    importance: float = 1.0


@dataclass(frozen=True)
class Allocated:
    """`ranks` in the order of the layers; `cost` of `dense_cost` are left. `next_step` is the least that any larger
    form of one layer would cost more, None where all are dense."""

    ranks: tuple[Ranks, ...]
    cost: int
    dense_cost: int
    next_step: int | None

    @property
    def rate(self) -> float:
        """Share of the whole cost that is removed."""
        return 1 - self.cost / self.dense_cost


def options_of(name: str, spectrum: Spectrum, price: Price, importance: float = 1.0) -> Options:
    """Every form that `spectrum` knows, and the dense one."""
    sizes = spectrum.sizes
    out_ranks, in_ranks = spectrum.out_ranks[:, np.newaxis], spectrum.in_ranks[np.newaxis, :]
    last = np.where(out_ranks < sizes.outputs, sizes.outputs * out_ranks, 0) * price.last
    first = np.where(in_ranks < sizes.inputs, sizes.inputs * in_ranks, 0) * price.first
    costs = sizes.groups * (last + first + sizes.positions * out_ranks * in_ranks * price.core)
    shares = np.minimum(
        _shares(out_ranks, min(sizes.outputs, sizes.inputs * sizes.positions)),
        _shares(in_ranks, min(sizes.inputs, sizes.outputs * sizes.positions)),
    )
    pairs = np.stack(np.broadcast_arrays(out_ranks, in_ranks), -1).reshape(-1, 2)
    dense = sizes.weights * price.core
    return Options(
        name,
        dense,
        np.append(pairs, [sizes.full], 0),
        np.append(costs, dense),
        np.append(spectrum.squared_errors, 0.0),
        np.append(shares, 1.0),
        spectrum.energy,
        importance,
    )


def _shares(ranks: NDArray[np.int64], full: int) -> NDArray[np.float64]:
    """Of so few channels as the colours of an image each has its own meaning: they come first, all together."""
    return np.where((full <= _COLOURS) & (ranks < full), 1e-3, 1.0) * ranks / full


def only_option(name: str, dense_cost: int, ranks: Ranks, cost: int, squared_error: float = 0.0) -> Options:
    """Of a layer that is left as it is, or whose ranks somebody has chosen."""
    one = np.array([cost]), np.array([squared_error]), np.ones(1)
    return Options(name, dense_cost, np.array([ranks]), *one)


def allocate_ranks(layers: Sequence[Options], rate: float, allocation: Allocation = "log") -> Allocated:
    """Ranks with which all layers together cost at most 1 - `rate` of what they cost dense, and hardly less.

    A higher rate never costs more. RateOutOfRangeError, BelowFloorError.
    """
    if not 0 < rate < 1:
        raise RateOutOfRangeError(f"a rate of {rate!r}", "give the share of weights to remove, above 0 and below 1")
    if allocation not in get_args(Allocation):
        raise ValueError(f"allocation {allocation!r} is not one of {get_args(Allocation)}")
    dense_cost = sum(layer.dense_cost for layer in layers)
    budget = dense_cost - ceil(rate * dense_cost - 1e-9 * dense_cost)
    knapsack = Knapsack([_item(layer, allocation) for layer in layers])
    if knapsack.floor > budget:
        raise BelowFloorError(rate, 1 - knapsack.floor / dense_cost)
    filling = knapsack.fill(budget, dense_cost)
    chosen = [layer.ranks[option] for layer, option in zip(layers, filling, strict=True)]
    ranks = tuple((int(out_rank), int(in_rank)) for out_rank, in_rank in chosen)
    return Allocated(ranks, knapsack.cost(filling), dense_cost, knapsack.next_step(filling))


def _item(layer: Options, allocation: Allocation) -> Item:
    if allocation == "energy":
        return along_hull(layer.costs, layer.importance * layer.energy * layer.squared_errors)
    if allocation == "log":
        return along_hull(layer.costs, -layer.importance * np.log1p(-np.minimum(layer.squared_errors, 1 - 1e-12)))
    losses = -np.log(layer.shares)  # convex: what fills a budget goes to the layers with the least
    way = front_of(layer.costs, losses)
    return Item(layer.costs, losses, way, layer.shares[way[1:]])
