"""Synthetic photographs of a two-tone capsule under an inspection camera, good or with one defect.

Lengths are in 1/256 of the picture's side. The capsule has its own coordinates: `along` its axis and `across` it.
A new kind of defect is a function (along, across, rng) -> `Damage` with its name in `DEFECTS`.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Grid = NDArray[np.float64]
Colour = tuple[float, float, float]

RADIUS, HALF_AXIS, TILT = 46.0, 63.0, math.radians(-13)
SEAM = -8.0  # the cap is slid over the body up to here
# Reflectances, linear RGB
CAP, BODY, INK = np.array((0.010, 0.150, 0.215)), np.array((0.680, 0.540, 0.345)), np.array((0.045, 0.035, 0.040))
TABLE = np.array((0.520, 0.530, 0.545))
TO_LAMP = np.array((-0.35, -0.62, 0.70)) / math.hypot(-0.35, -0.62, 0.70)
TO_HIGHLIGHT = TO_LAMP + np.array((0, 0, 1))  # half-way to the camera, which looks straight down
TO_HIGHLIGHT /= np.linalg.norm(TO_HIGHLIGHT)


@dataclass(frozen=True)
class Damage:
    """What a defect does to the surface: `relief` (negative: a dent) and `tint`, 0..1, towards `colour`."""

    relief: Grid
    tint: Grid
    colour: Colour


def photograph(seed: int | Sequence[int], defect: str | None = None, size: int = 256) -> Image.Image:
    """RGB picture of size x size pixels; `defect` is a key of `DEFECTS`, or None for a good capsule.

    A seed shows the same capsule, lamp and noise with and without a defect: the difference is the defect.
    """
    rng = np.random.default_rng(seed)
    damage_rng = rng.spawn(1)[0]
    (shift_x, shift_y), angle = rng.normal(0, 0.2, 2), TILT + rng.normal(0, 0.0015)
    y, x = (np.mgrid[:size, :size] + 0.5) * (256 / size) - 128
    along, across = _turn(x - shift_x, y - shift_y, angle)
    damage = DEFECTS[defect](along, across, damage_rng) if defect else None
    albedo = _albedo(along, _imprint(size, (shift_x, shift_y), angle), damage)
    capsule = _shade(albedo, *_normal(along, across, angle, damage))
    inside = _sigmoid(-_distance(along, across) / 0.7)[..., None]
    return _expose(inside * capsule + (1 - inside) * _background(x, y, angle), x, y, rng)


def _turn(x: Grid, y: Grid, angle: float) -> tuple[Grid, Grid]:
    return x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)


def _sigmoid(x: Grid) -> Grid:
    return 0.5 + 0.5 * np.tanh(x / 2)


def _distance(along: Grid, across: Grid) -> Grid:
    """Signed distance to the outline; the body is a little thinner than the cap."""
    radius = RADIUS - 1.6 * _sigmoid((along - SEAM) / 0.6)
    return np.asarray(np.hypot(np.maximum(np.abs(along) - HALF_AXIS, 0), across) - radius)


def _albedo(along: Grid, ink: Grid, damage: Damage | None) -> Grid:
    body = _sigmoid((along - SEAM) / 0.5)
    cap_shadow = 1 - 0.5 * body * np.exp(-np.maximum(along - SEAM, 0) / 3)
    albedo = _blend(CAP, BODY, body) * cap_shadow[..., None]
    albedo = _blend(albedo, INK, 0.9 * ink)
    return _blend(albedo, np.array(damage.colour), damage.tint) if damage else albedo


def _blend(below: Grid, above: Grid, coverage: Grid) -> Grid:
    return below + (above - below) * coverage[..., None]


def _imprint(size: int, shift: tuple[float, float], angle: float) -> Grid:
    """Coverage of the printed text, 0..1."""
    unit = size / 256
    text = Image.new("L", (size, size))
    place = (size / 2 + 32 * unit, size / 2)
    ImageDraw.Draw(text).text(place, "BF 50", fill=255, font=ImageFont.load_default(23 * unit), anchor="mm")
    cos, sin, middle = math.cos(angle), math.sin(angle), size / 2
    x, y = middle + shift[0] * unit, middle + shift[1] * unit  # Pillow wants the way back: picture -> text
    back = (cos, sin, middle - cos * x - sin * y, -sin, cos, middle + sin * x - cos * y)
    turned = text.transform(text.size, Image.Transform.AFFINE, back, Image.Resampling.BICUBIC)
    return np.asarray(turned) / 255


def _normal(along: Grid, across: Grid, angle: float, damage: Damage | None) -> tuple[Grid, Grid, Grid]:
    """Unit normal of a cylinder with round ends, tilted by the slope of the damage."""
    n_along, n_across = np.sign(along) * np.maximum(np.abs(along) - HALF_AXIS, 0) / RADIUS, across / RADIUS
    if damage:
        slopes: list[Grid] = list(np.gradient(damage.relief, 256 / along.shape[0]))
        slope_along, slope_across = _turn(slopes[1], slopes[0], angle)
        n_along, n_across = n_along - slope_along, n_across - slope_across
    steepness = np.maximum(np.hypot(n_along, n_across) / 0.999, 1)
    n_x, n_y = _turn(n_along / steepness, n_across / steepness, -angle)
    return n_x, n_y, np.sqrt(1 - n_x**2 - n_y**2)


def _shade(albedo: Grid, n_x: Grid, n_y: Grid, n_z: Grid) -> Grid:
    """Lambert's law, a long soft-box highlight and a dim reflection of the table."""
    diffuse, gloss = (
        np.maximum(n_x * towards[0] + n_y * towards[1] + n_z * towards[2], 0) for towards in (TO_LAMP, TO_HIGHLIGHT)
    )
    mirrored = 0.24 * _sigmoid((gloss - 0.972) * 200) + 0.10 * gloss**16 + 0.10 * np.maximum(n_y, 0) ** 2 * (1 - n_z)
    return np.asarray(albedo * (0.20 + 0.95 * diffuse)[..., None] + mirrored[..., None])


