"""What a user's image, tensor or data set can do wrong here.

InspectionError
├── ImageError
│   ├── UnsupportedImageError   neither PNG nor JPEG
│   ├── BrokenImageError        empty, truncated or corrupt
│   └── ImageTooLargeError      more pixels than allowed, by its header
├── InputMismatchError          shapes or element types that do not belong together
├── NonFiniteError              NaN or infinity where a number is needed
└── TooFewImagesError           nothing to compute a threshold or an AUC from
"""


class InspectionError(Exception):
    """Root of this room: `str(error)` says what is wrong, `hint` what to do, `code` is stable."""

    code = "inspection_error"

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class ImageError(InspectionError):
    """The encoded image cannot be used."""

    code = "bad_image"


class UnsupportedImageError(ImageError):
    """The bytes are neither a PNG nor a JPEG file."""

    code = "unsupported_image"


class BrokenImageError(ImageError):
    """A PNG or JPEG file that is empty, truncated or corrupt."""

    code = "broken_image"


class ImageTooLargeError(ImageError):
    """The image's header declares more pixels than allowed; nothing was decoded."""

    code = "image_too_large"


class InputMismatchError(InspectionError):
    """Shapes, lengths or element types that do not belong together."""

    code = "input_mismatch"


class NonFiniteError(InspectionError):
    """NaN or infinity where a decision needs a number."""

    code = "non_finite"


class TooFewImagesError(InspectionError):
    """No good image, or no defective one, where the figure is undefined without."""

    code = "too_few_images"
