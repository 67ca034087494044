import base64
import dataclasses
import io
import time
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from scipy.ndimage import gaussian_filter

from contract import manifest
from inspection.errors import InputMismatchError, NonFiniteError
from inspection.score import (
    LEAST_USUAL,
    Method,
    Score,
    anomaly_map,
    decide,
    decode_error_map,
    encode_error_map,
    error_map,
    gaussian_smooth,
    judged_map,
    normalised_map,
    render_map,
    score,
)

RNG = np.random.default_rng(0)
IMAGE, RECONSTRUCTION = RNG.random((2, 1, 3, 6, 5), np.float32)


def test_has_the_fields_and_defaults_of_the_contract() -> None:
    assert dataclasses.asdict(Score()) == manifest.Score().model_dump()


def test_error_is_squared_and_averaged_over_channels() -> None:
    errors = error_map(IMAGE, RECONSTRUCTION)
    assert errors.shape == (6, 5)
    assert errors.dtype == np.float32
    by_hand = sum((IMAGE[0, c, 4, 2] - RECONSTRUCTION[0, c, 4, 2]) ** 2 for c in range(3)) / 3
    assert errors[4, 2] == pytest.approx(by_hand, rel=1e-6)


def test_layouts_agree() -> None:
    nhwc = (tensor.transpose(0, 2, 3, 1) for tensor in (IMAGE, RECONSTRUCTION))
    np.testing.assert_allclose(error_map(*nhwc, "NHWC"), error_map(IMAGE, RECONSTRUCTION), rtol=1e-6)


def test_unsigned_pixels_do_not_wrap_around() -> None:
    dark, bright = np.full((1, 1, 2, 2), 10, np.uint8), np.full((1, 1, 2, 2), 250, np.uint8)
    np.testing.assert_array_equal(error_map(dark, bright), np.full((2, 2), 240**2))


def test_half_precision_is_squared_in_single() -> None:
    far = np.full((1, 1, 2, 2), 1000, np.float16)  # its square is beyond float16
    np.testing.assert_array_equal(error_map(far, np.zeros_like(far)), np.full((2, 2), 1e6))


@pytest.mark.parametrize("shape", [(1, 3, 5, 6), (3, 6, 5), (1, 10), (1, 1, 6, 5)])
def test_an_output_that_is_no_reconstruction_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputMismatchError, match="not two equal shapes") as caught:
        error_map(IMAGE, np.zeros(shape, np.float32))
    assert caught.value.code == "input_mismatch"


def test_a_batch_of_two_is_refused() -> None:
    pair = np.zeros((2, 3, 6, 5), np.float32)
    with pytest.raises(InputMismatchError, match="one image"):
        error_map(pair, pair)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_a_reconstruction_that_is_not_finite_gives_no_score(value: float) -> None:
    broken = RECONSTRUCTION.copy()
    broken[0, 1, 2, 3] = value
    with pytest.raises(NonFiniteError, match="1 of 30 pixels") as caught:
        anomaly_map(IMAGE, broken, Score())
    assert caught.value.code == "non_finite"


@given(
    values=arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.floats(0, 1, width=32)),
    sigma=st.floats(0.05, 12),
)
def test_smoothing_is_scipys(values: np.ndarray, sigma: float) -> None:
    smoothed = gaussian_smooth(values, sigma)
    assert smoothed.dtype == np.float32
    np.testing.assert_allclose(smoothed, gaussian_filter(values, sigma, mode="reflect"), rtol=0, atol=1e-6)


def test_smoothing_leaves_its_input_alone() -> None:
    values = RNG.random((9, 9), np.float32)
    before = values.copy()
    gaussian_smooth(values, 1.0)
    np.testing.assert_array_equal(values, before)


def test_smoothing_is_quick() -> None:
    values = RNG.random((256, 256), np.float32)
    durations = []
    for _ in range(20):
        start = time.perf_counter()
        gaussian_smooth(values, 1.0)
        durations.append(time.perf_counter() - start)
    assert min(durations) < 0.003


