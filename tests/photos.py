"""Encoded images to ask a model about."""

import io

import numpy as np
from PIL import Image


def photo(kind: str = "PNG", size: tuple[int, int] = (16, 12), seed: int = 0) -> bytes:
    """An image of seeded noise; `size` as (width, height)."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels, "RGB").save(file, kind)
    return file.getvalue()
