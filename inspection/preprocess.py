"""From an encoded image to a model's input tensor."""

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from inspection.errors import BrokenImageError, ImageTooLargeError, InputMismatchError, UnsupportedImageError

MAX_PIXELS = 64_000_000
"""Default cap of `decode`: 256 MB in colour, twice that while it is turned upright."""

# The readers are called by themselves, not through Image.open: its own limits (a warning at 89 megapixels, an error
# at 179) are process-wide, and silencing the warning is not thread-safe. They make MPO files of phones plain JPEGs.
_READERS: dict[bytes, type[PngImageFile | JpegImageFile]] = {
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"\xff\xd8\xff": JpegImageFile,
}
# By EXIF orientation. ImageOps.exif_transpose also writes the EXIF block anew, which fails on odd ones.
_UPRIGHT: dict[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# All that Pillow 11 to 13 raise for bytes that are not what their header says (found by fuzzing, kept by a test).
_DECODER_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How an image becomes the model's one input; the fields of `contract.manifest.Preprocessing`.

    color   order of the channels
    layout  NCHW or NHWC
    scale   factor of a pixel (0..255) before `mean` and `std`
    mean    subtracted, one value per channel in the order of `color`; empty = 0
    std     divides, likewise; empty = 1
    """

    color: Literal["RGB", "BGR", "GRAY"] = "RGB"
    height: int
    width: int
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    scale: float = 1 / 255
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode a PNG or JPEG file, known by its content, to an upright 8-bit image of mode L or RGB.

    - The EXIF orientation is applied.
    - 16-bit samples keep their high byte: full scale stays full scale, as Pillow does for 16-bit RGB.
    - Palettes are looked up; CMYK is converted; of an animation or a multi-picture file the first image is taken.
    - Transparency is dropped, not composed: training code reads ``Image.open(path).convert("RGB")``.

    Raises UnsupportedImageError, BrokenImageError, or ImageTooLargeError where the header declares more than
    `max_pixels`: nothing has been decoded or allocated by then.
    """
    if not data:
        raise BrokenImageError("the image is empty: 0 bytes", "send the bytes of a PNG or JPEG file")
    reader = next((reader for start, reader in _READERS.items() if data.startswith(start)), None)
    if reader is None:
        raise UnsupportedImageError(
            f"neither a PNG nor a JPEG file: it begins with {data[:8]!r}", "convert the image to PNG or JPEG"
        )
    try:
        image = reader(io.BytesIO(data))
        width, height = image.size
        if width * height > max_pixels:
            raise ImageTooLargeError(
                f"the image has {width} x {height} pixels, {max_pixels} are allowed",
                "crop it or scale it down before sending it",
            )
        image.load()
        turn = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation))
        return _to_8_bit(image if turn is None else image.transpose(turn))
    except _DECODER_ERRORS as error:
        raise BrokenImageError(
            f"the {reader.format} file of {len(data)} bytes is broken: {error}", "send the whole file, unchanged"
        ) from error


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Mode L stays L, greyscale becomes L, the rest RGB."""
    if image.mode in ("L", "RGB"):
        return image
    if image.mode.startswith("I"):  # 16-bit greyscale: "I;16", or "I" in older versions
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("1", "LA"):
        return image.convert("L")
    if image.mode == "P":  # by way of RGBA: Pillow warns on the direct way where the palette has transparency
        return image.convert("RGBA").convert("RGB")
    return image.convert("RGB")


def prepare(image: Image.Image, preprocessing: Preprocessing, dtype: str = "float32") -> NDArray[Any]:
    """Input tensor of shape (1,C,H,W) or (1,H,W,C) and `dtype`, row-major.

    The image is resized to (height, width) with Pillow's bilinear filter, which is antialiased when it shrinks; the
    aspect ratio is not kept. Colour becomes grey as ITU-R 601 luma, grey becomes colour as three equal channels.

    `dtype` float32 or float16: ``(pixel * scale - mean) / std``, computed in float32.
    `dtype` uint8: the pixels as they are; a model with uint8 input has its scale and mean inside, in its quantisation.
    InputMismatchError for any other.
    """
    if dtype not in ("float32", "float16", "uint8"):
        raise InputMismatchError(
            f"the model's input is {dtype}, an image can become float32, float16 or uint8",
            "send tensors instead of an image",
        )
    size = preprocessing.width, preprocessing.height
    # Resized first: converting would copy the whole large image, which a small board feels.
    image = _to_8_bit(image).resize(size, Image.Resampling.BILINEAR)
    image = image.convert("L" if preprocessing.color == "GRAY" else "RGB")
    pixels = np.asarray(image).reshape(preprocessing.height, preprocessing.width, -1)
    if preprocessing.color == "BGR":
        pixels = pixels[:, :, ::-1]
    values = pixels if dtype == "uint8" else _normalise(pixels, preprocessing).astype(dtype)
    if preprocessing.layout == "NCHW":
        values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(values[np.newaxis])


def _normalise(pixels: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.float32]:
    values = pixels.astype(np.float32)
    values *= np.float32(preprocessing.scale)
    if preprocessing.mean:
        values -= np.asarray(preprocessing.mean, np.float32)
    if preprocessing.std:
        values /= np.asarray(preprocessing.std, np.float32)
    return values
