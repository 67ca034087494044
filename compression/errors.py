"""What can be wrong with a model, or with how it was asked to be compressed.

::

    CompressionError
    ├── RateOutOfRangeError       rate_out_of_range        not between 0 and 1
    ├── BelowFloorError           below_floor              fewer weights than all ranks 1 leave; `floor` is that rate
    ├── NoCompressibleLayerError  no_compressible_layer    no convolution or matrix that a decomposition makes smaller
    ├── NanWeightsError           nan_weights              NaN or infinity among the weights
    ├── ExternalWeightsError      external_weights         the weights are in another file, and were not loaded
    ├── UnknownLayerError         unknown_layer            ranks for a layer that the model does not have
    ├── UnsupportedLayerError     unsupported_layer        ranks for a layer that cannot be decomposed
    ├── UnsupportedOperatorError  unsupported_operator     training cannot run an operator of the model
    ├── BadRanksError             bad_ranks                ranks that the layer's shape does not allow
    ├── UnknownShapeError         unknown_shape            multiply-adds need sizes that are not in the file
    ├── BadInputShapeError        bad_input_shape          a given shape names no input or contradicts the model
    ├── BadDataError              bad_data                 images that the model does not take, or none
    ├── NotCompressedError        not_compressed           no model that `compress` wrote
    └── TrainingError             training_failed          a training cannot go on as asked
        ├── DivergedError         diverged                 the error is no number any more
        ├── BatchError            bad_batch                the model does not take so many images at a time
        ├── TrainingMemoryError   out_of_memory            a step does not fit into memory
        ├── CheckpointError       bad_checkpoint           it belongs to another training, or is broken
        ├── DeviceError           no_such_device           torch does not find it on this machine
        └── TorchMissingError     torch_missing            it is not installed
"""

import difflib
from collections.abc import Iterable
from typing import ClassVar


class CompressionError(Exception):
    """A model cannot be compressed as asked: `message` says what and why, `hint` what to do, `code` is stable."""

    code: ClassVar[str] = "compression_failed"

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class RateOutOfRangeError(CompressionError):
    """The rate is not between 0 and 1."""

    code = "rate_out_of_range"


class BelowFloorError(CompressionError):
    """The rate asks for fewer weights than are left with every rank at 1; `floor` is the rate that those make."""

    code = "below_floor"

    def __init__(self, rate: float, floor: float) -> None:
        super().__init__(
            f"a rate of {rate:.6g} cannot be reached: with every rank at 1 it is {floor:.6g}",
            f"ask for at most {_rounded_down(floor)}, or compress a larger model",
        )
        self.rate = rate
        self.floor = floor


class NoCompressibleLayerError(CompressionError):
    """There is no convolution or matrix that a decomposition makes smaller."""

    code = "no_compressible_layer"


class NanWeightsError(CompressionError):
    """A kernel has NaN or infinity."""

    code = "nan_weights"


class ExternalWeightsError(CompressionError):
    """The weights are kept beside the model and were not loaded with it."""

    code = "external_weights"


class UnknownLayerError(CompressionError):
    """Ranks were given for a layer that the model does not have."""

    code = "unknown_layer"


class UnsupportedLayerError(CompressionError):
    """Ranks were given for a layer that cannot be decomposed."""

    code = "unsupported_layer"


class UnsupportedOperatorError(CompressionError):
    """The model has operators, or forms of them, that training cannot run."""

    code = "unsupported_operator"


class BadRanksError(CompressionError):
    """The ranks are not two whole numbers from 1 up to the layer's channels."""

    code = "bad_ranks"


class UnknownShapeError(CompressionError):
    """A budget of multiply-adds needs the size of every image and feature map; some are not in the file."""

    code = "unknown_shape"


class BadInputShapeError(CompressionError):
    """A shape was given that names no input, has the wrong number of dimensions or contradicts the model."""

    code = "bad_input_shape"


class BadDataError(CompressionError):
    """The model does not take these images, or there is none."""

    code = "bad_data"


class NotCompressedError(CompressionError):
    """The model has no record of a compression, or no longer the parts that the record names."""

    code = "not_compressed"


class TrainingError(CompressionError):
    """A training cannot begin or go on as asked."""

    code = "training_failed"


class DivergedError(TrainingError):
    """The training error is NaN or infinite."""

    code = "diverged"


class BatchError(TrainingError):
    """The model does not take so many images at a time."""

    code = "bad_batch"


class TrainingMemoryError(TrainingError):
    """A step does not fit into the memory of the device."""

    code = "out_of_memory"


class CheckpointError(TrainingError):
    """A checkpoint belongs to another training, or is broken."""

    code = "bad_checkpoint"


class DeviceError(TrainingError):
    """torch does not find this device."""

    code = "no_such_device"


class TorchMissingError(TrainingError):
    """Training needs torch, which is not installed."""

    code = "torch_missing"


def nearest(word: str, valid: Iterable[str]) -> str:
    """A hint: the one of `valid` that looks most like `word`, or else all of them."""
    names = list(valid)
    near = difflib.get_close_matches(word, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(map(repr, names))}"


def _rounded_down(rate: float) -> str:
    return f"{int(rate * 1e5) / 1e5:.5f}"
