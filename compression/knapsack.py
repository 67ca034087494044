"""One option of each item, of the least total loss, within a budget: the multiple-choice knapsack problem. Pure numpy.

Sinha and Zoltners, "The multiple-choice knapsack problem" (1979): only options on the lower hull of an item's losses
over its costs are ever worth taking while costs may be split, and the steps along all hulls, in order of loss saved
per cost, are the optimum of every budget that they meet exactly. What such a step leaves of a budget is filled
greedily, with options off the hull too, and where that leaves much by exchanging an option for a cheaper one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Doubles = NDArray[np.float64]

_Exchange = tuple[tuple[bool, float], int, tuple[tuple[int, int], ...]]
"""What it is worth (least is best), what it leaves of the budget, and the items with their new options."""

_GRID = 100_000
"""Budgets are tried in steps of a hundred-thousandth of the whole."""

_CLOSE = 5
"""Steps of the grid within which a budget counts as filled."""

_CHEAPER = 256
"""So many cheaper options of an item are tried in an exchange."""


@dataclass(frozen=True, eq=False)
class Item:
    """`costs` and `losses` of its options; `way` are those that it takes one after the other as the budget grows, in
    rising cost, `keys` when each step from one to the next is due: least first."""

    costs: Ints
    losses: Doubles
    way: Ints
    keys: Doubles


def along_hull(costs: Ints, losses: Doubles) -> Item:
    """An item that climbs where it saves most for its cost."""
    front = front_of(costs, losses)
    way = front[_lower_hull(costs[front], losses[front])]
    return Item(costs, losses, way, np.diff(losses[way]) / np.diff(costs[way]))


def front_of(costs: Ints, losses: Doubles) -> Ints:
    """The options that no other one beats in both, in order of rising cost and falling loss."""
    order = np.argsort(costs, kind="stable")
    sorted_losses = losses[order]
    before = np.minimum.accumulate(np.append(np.inf, sorted_losses[:-1]))
    kept = order[sorted_losses < before]
    return np.asarray(kept[np.append(np.diff(costs[kept]) > 0, True)])  # of equal cost the last is the best


class Knapsack:
    """A filling is a list of the option that each item has."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items
        self._fronts = [front_of(item.costs, item.losses) for item in items]
        self.floor = self.cost([int(item.way[0]) for item in items])
        order = np.argsort(np.concatenate([item.keys for item in items]), kind="stable")
        owners = np.repeat(np.arange(len(items)), [len(item.keys) for item in items])[order]
        rises = np.concatenate([np.diff(item.costs[item.way]) for item in items])
        self._reached = self.floor + np.cumsum(rises[order])
        self._turns = [np.flatnonzero(owners == index) for index in range(len(items))]

    def cost(self, filling: Sequence[int]) -> int:
        return sum(int(item.costs[option]) for item, option in zip(self._items, filling, strict=True))

    def fill(self, budget: int, whole: int) -> list[int]:
        """The costliest filling that is found for `budget`, not under `floor`, or for a smaller one of the grid.

        So a larger budget never gives a cheaper one. `whole` is what everything costs.
        """
        step = max(1, whole // _GRID)
        best = [int(item.way[0]) for item in self._items]
        for smaller in range(budget // step * step, self.floor, -step):
            if self.cost(best) >= smaller:
                break
            best = max(best, self._fill(smaller, _CLOSE * step), key=self.cost)
        return best

    def next_step(self, filling: Sequence[int]) -> int | None:
        """The least that a better option of one item would cost more; None where all have their best."""
        steps = []
        for item, front, option in zip(self._items, self._fronts, filling, strict=True):
            higher = item.costs[front][item.costs[front] > item.costs[option]]
            steps += [int(higher[0] - item.costs[option])] if len(higher) else []
        return min(steps, default=None)

    def _fill(self, budget: int, close: int) -> list[int]:
        steps = np.searchsorted(self._reached, budget, "right")
        filling = [
            int(item.way[np.searchsorted(turns, steps)]) for item, turns in zip(self._items, self._turns, strict=True)
        ]
        left = self._top_up(filling, budget - self.cost(filling))
        while left > close:
            _, remaining, changes = min(self._exchanges(filling, left, close), default=((True, 0.0), left, ()))
            if remaining >= left:
                break
            for index, option in changes:
                filling[index] = option
            left = self._top_up(filling, remaining)
        return filling

    def _top_up(self, filling: list[int], left: int) -> int:
        """Give one item after another the best option that it can have for what is left, the most useful first."""
        while True:
            saved, index, option = max(self._moves(filling, left), default=(0.0, 0, 0))
            if saved <= 0:
                return left
            costs = self._items[index].costs
            left -= int(costs[option] - costs[filling[index]])
            filling[index] = option

    def _moves(self, filling: Sequence[int], left: int) -> Iterator[tuple[float, int, int]]:
        """For each item the loss saved by the best option that it can have for `left` more, and that option."""
        for index, (item, front) in enumerate(zip(self._items, self._fronts, strict=True)):
            place = np.searchsorted(item.costs[front], item.costs[filling[index]] + left, "right") - 1
            option = int(front[place])
            yield float(item.losses[filling[index]] - item.losses[option]), index, option

    def _exchanges(self, filling: Sequence[int], left: int, close: int) -> Iterator[_Exchange]:
        """Of each two items: a cheaper option of one, and of the other the best for what that and `left` pay for."""
        for index, (item, front) in enumerate(zip(self._items, self._fronts, strict=True)):
            cheaper = front[item.costs[front] < item.costs[filling[index]]][-_CHEAPER:]
            if not len(cheaper):
                continue
            pays = left + item.costs[filling[index]] - item.costs[cheaper]
            lost = item.losses[cheaper] - item.losses[filling[index]]
            for other, (taker, offers) in enumerate(zip(self._items, self._fronts, strict=True)):
                if other == index:
                    continue
                now = filling[other]
                options = offers[np.searchsorted(taker.costs[offers], taker.costs[now] + pays, "right") - 1]
                remaining = pays - (taker.costs[options] - taker.costs[now])
                losses = lost + taker.losses[options] - taker.losses[now]
                fits = remaining <= close
                best = int(np.where(fits, losses, np.inf).argmin() if fits.any() else remaining.argmin())
                rank = (not fits[best], float(losses[best] if fits[best] else remaining[best]))
                yield rank, int(remaining[best]), ((index, int(cheaper[best])), (other, int(options[best])))


def _lower_hull(x: Ints, y: Doubles) -> Ints:
    """Indices of the lower convex hull; x rises. The farthest point below a chord splits it (quickhull)."""
    corners, chords = {0, len(x) - 1}, [(0, len(x) - 1)]
    while chords:
        left, right = chords.pop()
        inner = slice(left + 1, right)
        heights = y[inner] - y[left] - (x[inner] - x[left]) * ((y[right] - y[left]) / max(1, x[right] - x[left]))
        if heights.size and heights.min() < 0:
            corner = left + 1 + int(heights.argmin())
            corners.add(corner)
            chords += [(left, corner), (corner, right)]
    return np.array(sorted(corners))
