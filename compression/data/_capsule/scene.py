"""What differs from one photograph to the next, and by how much."""

import math
from dataclasses import dataclass

import numpy as np

from compression.data._capsule.surface import IMPRINTS

TILT = math.radians(-13)
LAMP_AZIMUTH, LAMP_HEIGHT = math.atan2(-0.62, -0.35), math.atan2(0.70, math.hypot(0.35, 0.62))
ROLL = math.pi / IMPRINTS  # half of what brings the next imprint to where the last one was
LAMP_SWING = 0.5


@dataclass(frozen=True)
class Variation:
    """How much the capsules differ. All but `spin` are half-ranges, uniform around the middle.

    spin   rollers turn the capsule under the camera: over which part of the way from one imprint to the next, 0..1, the
           capsules are spread. The imprint slides over the surface and the lamp swings along: one number, and hardly a
           pixel of the capsule follows it linearly
    shift  of the capsule's centre, in both directions
    turn   of its axis in the picture
    light  of the lamp's brightness, relative, and of its gradient across the picture
    """

    spin: float
    shift: float
    turn: float
    light: float


STUDIO = Variation(spin=0, shift=0.35, turn=0.0026, light=0.035)
"""A fixture that holds every capsule the same way."""

LINE = Variation(spin=1, shift=0.35, turn=0.0026, light=0.035)
"""A line on which every capsule is photographed as it happens to have been turned.

Chosen by measuring, with 219 training images of 128 x 128. Wider ranges for shift, turn, size, lamp or colours make PCA
worse, but a convolutional autoencoder far more so: so few images do not show it properties that vary independently.
"""


@dataclass(frozen=True)
class Scene:
    """One capsule under one lamp. `roll` is around the capsule's axis; `to_lamp` a unit vector: right, down, up."""

    shift_x: float
    shift_y: float
    angle: float
    roll: float
    to_lamp: tuple[float, float, float]
    gain: float
    gradient_x: float
    gradient_y: float


def draw_scene(rng: np.random.Generator, by: Variation) -> Scene:
    """The same numbers are drawn whatever the ranges are: a seed is a capsule at every variation."""
    spin, shift_x, shift_y, turn, gain, gradient_x, gradient_y = rng.uniform(-1, 1, 7).tolist()
    spin *= by.spin
    azimuth, flat = LAMP_AZIMUTH + LAMP_SWING * spin, math.cos(LAMP_HEIGHT)
    return Scene(
        shift_x=by.shift * shift_x,
        shift_y=by.shift * shift_y,
        angle=TILT + by.turn * turn,
        roll=ROLL * spin,
        to_lamp=(flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(LAMP_HEIGHT)),
        gain=1 + by.light * gain,
        gradient_x=by.light * gradient_x,
        gradient_y=by.light * gradient_y,
    )
