"""Student's t: the one quantile that intervals need, here as importing scipy.special for it takes 0.3 s and more."""

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_STEPS = 60
_MOST_CONFIDENCE = 0.999


@lru_cache(maxsize=1024)
def t_quantile(degrees: float, confidence: float) -> float:
    """Half the width of a two-sided interval of Student's t, in standard errors: what |t| stays within so often.

    `degrees` of freedom at least 1, whole or not (Welch), `confidence` above 0 and at most 0.999, ValueError otherwise.
    With t = sqrt(degrees) tan(angle) the density is proportional to cos(angle)^(degrees - 1), and its integral concave,
    so that Newton's steps from the normal quantile, which is below the root, rise to it and never pass it. Within a
    ten-millionth of scipy.special.stdtrit (tests). Source: Abramowitz & Stegun, Handbook of Mathematical Functions,
    26.7.
    """
    if not (degrees >= 1 and 0 < confidence <= _MOST_CONFIDENCE):
        raise ValueError(f"no quantile of Student's t: {degrees} degrees of freedom, confidence {confidence}")
    scale = 2 / math.sqrt(math.pi) * math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2))
    angle = math.atan(NormalDist().inv_cdf((1 + confidence) / 2) / math.sqrt(degrees))
    for _ in range(_STEPS):
        within = scale * angle / 2 * float(_WEIGHTS @ np.cos(angle / 2 * (_NODES + 1)) ** (degrees - 1))
        step = (confidence - within) / (scale * math.cos(angle) ** (degrees - 1))
        angle += step
        if step <= 1e-14 * angle:
            break
    return math.sqrt(degrees) * math.tan(angle)