def test_the_score_is_the_maximum_of_the_smoothed_error() -> None:
    anomaly = anomaly_map(IMAGE, RECONSTRUCTION, Score(sigma=2.0))
    expected = gaussian_filter(error_map(IMAGE, RECONSTRUCTION), 2.0).max()
    assert score(anomaly) == pytest.approx(expected, abs=1e-6)
    assert type(score(anomaly)) is float


def test_a_usual_error_is_one_and_the_same_error_elsewhere_is_more() -> None:
    usual = np.array([[1, 4], [1, 2]], np.float32)
    anomaly = np.array([[4, 4], [1, 1]], np.float32)
    normalised = normalised_map(anomaly, usual)
    assert normalised.dtype == np.float32
    assert normalised.tolist() == [[4, 1], [1, 0.5]]


def test_almost_no_usual_error_does_not_blow_up_the_score() -> None:
    usual = np.array([[0, 1e-12], [2, 2]], np.float32)
    np.testing.assert_allclose(normalised_map(np.ones_like(usual), usual)[0], 1 / LEAST_USUAL, rtol=1e-6)


def test_the_unit_of_the_error_does_not_matter() -> None:
    usual, anomaly = RNG.random((2, 4, 4), np.float32)
    np.testing.assert_allclose(
        normalised_map(anomaly * 65025, usual * 65025), normalised_map(anomaly, usual), rtol=1e-5
    )


def test_the_training_error_of_another_size_is_refused() -> None:
    with pytest.raises(InputMismatchError, match=r"\(2, 2\), training error map \(2, 3\)"):
        normalised_map(np.ones((2, 2), np.float32), np.ones((2, 3), np.float32))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -1.0, 0.0])
def test_a_training_error_that_is_none_is_refused(wrong: float) -> None:
    usual = np.full((2, 2), wrong, np.float32)
    with pytest.raises(NonFiniteError, match="training error map"):
        normalised_map(np.ones((2, 2), np.float32), usual)
    if wrong:
        usual[0, 0] = 1e3 if wrong < 0 else 1
        with pytest.raises(NonFiniteError):
            normalised_map(np.ones((2, 2), np.float32), usual)


SMOOTHED, NORMALISED = Score(sigma=2.0), Score("max_normalised_squared_error", sigma=2.0)
USUAL = RNG.uniform(0.1, 1, (6, 5)).astype(np.float32)


def test_both_methods_are_those_of_the_contract() -> None:
    for spec in (SMOOTHED, NORMALISED):
        assert manifest.Score(method=spec.method).needs_training_error == (spec is NORMALISED)
    assert set(get_args(Method)) == {SMOOTHED.method, NORMALISED.method}


def test_the_map_that_is_judged_is_the_methods() -> None:
    anomaly = anomaly_map(IMAGE, RECONSTRUCTION, SMOOTHED)
    for usual in (None, USUAL):
        np.testing.assert_array_equal(judged_map(IMAGE, RECONSTRUCTION, SMOOTHED, "NCHW", usual), anomaly)
    normalised = judged_map(IMAGE, RECONSTRUCTION, NORMALISED, training_error=USUAL)
    np.testing.assert_array_equal(normalised, normalised_map(anomaly, USUAL))
    nhwc = [np.ascontiguousarray(tensor.transpose(0, 2, 3, 1)) for tensor in (IMAGE, RECONSTRUCTION)]
    np.testing.assert_allclose(judged_map(nhwc[0], nhwc[1], NORMALISED, "NHWC", USUAL), normalised, rtol=1e-5)


def test_a_normalised_score_needs_its_map() -> None:
    with pytest.raises(InputMismatchError, match="max_normalised_squared_error has no training error map"):
        judged_map(IMAGE, RECONSTRUCTION, NORMALISED)
    with pytest.raises(InputMismatchError, match=r"training error map \(5, 6\)"):
        judged_map(IMAGE, RECONSTRUCTION, NORMALISED, "NCHW", np.ascontiguousarray(USUAL.T))


