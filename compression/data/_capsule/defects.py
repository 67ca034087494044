"""What can be wrong with a capsule.

A new kind is a function (along, across, rng, severity) -> `Damage` with its name in `DEFECTS`.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compression.data._capsule.surface import IMPRINT_ALONG, RADIUS, SEAM, Grid, Ink, sigmoid

Points = NDArray[np.float64]
Reprint = Callable[[Ink, Grid, Grid], Grid]
"""The imprint of good capsules, and where it is asked for -> the coverage there instead."""


@dataclass(frozen=True)
class Damage:
    """What a defect does to the capsule.

    relief     added height; negative: a dent
    tint       coverage 0..1 with `colour` (linear RGB)
    narrowing  of the outline's radius
    reprint    changes the imprint
    """

    relief: Grid | None = None
    tint: Grid | None = None
    colour: tuple[float, float, float] = (0, 0, 0)
    narrowing: Grid | float = 0.0
    reprint: Reprint | None = None


def _between(least: float, most: float, severity: float) -> float:
    return least + (most - least) * severity


def _coverage(least: float, severity: float) -> float:
    return min(_between(least, 1, severity), 1)


def _growth(severity: float) -> float:
    """Beyond severity 1 nothing can cover more: it grows wider."""
    return max(severity, 1)


def _crack(along: Grid, across: Grid, rng: np.random.Generator, severity: float) -> Damage:
    """A jagged dark line that runs from the seam into the body, with one branch."""
    steps = np.stack((rng.uniform(2, 6, 12), rng.normal(rng.uniform(-1.5, 1.5), 2.6, 12)), axis=1)
    steps *= _between(0.5, 1, severity)
    trunk = np.array((SEAM, rng.uniform(-20, 20))) + np.cumsum(steps, axis=0)
    steps = np.stack((rng.uniform(2, 5, 5), _sign(rng) * rng.uniform(1, 5, 5)), axis=1)
    branch = trunk[4] + np.cumsum(np.vstack(((0, 0), steps * _between(0.5, 1, severity))), axis=0)
    parts = ((trunk[:5], 1.0), (trunk[4:], 0.7), (branch, 0.5))
    lines = [_stroke(along, across, points, half_width * _growth(severity)) for points, half_width in parts]
    line = np.maximum.reduce(lines) * _coverage(0.2, severity)
    return Damage(-0.35 * line, 0.9 * line, (0.05, 0.035, 0.02))


def _faulty_imprint(along: Grid, across: Grid, rng: np.random.Generator, severity: float) -> Damage:
    """A part of the imprint that is missing, printed twice, or slipped."""
    strength = _coverage(0.25, severity)
    cut, side = IMPRINT_ALONG + rng.uniform(-12, 12), _sign(rng)
    slip_along, slip_arc = (_sign(rng) * rng.uniform(2.5, 6) * _growth(severity) for _ in range(2))

    def missing(ink: Ink, along: Grid, arc: Grid) -> Grid:
        return ink(along, arc) * (1 - strength * sigmoid(side * (along - cut) / 1.5))

    def doubled(ink: Ink, along: Grid, arc: Grid) -> Grid:
        return np.asarray(np.maximum(ink(along, arc), strength * ink(along - slip_along, arc - slip_arc)))

    def slipped(ink: Ink, along: Grid, arc: Grid) -> Grid:
        return ink(along, arc - strength * slip_arc * sigmoid(side * (along - cut)))

    faults: tuple[Reprint, ...] = (missing, doubled, slipped)
    return Damage(reprint=faults[rng.integers(len(faults))])


def _poke(along: Grid, across: Grid, rng: np.random.Generator, severity: float) -> Damage:
    """A dent with a raised rim and a hole in its middle."""
    width, place = rng.uniform(4.0, 5.5) * _between(0.6, 1, severity), rng.uniform((-50, -20), (50, 20))
    radius = np.hypot(along - np.float32(place[0]), across - np.float32(place[1])) / width
    dent = -3.0 * np.exp(-(radius**2)) + 0.35 * np.exp(-(((radius - 1.8) / 0.6) ** 2))
    return Damage(
        _between(0.12, 1, severity) * dent,
        _coverage(0.1, severity) * sigmoid((0.55 - radius) * width / 0.6),
        (0.02, 0.02, 0.025),
    )


def _scratch(along: Grid, across: Grid, rng: np.random.Generator, severity: float) -> Damage:
    """Two or three nearly parallel strokes that bare pale material."""
    start, direction = rng.uniform((-50, -22), (30, 10)), rng.uniform(0.2, 0.9)
    lines = []
    for _ in range(rng.integers(2, 4)):
        bearing = direction + rng.normal(0, 0.06)
        end = start + rng.uniform(24, 44) * _between(0.5, 1, severity) * np.array(
            (math.cos(bearing), math.sin(bearing))
        )
        bend = (start + end) / 2 + rng.normal(0, 1.2, 2)
        lines.append(_stroke(along, across, np.stack((start, bend, end)), 0.6 * _growth(severity)))
        start = start + rng.uniform(4, 7) * np.array((-math.sin(direction), math.cos(direction)))
    line = np.maximum.reduce(lines) * _coverage(0.15, severity)
    return Damage(-0.3 * line, 0.8 * line, (0.86, 0.84, 0.80))


def _squeeze(along: Grid, across: Grid, rng: np.random.Generator, severity: float) -> Damage:
    """A flank pressed in."""
    place, width, side = rng.uniform(-50, 50), rng.uniform(12, 22), _sign(rng)
    depth = _between(1.2, 7, severity)
    flank = sigmoid((side * across / RADIUS - 0.45) * 9)
    pressed = depth * np.exp(-(((along - np.float32(place)) / width) ** 2)) * flank
    return Damage(relief=-pressed, narrowing=pressed)


def _sign(rng: np.random.Generator) -> float:
    return float(rng.choice((-1.0, 1.0)))


def _stroke(along: Grid, across: Grid, points: Points, half_width: float) -> Grid:
    """Coverage 0..1 of a line through `points` (n,2), with soft edges."""
    distance = np.full_like(along, np.inf)
    for (a, c), (a_end, c_end) in itertools.pairwise(points.tolist()):
        da, dc = a_end - a, c_end - c
        nearest = np.clip(((along - a) * da + (across - c) * dc) / (da**2 + dc**2), 0, 1)
        distance = np.minimum(distance, np.hypot(along - a - nearest * da, across - c - nearest * dc))
    return sigmoid((half_width - distance) / 0.35)


DEFECTS: dict[str, Callable[[Grid, Grid, np.random.Generator, float], Damage]] = {
    "crack": _crack,
    "faulty_imprint": _faulty_imprint,
    "poke": _poke,
    "scratch": _scratch,
    "squeeze": _squeeze,
}
"""Kind of defect -> what it does to the capsule, at a severity of 0 (hardly to be seen), 1 (obvious) or more."""
