import numpy as np
import pytest
from PIL import Image

from compression.data.capsule import DEFECTS, photograph


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def test_a_seed_is_a_picture() -> None:
    picture = photograph(7)
    assert (picture.mode, picture.size) == ("RGB", (256, 256))
    assert picture.tobytes() == photograph(7).tobytes()
    assert picture.tobytes() != photograph(8).tobytes()
    assert photograph((1, 2)).tobytes() != photograph((2, 1)).tobytes()


@pytest.mark.parametrize("kind", sorted(DEFECTS))
@pytest.mark.parametrize("seed", range(6))
def test_a_defect_is_all_that_differs_from_its_good_twin(kind: str, seed: int) -> None:
    difference = np.abs(pixels(photograph(seed, kind)) - pixels(photograph(seed))).max(axis=2)
    assert 20 < np.count_nonzero(difference > 25) < 1500  # visible, and small
    assert max(difference[:40].max(), difference[-40:].max()) == 0  # it stays on the capsule


def test_defects_vary_with_the_seed() -> None:
    marks = [
        np.abs(pixels(photograph(seed, "scratch")) - pixels(photograph(seed))).max(axis=2) > 40 for seed in range(3)
    ]
    assert not (marks[0] & marks[1] & marks[2]).any()


def test_good_capsules_differ_by_little() -> None:
    first, second = pixels(photograph(1)), pixels(photograph(2))
    assert 1 < np.abs(first - second).mean() < 8


@pytest.mark.parametrize("kind", [None, *sorted(DEFECTS)])
def test_another_size_shows_the_same_capsule(kind: str | None) -> None:
    small = photograph(3, kind, size=128)
    assert small.size == (128, 128)
    shrunk = photograph(3, kind).resize((128, 128), Image.Resampling.BOX)
    assert np.abs(pixels(small) - pixels(shrunk)).mean() < 3


def test_the_cap_is_blue_and_the_body_is_not() -> None:
    picture = pixels(photograph(0))
    cap, body = picture[145, 50], picture[100, 200]
    assert cap[2] > cap[0] + 40
    assert body[0] > body[2] + 20
