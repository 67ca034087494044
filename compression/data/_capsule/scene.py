"""What differs from one photograph to the next, and by how much."""

import math
from dataclasses import dataclass

import numpy as np

from compression.data._capsule.surface import IMPRINTS, RADIUS

TILT = math.radians(-13)
LAMP_AZIMUTH, LAMP_HEIGHT = math.atan2(-0.62, -0.35), math.atan2(0.70, math.hypot(0.35, 0.62))

# From the middle of the line to its end. Chosen by measuring, with 219 training images of 128 x 128: PCA with 128
# components has an AUC of .89 (maximum of the smoothed error) and .90 (divided by the training error). Four times the
# travel and the swing make it .84 and .85, but an autoencoder suffers more; so it does from every property that varies
# by itself: 219 images do not show it.
ROLL = math.pi / IMPRINTS  # half of what brings the next imprint to where the last one was
TRAVEL = RADIUS * ROLL / 4  # it slips more than it rolls
SWING = math.radians(3)
LAMP_SWING = 0.5
NEARER = 0.01


@dataclass(frozen=True)
class Variation:
    """How much the capsules differ. All but `line` are half-ranges, uniform around the middle.

    line   capsules roll past the camera: over which part of the way, 0..1, they are spread. Where one lies decides how
           far it has rolled, so that its imprint slides over the surface, how its axis points, from where the lamp
           shines on it and how near the camera is: one number, and hardly a pixel follows it linearly
    shift  of the capsule's centre, in both directions
    turn   of its axis in the picture
    light  of the lamp's brightness, relative, and of its gradient across the picture
    """

    line: float
    shift: float
    turn: float
    light: float


STUDIO = Variation(line=0, shift=0.35, turn=0.0026, light=0.035)
"""A fixture that holds every capsule the same way."""

LINE = Variation(line=1, shift=0.35, turn=0.0026, light=0.035)
"""A line on which every capsule is photographed somewhere on its way."""


@dataclass(frozen=True)
class Scene:
    """One capsule under one lamp. `roll` is around the capsule's axis; `to_lamp` a unit vector: right, down, up."""

    shift_x: float
    shift_y: float
    angle: float
    scale: float
    roll: float
    to_lamp: tuple[float, float, float]
    gain: float
    gradient_x: float
    gradient_y: float


def draw_scene(rng: np.random.Generator, by: Variation) -> Scene:
    """The same numbers are drawn whatever the ranges are: a seed is a capsule at every variation."""
    place, shift_x, shift_y, turn, gain, gradient_x, gradient_y = rng.uniform(-1, 1, 7).tolist()
    place *= by.line
    azimuth = LAMP_AZIMUTH + LAMP_SWING * place
    flat = math.cos(LAMP_HEIGHT)
    return Scene(
        shift_x=by.shift * shift_x,
        shift_y=by.shift * shift_y + TRAVEL * place,
        angle=TILT + by.turn * turn + SWING * place,
        scale=1 + NEARER * place,
        roll=ROLL * place,
        to_lamp=(flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(LAMP_HEIGHT)),
        gain=1 + by.light * gain,
        gradient_x=by.light * gradient_x,
        gradient_y=by.light * gradient_y,
    )
