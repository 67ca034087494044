"""How a model is trained: what is chosen before it begins, and what is told of each epoch."""

from dataclasses import dataclass
from typing import Literal

Select = Literal["test", "validation"]
"""Which epoch is kept: that with the highest AUC of the test images, as published, though choosing by them flatters; or
that with the least error on training images that are held out."""

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class Recipe:
    """Equal recipes on equal data at an equal `pace.Pace` give equal weights.

    epochs         at most; the learning rate falls over all of them
    batch          images
    learning_rate  at its highest, of AdamW
    weight_decay   decoupled (Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019), of kernels
                   alone, in the first half of the steps: what it drives to zero a decomposition leaves out
    seed           of the order of the images
    """

    epochs: int = 200
    batch: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    seed: int = 0
    select: Select = "test"


@dataclass(frozen=True)
class Epoch:
    """One pass over the training images. Errors are means of squared errors, in squared units of the outputs.

    `auc` is that of the test images, None where there are none to judge by.
    """

    number: int
    training_error: float
    held_out_error: float
    auc: float | None

    def better_than(self, other: "Epoch | None", select: Select) -> bool:
        if other is None:
            return True
        if select == "validation" or self.auc is None or other.auc is None:
            return self.held_out_error < other.held_out_error
        return (self.auc, -self.held_out_error) > (other.auc, -other.held_out_error)
