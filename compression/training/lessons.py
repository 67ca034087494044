"""What there is to learn: to reconstruct images, or to do as another model does."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto

from compression.data.prepared import Prepared
from compression.errors import BatchError
from compression.training.loop import Floats, Judge, Lesson, Run
from compression.training.module import OnnxModule
from inspection.accuracy import auc
from inspection.score import Layout, Score, anomaly_map, score


def reconstruction(images: Prepared, layout: Layout = "NCHW") -> Lesson:
    """An autoencoder's: the target is the image itself, and the AUC of the test images is told after every epoch."""
    return Lesson(images.train, images.held_out, _themselves, judge_of(images.test, images.defective, layout))


def distillation(original: ModelProto, train: Floats, held_out: Floats, device: str = "cpu", batch: int = 16) -> Lesson:
    """Any model's: the target is what `original` makes of the images (Hinton et al., "Distilling the knowledge in a
    neural network", 2015, here with the squared error of all outputs).

    UnsupportedOperatorError; BatchError where it does not take the images `batch` at a time, or mixes them.
    """
    teacher = OnnxModule(original).to(device)
    _check_batch(teacher, torch.from_numpy(train[:batch]).to(device))

    def target(images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        made: tuple[torch.Tensor, ...] = teacher(images)
        return made

    return Lesson(train, held_out, target)


@torch.no_grad()
def _check_batch(model: OnnxModule, images: torch.Tensor) -> None:
    """A graph that was made for one image may mix several without a word, e.g. by a Softmax over the first axis."""
    alone = model(images[:1])
    try:
        together = [output[:1] for output in model(images)]
    except (RuntimeError, IndexError) as error:
        raise _not_in_batches(len(images), f"it fails with them: {error}") from error
    for one, first in zip(alone, together, strict=True):
        if one.shape != first.shape or not torch.allclose(one, first, rtol=1e-3, atol=1e-5 * float(one.abs().max())):
            raise _not_in_batches(len(images), "an image's output then depends on the others")


def _not_in_batches(count: int, why: str) -> BatchError:
    return BatchError(f"the model cannot be trained on {count} images at a time: {why}", "give --batch 1")


def judge_of(test: Floats, defective: NDArray[np.bool_] | Sequence[bool], layout: Layout = "NCHW") -> Judge:
    """AUC of the prepared `test` images by the maximum of their smoothed squared error."""

    def judge(reconstruct: Run) -> float:
        pairs = zip(test, reconstruct(test), strict=True)
        scores = [score(anomaly_map(image[np.newaxis], made[np.newaxis], Score(), layout)) for image, made in pairs]
        return auc(scores, defective)

    return judge


def _themselves(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return (batch,)
