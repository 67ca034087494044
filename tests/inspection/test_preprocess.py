import contextlib
import dataclasses
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps

from contract import manifest
from inspection.errors import (
    BrokenImageError,
    ImageError,
    ImageTooLargeError,
    InputMismatchError,
    UnsupportedImageError,
)
from inspection.preprocess import Preprocessing, decode, prepare

GRADIENT = np.arange(12 * 10 * 3, dtype=np.uint8).reshape(12, 10, 3)
PICTURE = Image.fromarray(GRADIENT)
RGB_8X4 = Preprocessing(height=8, width=4)


def encode(image: Image.Image, image_format: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG file that ends where its pixels should begin."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + header
        + struct.pack(">I", zlib.crc32(header))
        + b"\x00\x01\x00\x00IDAT"
    )


PNG, JPEG = encode(PICTURE), encode(PICTURE, "JPEG")


def test_has_the_fields_of_the_contract() -> None:
    fields = {field.name for field in dataclasses.fields(Preprocessing)}
    assert fields == set(manifest.Preprocessing.model_fields)
    theirs = manifest.Preprocessing(height=8, width=4)
    assert Preprocessing(**theirs.model_dump()) == Preprocessing(height=8, width=4)


def test_decodes_a_png_exactly() -> None:
    np.testing.assert_array_equal(np.asarray(decode(PNG)), GRADIENT)


