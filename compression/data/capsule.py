"""Synthetic photographs of a two-tone capsule under a camera, good or with one defect, and a data set of them.

The parts are in _capsule/: what varies from one photograph to the next (scene.py), the capsule (surface.py), the kinds
of defect (defects.py), the picture (camera.py).
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from compression.data._capsule import camera
from compression.data._capsule.defects import DEFECTS, Damage
from compression.data._capsule.scene import LINE, STUDIO, Variation, draw_scene
from compression.data.errors import FolderTakenError
from inspection.errors import ImageError
from inspection.preprocess import decode

__all__ = ["DEFECTS", "LINE", "STUDIO", "VARIATIONS", "Recipe", "photograph", "photograph_with_mask", "write_dataset"]

RECIPE_FILE = "capsule.json"
GENERATOR = 2
"""Raised when equal recipes no longer give equal pictures."""

VISIBLE = 0.2
"""A pixel belongs to a defect where it changes the picture by this share of the largest change it makes."""

VARIATIONS = {"studio": STUDIO, "line": LINE}

Seed = int | Sequence[int]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Recipe:
    """All that a data set is made from: equal recipes give equal files. Counts of images, `size` in pixels."""

    seed: int
    train: int
    good: int
    bad: int
    size: int
    variation: str
    generator: int = GENERATOR


def photograph(seed: Seed, defect: str | None = None, size: int = 256, variation: Variation = STUDIO) -> Image.Image:
    """RGB picture of size x size pixels; `defect` is a key of `DEFECTS`, or None for a good capsule.

    A seed shows the same capsule, lamp and noise with and without a defect: the difference is the defect, obvious
    (severity 1).
    """
    return photograph_with_mask(seed, defect, size, variation)[0]


def photograph_with_mask(
    seed: Seed, defect: str | None, size: int, variation: Variation, severity: float | None = 1.0
) -> tuple[Image.Image, Mask]:
    """`photograph`, and where the defect shows: bool (size,size).

    `severity`: 0 hardly to be seen, 1 obvious, larger still above; None draws it from the seed, in the variation's
    range.
    """
    rng = np.random.default_rng(seed)
    damage_rng = rng.spawn(1)[0]
    scene = draw_scene(rng, variation)
    good = camera.expose(scene, size, Damage())
    if defect is None:
        return camera.develop(good, variation.noise, rng), np.zeros((size, size), bool)
    drawn = damage_rng.uniform(*variation.severity)
    place = camera.coordinates(scene, size)
    damage = DEFECTS[defect](*place, damage_rng, drawn if severity is None else severity)
    bad = camera.expose(scene, size, damage)
    change = np.abs(bad - good).max(axis=2)
    return camera.develop(bad, variation.noise, rng), _joined(change > VISIBLE * change.max())


def _joined(mask: Mask) -> Mask:
    """Gaps of up to two pixels filled (a morphological closing): a person would mark one defect, not its fragments."""
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(picture.filter(ImageFilter.MaxFilter(3)).filter(ImageFilter.MinFilter(3))) > 0


def write_dataset(
    folder: Path,
    seed: int = 0,
    train: int = 219,
    good: int = 23,
    bad: int = 109,
    size: int = 128,
    variation: str = "line",
    on_image: Callable[[int, int], None] | None = None,
) -> None:
    """A data set in MVTec AD's layout (mvtec.py): `train` and `good` capsules, `bad` ones of each kind in turn, masks.

    `variation`: a key of `VARIATIONS`.

    An image depends on nothing but the seed, its part of the data set and its number there; `on_image` is called with
    how many are done, of how many. The folder is made where it does not exist. One that an earlier call with the same
    arguments left unfinished is finished: whole images are kept. FolderTakenError where anything else is in it, which
    stays as it is. OSError where it cannot be written.
    """
    recipe = Recipe(seed, train, good, bad, size, variation)
    _claim(folder, recipe)
    shots = list(_shots(folder, recipe))
    for done, shot in enumerate(shots, 1):
        if not all(_is_whole(path) for path in (shot.path, shot.mask) if path):
            picture, mask = photograph_with_mask(shot.seed, shot.defect, size, VARIATIONS[variation], severity=None)
            if shot.mask:
                _write(shot.mask, _png(Image.fromarray(mask.astype(np.uint8) * 255)))
            _write(shot.path, _png(picture))
        if on_image:
            on_image(done, len(shots))


@dataclass(frozen=True)
class _Shot:
    path: Path
    mask: Path | None
    seed: tuple[int, int, int]
    defect: str | None


def _shots(folder: Path, recipe: Recipe) -> Iterator[_Shot]:
    kinds = sorted(DEFECTS)
    for part, (place, count) in enumerate((("train/good", recipe.train), ("test/good", recipe.good))):
        for number in range(count):
            yield _Shot(folder / place / f"{number:03}.png", None, (recipe.seed, part, number), None)
    for number in range(recipe.bad):
        kind, name = kinds[number % len(kinds)], f"{number // len(kinds):03}"
        mask = folder / "ground_truth" / kind / f"{name}_mask.png"
        yield _Shot(folder / "test" / kind / f"{name}.png", mask, (recipe.seed, 2, number), kind)


def _claim(folder: Path, recipe: Recipe) -> None:
    """Leave the recipe in a new or empty folder; a folder with this very recipe is ours already."""
    made_from = (json.dumps(asdict(recipe)) + "\n").encode()
    marker = folder / RECIPE_FILE
    if marker.is_file():
        if marker.read_bytes() == made_from:
            return
        raise FolderTakenError(
            f"{folder} holds another data set: {marker.read_text(errors='replace').strip()}",
            "name another folder, or remove this one",
        )
    if folder.exists() and not (folder.is_dir() and set(folder.iterdir()) <= {_unfinished(marker)}):
        raise FolderTakenError(f"{folder} is there and is not empty", "name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    _write(marker, made_from)


def _is_whole(path: Path) -> bool:
    try:
        decode(path.read_bytes())
    except (FileNotFoundError, ImageError):
        return False
    return True


def _png(picture: Image.Image) -> bytes:
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _write(path: Path, content: bytes) -> None:
    """All of it or nothing: a process that is killed leaves no half an image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _unfinished(path).write_bytes(content)
    _unfinished(path).replace(path)


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")
