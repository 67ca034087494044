import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import label

from inspection.accuracy import auc
from inspection.errors import InputMismatchError, NonFiniteError, TooFewImagesError
from inspection.pixel_accuracy import pixel_accuracy


def maps_of(*rows: list[list[float]]) -> list[np.ndarray]:
    return [np.array(row, np.float32) for row in rows]


def masks_of(*rows: list[list[int]]) -> list[np.ndarray]:
    return [np.array(row, bool) for row in rows]


def test_a_case_by_hand() -> None:
    maps = maps_of([[9, 5, 0, 3], [0, 0, 0, 0]], [[4, 0, 0, 0], [0, 0, 0, 0]])
    masks = masks_of([[1, 1, 0, 1], [0, 0, 0, 0]], [[0, 0, 0, 0], [0, 0, 0, 0]])
    # 13 defect-free pixels: one at 4, twelve at 0. The region {9, 5} is found at once, {3} past the 4.
    found = pixel_accuracy(maps, masks)
    assert found.regions == 2
    assert found.auroc == pytest.approx((1 + 1 + 12 / 13) / 3)
    assert found.aupro == pytest.approx((1 + (0.3 - 1 / 13) / 0.3) / 2)


def test_a_small_defect_counts_as_much_as_a_large_one() -> None:
    mask = np.zeros((20, 20), bool)
    mask[:10, :10] = mask[15, 15] = True
    anomaly = np.where(mask, 2.0, 1.0).astype(np.float32)
    anomaly[15, 15] = 0  # the small one is missed
    found = pixel_accuracy([anomaly], [mask])
    assert found.aupro == pytest.approx(0.5)
    assert found.auroc == pytest.approx(100 / 101)


def test_pixels_that_touch_at_a_corner_are_one_defect() -> None:
    mask = np.eye(5, dtype=bool)
    assert pixel_accuracy([mask.astype(np.float32)], [mask]).regions == 1


def test_a_perfect_map_and_its_opposite() -> None:
    mask = np.zeros((6, 6), bool)
    mask[2:4, 2:4] = True
    right = pixel_accuracy([mask.astype(np.float32)], [mask])
    wrong = pixel_accuracy([-mask.astype(np.float32)], [mask])
    assert (right.auroc, right.aupro) == (1.0, 1.0)
    assert (wrong.auroc, wrong.aupro) == (0.0, 0.0)


def test_a_constant_map_knows_nothing() -> None:
    mask = np.zeros((6, 6), bool)
    mask[0, 0] = True
    found = pixel_accuracy([np.ones((6, 6), np.float32)], [mask])
    assert found.auroc == 0.5
    assert found.aupro == pytest.approx(0.15)  # the diagonal: 0.3 ** 2 / 2 / 0.3


def by_drawing_the_curve(maps: list[np.ndarray], masks: list[np.ndarray], limit: float) -> float:
    """AUPRO as Bergmann et al. describe it: threshold after threshold, then the trapezoidal rule up to the limit."""
    regions = []
    for number, mask in enumerate(masks):
        labelled, count = label(mask, np.ones((3, 3)))
        regions += [(number, labelled == region) for region in range(1, count + 1)]
    free = np.concatenate([anomaly[~mask] for anomaly, mask in zip(maps, masks, strict=True)])
    rates, overlaps = [0.0], [0.0]
    for threshold in sorted({float(value) for anomaly in maps for value in anomaly.flat}, reverse=True):
        rates.append(float(np.mean(free >= threshold)))
        overlaps.append(float(np.mean([np.mean(maps[number][region] >= threshold) for number, region in regions])))
    inner = [(rate, overlap) for rate, overlap in zip(rates, overlaps, strict=True) if rate < limit]
    x, y = [rate for rate, _ in inner], [overlap for _, overlap in inner]
    after = len(inner)
    if after < len(rates):  # where the curve crosses the limit
        share = (limit - x[-1]) / (rates[after] - x[-1])
        y.append(y[-1] + share * (overlaps[after] - y[-1]))
        x.append(limit)
    return float(np.trapezoid(y, x)) / limit


@given(
    values=arrays(np.float32, (3, 5, 6), elements=st.integers(0, 8).map(float)),
    marks=arrays(bool, (3, 5, 6)),
    limit=st.sampled_from((0.05, 0.3, 1.0)),
)
def test_agrees_with_drawing_the_curve(values: np.ndarray, marks: np.ndarray, limit: float) -> None:
    maps, masks = list(values), list(marks)
    if marks.all() or not marks.any():
        with pytest.raises(TooFewImagesError, match="undefined"):
            pixel_accuracy(maps, masks, limit)
        return
    found = pixel_accuracy(maps, masks, limit)
    assert found.auroc == pytest.approx(auc(values.ravel(), marks.ravel()), abs=1e-9)
    assert found.aupro == pytest.approx(by_drawing_the_curve(maps, masks, limit), abs=1e-9)


def test_images_may_differ_in_size() -> None:
    maps = [np.zeros((3, 4), np.float32), np.ones((5, 2), np.float32)]
    assert pixel_accuracy(maps, [np.zeros((3, 4), bool), np.ones((5, 2), bool)]).auroc == 1.0


@pytest.mark.parametrize("marked", [True, False])
def test_one_class_of_pixels_is_undefined_not_zero(marked: bool) -> None:
    with pytest.raises(TooFewImagesError, match="undefined"):
        pixel_accuracy([np.zeros((3, 3), np.float32)], [np.full((3, 3), marked)])


def test_nothing_is_undefined_too() -> None:
    with pytest.raises(TooFewImagesError, match="0 defect-free and 0 defective"):
        pixel_accuracy([], [])


def test_a_map_without_its_mask_is_refused() -> None:
    with pytest.raises(InputMismatchError, match="1 anomaly maps, 0 masks"):
        pixel_accuracy([np.zeros((3, 3), np.float32)], [])


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(InputMismatchError, match=r"map 1 is \(3, 3\), its mask \(6, 6\)"):
        pixel_accuracy([np.zeros((3, 3), np.float32)] * 2, [np.ones((3, 3), bool), np.zeros((6, 6), bool)])


def test_a_nan_is_never_ranked() -> None:
    broken = np.zeros((3, 3), np.float32)
    broken[1, 1] = np.nan
    with pytest.raises(NonFiniteError, match="map 0"):
        pixel_accuracy([broken], [np.eye(3, dtype=bool)])


@pytest.mark.parametrize("limit", [0, -0.1, 1.01])
def test_a_limit_that_is_no_rate_is_a_bug(limit: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        pixel_accuracy([np.zeros((3, 3), np.float32)], [np.eye(3, dtype=bool)], limit)