def test_decodes_a_jpeg() -> None:
    smooth = Image.linear_gradient("L").convert("RGB")
    decoded = decode(encode(smooth, "JPEG", quality=95))
    assert decoded.mode == "RGB"
    assert np.abs(np.asarray(decoded, int) - np.asarray(smooth, int)).max() <= 3


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (2, 1), 200), np.full((1, 2), 200)),
        (Image.new("1", (2, 1), 1), np.full((1, 2), 255)),
        (Image.new("LA", (2, 1), (200, 0)), np.full((1, 2), 200)),
        (Image.new("RGBA", (2, 1), (9, 8, 7, 0)), np.full((1, 2, 3), (9, 8, 7))),
        (Image.new("RGB", (2, 1), (9, 8, 7)).quantize(), np.full((1, 2, 3), (9, 8, 7))),
        (Image.fromarray(np.array([[0xFFFF, 0x1234]], np.uint16)), np.array([[0xFF, 0x12]])),
    ],
    ids=["grey", "bilevel", "grey+alpha", "alpha", "palette", "16-bit"],
)
def test_every_kind_of_png_becomes_8_bit_grey_or_rgb(image: Image.Image, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(np.asarray(decode(encode(image))), expected)


def test_a_palette_with_transparency_is_decoded_without_a_warning() -> None:
    palette = Image.new("RGB", (2, 1), (9, 8, 7)).quantize()
    decoded = decode(encode(palette, transparency=bytes([0] * len(palette.getcolors()))))
    np.testing.assert_array_equal(np.asarray(decoded), np.full((1, 2, 3), (9, 8, 7)))


def test_a_cmyk_jpeg_becomes_rgb() -> None:
    decoded = decode(encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG"))
    assert decoded.mode == "RGB"
    assert np.abs(np.asarray(decoded, int) - (255, 0, 0)).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_the_exif_orientation_is_applied(image_format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    lying = Image.new("L", (32, 16))
    lying.paste(255, (0, 0, 16, 8))
    data = encode(lying, image_format, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(np.asarray(decode(data)), np.asarray(expected))


def test_an_odd_orientation_is_no_orientation() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 77
    np.testing.assert_array_equal(np.asarray(decode(encode(PICTURE, exif=exif))), GRADIENT)


def test_empty_bytes_are_refused() -> None:
    with pytest.raises(BrokenImageError, match="0 bytes"):
        decode(b"")


@pytest.mark.parametrize("image_format", ["GIF", "BMP", "TIFF", "WEBP"])
def test_other_formats_are_refused_whatever_they_hold(image_format: str) -> None:
    with pytest.raises(UnsupportedImageError, match="neither a PNG nor a JPEG") as caught:
        decode(encode(PICTURE, image_format))
    assert (caught.value.code, bool(caught.value.hint)) == ("unsupported_image", True)


@pytest.mark.parametrize("data", [PNG, JPEG], ids=["png", "jpeg"])
def test_a_truncated_file_is_broken(data: bytes) -> None:
    for kept in (10, 40, len(data) // 2, len(data) * 3 // 4):
        with pytest.raises(BrokenImageError, match=f"of {kept} bytes is broken"):
            decode(data[:kept])


def test_a_bomb_is_refused_by_its_header() -> None:
    # Its pixels are missing: had decoding begun, it would be a broken image.
    with pytest.raises(ImageTooLargeError, match="60000 x 60000 pixels, 64000000 are allowed") as caught:
        decode(png_header(60_000, 60_000))
    assert caught.value.code == "image_too_large"


def test_the_cap_is_the_callers() -> None:
    assert decode(PNG, max_pixels=120).size == (10, 12)
    with pytest.raises(ImageTooLargeError):
        decode(PNG, max_pixels=119)


@pytest.mark.parametrize("side", [10_000, 20_000], ids=["pillow-would-warn", "pillow-would-refuse"])
def test_pillows_own_limits_do_not_interfere(side: int) -> None:
    with pytest.raises(BrokenImageError):
        decode(png_header(side, side), max_pixels=side * side)


@given(
    data=st.sampled_from([PNG, JPEG, encode(PICTURE.quantize()), encode(PICTURE.convert("L"), "JPEG")]),
    changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=8),
    kept=st.integers(0, 2000),
)
def test_damaged_files_decode_or_are_refused_by_name(data: bytes, changes: list[tuple[int, int]], kept: int) -> None:
    damaged = bytearray(data)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    with contextlib.suppress(ImageError):
        assert decode(bytes(damaged[:kept]), max_pixels=1_000_000).mode in ("L", "RGB")


def test_normalises_lays_out_and_orders_channels() -> None:
    image = Image.new("RGB", (4, 8), (10, 20, 30))
    preprocessing = Preprocessing(color="BGR", height=8, width=4, scale=0.5, mean=(1, 2, 3), std=(2, 4, 8))
    tensor = prepare(image, preprocessing)
    assert tensor.shape == (1, 3, 8, 4)
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    np.testing.assert_array_equal(tensor[0, :, 3, 2], [(15 - 1) / 2, (10 - 2) / 4, (5 - 3) / 8])


def test_nhwc_is_nchw_transposed() -> None:
    nhwc = prepare(PICTURE, dataclasses.replace(RGB_8X4, layout="NHWC"))
    assert nhwc.shape == (1, 8, 4, 3)
    assert nhwc.flags.c_contiguous
    np.testing.assert_array_equal(nhwc.transpose(0, 3, 1, 2), prepare(PICTURE, RGB_8X4))


def test_a_grey_image_fills_three_channels() -> None:
    tensor = prepare(Image.new("L", (5, 5), 51), RGB_8X4)
    np.testing.assert_allclose(tensor, np.full((1, 3, 8, 4), 0.2), rtol=1e-6)


def test_a_colour_image_becomes_luma() -> None:
    tensor = prepare(Image.new("RGB", (5, 5), (255, 0, 0)), Preprocessing(color="GRAY", height=8, width=4))
    assert tensor.shape == (1, 1, 8, 4)
    np.testing.assert_allclose(tensor, 0.299, atol=1 / 255)


def test_one_pixel_is_stretched_over_the_input() -> None:
    tensor = prepare(decode(encode(Image.new("RGB", (1, 1), (255, 0, 51)))), RGB_8X4)
    np.testing.assert_allclose(tensor, np.broadcast_to([[[[1]], [[0]], [[0.2]]]], (1, 3, 8, 4)), rtol=1e-6)


def test_shrinking_is_antialiased() -> None:
    checkerboard = np.indices((64, 64)).sum(axis=0) % 2 * 255
    tensor = prepare(Image.fromarray(checkerboard.astype(np.uint8)), RGB_8X4)
    assert np.abs(tensor - 0.5).max() < 0.02


def test_float16_is_float32_rounded() -> None:
    half = prepare(PICTURE, RGB_8X4, "float16")
    np.testing.assert_array_equal(half, prepare(PICTURE, RGB_8X4).astype(np.float16))


def test_uint8_is_the_pixels_themselves() -> None:
    raw = prepare(PICTURE, Preprocessing(height=12, width=10, layout="NHWC", mean=(1, 1, 1)), "uint8")
    assert raw.dtype == np.uint8
    np.testing.assert_array_equal(raw[0], GRADIENT)


@pytest.mark.parametrize("dtype", ["int8", "int32", "float64", "bool"])
def test_other_element_types_are_refused(dtype: str) -> None:
    with pytest.raises(InputMismatchError, match=f"input is {dtype}"):
        prepare(PICTURE, RGB_8X4, dtype)


def test_a_palette_image_that_was_not_decoded_here_is_resized_by_colour_not_by_index() -> None:
    two = Image.new("RGB", (2, 2))
    two.putpixel((0, 0), (255, 255, 255))
    np.testing.assert_array_equal(prepare(two.quantize(), RGB_8X4), prepare(two, RGB_8X4))
