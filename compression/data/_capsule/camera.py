"""From a scene to a picture."""

import math

import numpy as np
from PIL import Image

from compression.data._capsule.defects import Damage
from compression.data._capsule.scene import Scene
from compression.data._capsule.surface import Grid, albedo, arc, blend, distance, ink, normal, sigmoid, turn
from inspection.score import gaussian_smooth

TABLE = np.array((0.520, 0.530, 0.545), np.float32)


def coordinates(scene: Scene, size: int) -> tuple[Grid, Grid]:
    """(along, across) of each pixel."""
    x, y = _pixels(size)
    return _to_capsule(x, y, scene)


def expose(scene: Scene, size: int, damage: Damage) -> Grid:
    """The picture without noise: (size,size,3) float32, 0..1, gamma 2.2."""
    x, y = _pixels(size)
    along, across = _to_capsule(x, y, scene)
    inside = sigmoid(-distance(along, across, damage.narrowing) / 0.7)
    light = blend(_background(x, y, scene), _capsule(along, across, scene, damage), inside)
    lamp = scene.gain + (scene.gradient_x * x + scene.gradient_y * y) / 128
    light = light * lamp[..., None]
    if scene.blur:
        light = _blurred(light, scene.blur * size / 256)
    return np.asarray(np.clip(light, 0, 1) ** (1 / 2.2))


def develop(picture: Grid, noise: float, rng: np.random.Generator) -> Image.Image:
    """Sensor noise of this standard deviation, 8 bits."""
    noisy = picture + noise * rng.standard_normal(picture.shape, np.float32)
    return Image.fromarray((noisy.clip(0, 1) * 255).round().astype(np.uint8))


def _blurred(light: Grid, sigma: float) -> Grid:
    """A lens out of focus; `sigma` in pixels."""
    return np.stack([gaussian_smooth(np.asarray(colour, np.float32), sigma) for colour in np.moveaxis(light, 2, 0)], 2)


def _pixels(size: int) -> tuple[Grid, Grid]:
    places = (np.arange(size, dtype=np.float32) + 0.5) * (256 / size) - 128
    x, y = np.meshgrid(places, places)
    return x, y


def _to_capsule(x: Grid, y: Grid, scene: Scene) -> tuple[Grid, Grid]:
    return turn(x - scene.shift_x, y - scene.shift_y, scene.angle)


def _capsule(along: Grid, across: Grid, scene: Scene, damage: Damage) -> Grid:
    around, imprint = arc(across, scene.roll), ink(along.shape[0], scene.bold)
    coverage = damage.reprint(imprint, along, around) if damage.reprint else imprint(along, around)
    colour = albedo(along, coverage)
    if damage.tint is not None:
        colour = blend(colour, np.array(damage.colour, np.float32), damage.tint)
    return _shade(colour, *normal(along, across, scene.angle, damage.relief), scene)


def _shade(colour: Grid, n_x: Grid, n_y: Grid, n_z: Grid, scene: Scene) -> Grid:
    """Lambert's law, a long soft-box highlight and a dim reflection of the table."""
    to_x, to_y, to_z = scene.to_lamp
    diffuse = np.maximum(n_x * to_x + n_y * to_y + n_z * to_z, 0)
    # Half-way between the lamp and the camera, which looks straight down.
    gloss = np.maximum(n_x * to_x + n_y * to_y + n_z * (to_z + 1), 0) / math.hypot(to_x, to_y, to_z + 1)
    mirrored = 0.24 * sigmoid((gloss - 0.972) * 200) + 0.10 * gloss**16 + 0.10 * np.maximum(n_y, 0) ** 2 * (1 - n_z)
    return np.asarray(colour * (0.20 + 0.95 * diffuse)[..., None] + mirrored[..., None])


def _background(x: Grid, y: Grid, scene: Scene) -> Grid:
    """A matt table, darker to the corners, under the capsule's contact shadow and its soft shadow."""
    light = 1.04 - 0.11 * ((x + 30) ** 2 + (y + 40) ** 2) / 128**2
    to_x, to_y, to_z = scene.to_lamp
    for height, softness, depth in ((5.7, 3.0, 0.45), (20.0, 9.0, 0.55)):
        shadow = distance(*_to_capsule(x + height * to_x / to_z, y + height * to_y / to_z, scene))
        light = light * (1 - depth * sigmoid(-shadow / softness))
    return TABLE * light[..., None]