@pytest.mark.parametrize("unit", [1e-7, 1e-3, 1, 65025])
def test_a_training_error_map_keeps_three_digits_as_text(unit: float) -> None:
    usual = USUAL * np.float32(unit)
    decoded = decode_error_map(encode_error_map(usual), 6, 5)
    assert (decoded.dtype, decoded.shape) == (np.float32, (6, 5))
    np.testing.assert_allclose(decoded, usual, rtol=1.01e-3)
    assert encode_error_map(decoded) == encode_error_map(usual)


def test_a_training_error_map_of_128_pixels_has_44_kilobytes() -> None:
    usual = np.zeros((128, 128), np.float32)
    usual[3, 5] = 4
    text = encode_error_map(usual)
    assert len(text) == 43_692
    np.testing.assert_array_equal(decode_error_map(text, 128, 128), usual)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -1.0, 0.0, 1e10])
def test_what_is_no_training_error_is_not_written(wrong: float) -> None:
    with pytest.raises(NonFiniteError, match="training error map has the m"):
        encode_error_map(np.full((6, 5), wrong, np.float32))


def test_a_map_has_two_axes() -> None:
    with pytest.raises(InputMismatchError, match=r"\(1, 6, 5\)"):
        encode_error_map(USUAL[np.newaxis])


def as_text(*roots: float) -> str:
    return base64.b64encode(np.array(roots, "<f2").tobytes()).decode()


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        ("", InputMismatchError, "has 0 bytes, 1 x 2 pixels need 4"),
        (as_text(1, 2, 3), InputMismatchError, "has 6 bytes, 1 x 2 pixels need 4"),
        (as_text(1, 2)[:-1], InputMismatchError, "is not base64"),
        ("?" + as_text(1, 2)[1:], InputMismatchError, "is not base64"),
        ("ä", InputMismatchError, "is not base64"),
        (as_text(1, np.nan), NonFiniteError, "mean nan"),
        (as_text(1, np.inf), NonFiniteError, "mean inf"),
        (as_text(0, 0), NonFiniteError, "mean 0.0"),
    ],
)
def test_a_damaged_text_is_told(text: str, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        decode_error_map(text, 1, 2)


def test_defective_is_above_the_threshold() -> None:
    assert decide(0.5, 0.5) == "good"
    assert decide(np.nextafter(0.5, 1), 0.5) == "defective"
    assert decide(0.5, None) == "uncalibrated"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("threshold", [0.5, None])
def test_a_score_that_is_not_finite_is_no_decision(value: float, threshold: float | None) -> None:
    with pytest.raises(NonFiniteError):
        decide(value, threshold)


def rendered(anomaly: np.ndarray, upper: float | None = None) -> np.ndarray:
    data = render_map(anomaly.astype(np.float32), upper)
    return np.asarray(Image.open(io.BytesIO(data), formats=["PNG"]).convert("RGB"))


def test_a_map_is_rendered_from_black_to_pale_yellow() -> None:
    picture = rendered(np.linspace(0, 3, 12).reshape(3, 4))
    assert picture.shape == (3, 4, 3)
    assert tuple(picture[0, 0]) == (0x00, 0x00, 0x04)
    assert tuple(picture[2, 3]) == (0xFC, 0xFF, 0xA4)
    luma = picture.reshape(-1, 3) @ (0.299, 0.587, 0.114)
    assert (np.diff(luma) > 0).all()


def test_upper_is_the_end_of_the_scale() -> None:
    np.testing.assert_array_equal(rendered(np.array([[0, 1, 2, 9]]), upper=2.0), rendered(np.array([[0, 1, 2, 2]])))


def test_a_map_of_zeros_is_black() -> None:
    assert rendered(np.zeros((2, 2))).max() == 4