def _background(x: Grid, y: Grid, angle: float) -> Grid:
    """A matt table, darker to the corners, under the capsule's contact shadow and its soft shadow."""
    light = 1.04 - 0.11 * ((x + 30) ** 2 + (y + 40) ** 2) / 128**2
    for offset, softness, depth in ((5, 3.0, 0.45), (18, 9.0, 0.55)):
        shadow = _distance(*_turn(x - 0.6 * offset, y - offset, angle))
        light *= 1 - depth * _sigmoid(-shadow / softness)
    return TABLE * light[..., None]


def _expose(light: Grid, x: Grid, y: Grid, rng: np.random.Generator) -> Image.Image:
    """Gain and gradient of the lamp, gamma 2.2, sensor noise, 8 bits."""
    lamp = 1 + rng.normal(0, 0.02) + (rng.normal(0, 0.015) * x + rng.normal(0, 0.015) * y) / 128
    encoded = np.clip(light * lamp[..., None], 0, 1) ** (1 / 2.2)
    encoded += rng.normal(0, 0.009, encoded.shape)
    return Image.fromarray((encoded.clip(0, 1) * 255).round().astype(np.uint8))


def _crack(along: Grid, across: Grid, rng: np.random.Generator) -> Damage:
    """A jagged dark line that runs from the seam into the body, with one branch."""
    steps = np.stack((rng.uniform(2, 6, 12), rng.normal(rng.uniform(-1.5, 1.5), 2.6, 12)), axis=1)
    trunk = np.array((SEAM, rng.uniform(-20, 20))) + np.cumsum(steps, axis=0)
    steps = np.stack((rng.uniform(2, 5, 5), rng.choice((-1, 1)) * rng.uniform(1, 5, 5)), axis=1)
    branch = trunk[4] + np.cumsum(np.vstack(((0, 0), steps)), axis=0)
    lines = [_stroke(along, across, *part) for part in ((trunk[:5], 1.0), (trunk[4:], 0.7), (branch, 0.5))]
    line = np.maximum.reduce(lines)
    return Damage(-0.35 * line, 0.9 * line, (0.05, 0.035, 0.02))


def _poke(along: Grid, across: Grid, rng: np.random.Generator) -> Damage:
    """A dent with a raised rim and a hole in its middle."""
    width, place = rng.uniform(4.0, 5.5), rng.uniform((-50, -20), (50, 20))
    radius = np.hypot(along - place[0], across - place[1]) / width
    dent = -3.0 * np.exp(-(radius**2)) + 0.35 * np.exp(-(((radius - 1.8) / 0.6) ** 2))
    return Damage(dent, _sigmoid((0.55 - radius) * width / 0.6), (0.02, 0.02, 0.025))


def _scratch(along: Grid, across: Grid, rng: np.random.Generator) -> Damage:
    """Two or three nearly parallel strokes that bare pale material."""
    start, direction = rng.uniform((-50, -22), (30, 10)), rng.uniform(0.2, 0.9)
    lines = []
    for _ in range(rng.integers(2, 4)):
        turn = direction + rng.normal(0, 0.06)
        end = start + rng.uniform(24, 44) * np.array((math.cos(turn), math.sin(turn)))
        bend = (start + end) / 2 + rng.normal(0, 1.2, 2)
        lines.append(_stroke(along, across, np.stack((start, bend, end)), 0.6))
        start = start + rng.uniform(4, 7) * np.array((-math.sin(direction), math.cos(direction)))
    line = np.maximum.reduce(lines)
    return Damage(-0.3 * line, 0.8 * line, (0.86, 0.84, 0.80))


def _stroke(along: Grid, across: Grid, points: Grid, half_width: float) -> Grid:
    """Coverage 0..1 of a line through `points` (n,2), with soft edges."""
    distance = np.full_like(along, np.inf)
    for (a, c), (a_end, c_end) in itertools.pairwise(points):
        da, dc = a_end - a, c_end - c
        nearest = np.clip(((along - a) * da + (across - c) * dc) / (da**2 + dc**2), 0, 1)
        distance = np.minimum(distance, np.hypot(along - a - nearest * da, across - c - nearest * dc))
    return _sigmoid((half_width - distance) / 0.35)


DEFECTS: dict[str, Callable[[Grid, Grid, np.random.Generator], Damage]] = {
    "crack": _crack,
    "poke": _poke,
    "scratch": _scratch,
}
"""Kind of defect -> what it does to the capsule."""
