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
    """How much the capsules differ, and how they are printed and photographed.

    `shift_x` to `light` are half-ranges, uniform around the middle.

    spin      rollers turn the capsule under the camera: over which part of the way from one imprint to the next, 0..1,
              the capsules are spread. The imprint slides over the surface and the lamp swings along
    shift_x   of the capsule's centre, to the right
    shift_y   the same, down
    turn      of its axis in the picture
    light     of the lamp's brightness, relative, and of its gradient across the picture
    bold      by how much the imprint's strokes are widened on either side
    blur      standard deviation of the Gaussian that a lens out of focus makes of a point
    noise     the sensor's standard deviation, of a picture in 0..1
    severity  of the defects, uniform from the least to the most: see DEFECTS
    """

    spin: float
    shift_x: float
    shift_y: float
    turn: float
    light: float
    bold: float
    blur: float
    noise: float
    severity: tuple[float, float]


STUDIO = Variation(
    spin=0, shift_x=0.35, shift_y=0.35, turn=0.0026, light=0.035, bold=0, blur=0, noise=0.009, severity=(0.0, 1.0)
)
"""A fixture that holds every capsule the same way."""

LINE = Variation(
    spin=0.3, shift_x=10, shift_y=40, turn=0.25, light=0.035, bold=1, blur=2, noise=0.07, severity=(1.5, 3.0)
)
"""A line on which capsules pass as they happen to lie, under a lens that is not quite in focus and a short exposure.

Chosen by measuring, with 219 training images of 128 x 128, so that a convolutional autoencoder beats PCA. It takes
both: poses for which PCA needs dozens of components, and noise. From few images of many pixels PCA cannot estimate a
component whose variance is not far above the noise's (Nadler, "Finite sample approximation results for principal
component analysis: A matrix perturbation approach", Annals of Statistics 36, 2008); a convolution learns its kernel at
every place and averages the noise away. With the studio's noise such poses left the autoencoder far behind PCA.
Sharp edges cost the autoencoder most: hence the blur. Defects are larger than in the studio, or noise would hide them.
"""


@dataclass(frozen=True)
class Scene:
    """One capsule under one lamp. `roll` is around the capsule's axis; `to_lamp` a unit vector: right, down, up."""

    shift_x: float
    shift_y: float
    angle: float
    roll: float
    to_lamp: tuple[float, float, float]
    bold: float
    blur: float
    gain: float
    gradient_x: float
    gradient_y: float


def draw_scene(rng: np.random.Generator, by: Variation) -> Scene:
    """The same numbers are drawn whatever the ranges are: a seed is a capsule at every variation."""
    spin, shift_x, shift_y, turn, gain, gradient_x, gradient_y = rng.uniform(-1, 1, 7).tolist()
    spin *= by.spin
    azimuth, flat = LAMP_AZIMUTH + LAMP_SWING * spin, math.cos(LAMP_HEIGHT)
    return Scene(
        shift_x=by.shift_x * shift_x,
        shift_y=by.shift_y * shift_y,
        angle=TILT + by.turn * turn,
        roll=ROLL * spin,
        to_lamp=(flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(LAMP_HEIGHT)),
        bold=by.bold,
        blur=by.blur,
        gain=1 + by.light * gain,
        gradient_x=by.light * gradient_x,
        gradient_y=by.light * gradient_y,
    )
