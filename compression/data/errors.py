"""What can be wrong with a data set's folder.

::

    DatasetError
    ├── MissingFolderError  missing_folder  the folder, or a part of the layout, is not there
    ├── EmptyFolderError    empty_folder    no PNG or JPEG image in it
    ├── OneClassError       one_class       no good test image or no defective one: the AUC is undefined
    ├── TooFewImagesError   too_few_images  nothing would be left to train on, or to hold out
    ├── MixedSizesError     mixed_sizes     images of different sizes
    ├── ImageFileError      bad_image_file  an image or a mask that is truncated, no image, or cannot be read
    ├── MissingMaskError    missing_mask    a defective image without its mask, while others have theirs
    ├── MaskSizeError       mask_size       a mask of another size than its image
    └── FolderTakenError    folder_taken    something else is where a data set is to be written
"""

from typing import ClassVar


class DatasetError(Exception):
    """A data set cannot be used: `message` says what and why, `hint` what to do, `code` is stable."""

    code: ClassVar[str] = "dataset_failed"

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class MissingFolderError(DatasetError):
    """The folder is not there, or a part of the layout is not in it."""

    code = "missing_folder"


class EmptyFolderError(DatasetError):
    """A folder of images without a PNG or JPEG image."""

    code = "empty_folder"


class OneClassError(DatasetError):
    """The test images are all good or all defective."""

    code = "one_class"


class TooFewImagesError(DatasetError):
    """Too few training images to hold some of them out."""

    code = "too_few_images"


class MixedSizesError(DatasetError):
    """The images are not of one size."""

    code = "mixed_sizes"


class ImageFileError(DatasetError):
    """An image or a mask cannot be read; the message names its file."""

    code = "bad_image_file"


class MissingMaskError(DatasetError):
    """A defective image has no mask, while others have theirs."""

    code = "missing_mask"


class MaskSizeError(DatasetError):
    """A mask is not of its image's size."""

    code = "mask_size"


class FolderTakenError(DatasetError):
    """The folder to write to holds something else."""

    code = "folder_taken"
