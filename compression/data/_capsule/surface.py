"""A two-tone capsule: its outline, the direction its surface faces, its colours and its imprint."""

import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Grid = NDArray[np.floating]  # float32 in fact: half the time of float64
Ink = Callable[[Grid, Grid], Grid]
"""(along, arc), lengths on the surface -> coverage of the imprint, 0..1."""

RADIUS, HALF_AXIS = 46.0, 63.0
SEAM = -8.0  # the cap is slid over the body up to here
# Reflectances, linear RGB
CAP, BODY, INK = (
    np.array(colour, np.float32) for colour in ((0.010, 0.150, 0.215), (0.680, 0.540, 0.345), (0.045, 0.035, 0.040))
)

IMPRINT, FONT_SIZE, IMPRINT_ALONG = "BF 50", 23, 32.0
IMPRINTS = 3
"""Around the capsule: from everywhere at least one is in sight."""
PITCH = 2 * math.pi * RADIUS / IMPRINTS


def turn(x: Grid, y: Grid, angle: float) -> tuple[Grid, Grid]:
    return x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)


def sigmoid(x: Grid) -> Grid:
    return np.float32(0.5) + np.float32(0.5) * np.tanh(x / 2)


def distance(along: Grid, across: Grid, narrowing: Grid | float = 0.0) -> Grid:
    """Signed distance to the outline; the body is a little thinner than the cap, a squeezed place thinner still."""
    radius = RADIUS - 1.6 * sigmoid((along - SEAM) / 0.6) - narrowing
    return np.asarray(np.hypot(np.maximum(np.abs(along) - HALF_AXIS, 0), across) - radius)


def normal(along: Grid, across: Grid, angle: float, relief: Grid | None) -> tuple[Grid, Grid, Grid]:
    """Unit normal of a cylinder with round ends, tilted by the slope of the relief."""
    n_along, n_across = np.sign(along) * np.maximum(np.abs(along) - HALF_AXIS, 0) / RADIUS, across / RADIUS
    if relief is not None:
        slope_y, slope_x = (np.asarray(slope) for slope in np.gradient(relief, 256 / along.shape[0]))
        slope_along, slope_across = turn(slope_x, slope_y, angle)
        n_along, n_across = n_along - slope_along, n_across - slope_across
    steepness = np.maximum(np.hypot(n_along, n_across) / 0.999, 1)
    n_x, n_y = turn(n_along / steepness, n_across / steepness, -angle)
    return n_x, n_y, np.sqrt(1 - n_x**2 - n_y**2)


def albedo(along: Grid, ink: Grid) -> Grid:
    """Reflectance (h,w,3): cap, body in the cap's shadow, ink."""
    from_seam = along - SEAM
    body = sigmoid(from_seam / 0.5)
    shadow = 1 - 0.5 * body * np.exp(-np.maximum(from_seam, 0) / 3)
    return blend(blend(CAP, BODY, body) * shadow[..., None], INK, 0.9 * ink)


def blend(below: Grid, above: Grid, coverage: Grid) -> Grid:
    return below + (above - below) * coverage[..., None]


def arc(across: Grid, roll: float) -> Grid:
    """Length on the surface, across the axis, from the middle of an imprint."""
    return np.asarray(RADIUS * (np.arcsin(np.clip(across / RADIUS, -1, 1)) - roll))


def ink(size: int, bold: float) -> Ink:
    """The imprint as good capsules have it, its strokes `bold` wider on either side."""
    texture = _texture(size, bold)
    unit = size / 256

    def coverage(along: Grid, arc: Grid) -> Grid:
        column = (along - IMPRINT_ALONG) * unit + (texture.shape[1] - 1) / 2
        row = ((arc / PITCH + 0.5) % 1 - 0.5) * (PITCH * unit) + (texture.shape[0] - 1) / 2
        return _sample(texture, column, row)

    return coverage


@functools.cache
def _texture(size: int, bold: float) -> Grid:
    """One imprint, with margins, drawn finer and averaged; a picture's pixels are the texture's."""
    fine, unit = 4, size / 256
    font = ImageFont.load_default(FONT_SIZE * unit * fine)
    width, height = (math.ceil(length * unit) for length in (80, 34))
    text = Image.new("L", (width * fine, height * fine))
    middle, widened = (width * fine / 2, height * fine / 2), round(bold * unit * fine)
    ImageDraw.Draw(text).text(middle, IMPRINT, fill=255, font=font, anchor="mm", stroke_width=widened)
    return np.asarray(text.reduce(fine), np.float32) / 255


def _sample(texture: Grid, column: Grid, row: Grid) -> Grid:
    """Bilinear; the texture's border, without ink, goes on outside."""
    height, width = texture.shape
    column, row = np.clip(column, 0, width - 1.001), np.clip(row, 0, height - 1.001)
    left, top = column.astype(np.intp), row.astype(np.intp)
    right_share, low_share = column - left.astype(np.float32), row - top.astype(np.float32)
    flat, place = texture.ravel(), top * width + left
    upper = flat[place] * (1 - right_share) + flat[place + 1] * right_share
    lower = flat[place + width] * (1 - right_share) + flat[place + width + 1] * right_share
    return np.asarray(upper + (lower - upper) * low_share)
