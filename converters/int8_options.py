"""How a model is brought to 8-bit integers, where there is a choice."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Int8Options:
    """What a user may ask for; the defaults suit a trained autoencoder best.

    ranges           which values a tensor has to hold: all that the calibration inputs showed, all but the outermost
                     few ("percentile"), or those that leave the least squared error
    bias_correction  what the rounded weights add to a channel on average is taken off its bias
    io               element type of the file's inputs and outputs
    """

    ranges: Literal["minmax", "percentile", "squared_error"] = "minmax"
    bias_correction: bool = False
    io: Literal["int8", "uint8"] = "int8"
