from collections.abc import Iterator

import numpy as np
import pytest
import zoo
from kernels import images, layer
from onnx import ModelProto

from compression.errors import BadDataError
from compression.feeds import feeds_of


def any_batch() -> ModelProto:
    return layer("Conv", images(6, 4, 3, 3), ("N", 4, 8, 8))


def feeds(model: ModelProto, data: object) -> list[dict[str, np.ndarray]]:
    return list(feeds_of(model, data)())


def test_images_are_cut_into_batches_of_the_models_size() -> None:
    assert [len(feed["x"]) for feed in feeds(any_batch(), images(40, 4, 8, 8))] == [16, 16, 8]
    assert [len(feed["image"]) for feed in feeds(zoo.convolution(), images(3, 3, 8, 8))] == [1, 1, 1]
    assert [len(feed["image"]) for feed in feeds(zoo.convolution((2, 3, 8, 8)), images(5, 3, 8, 8))] == [2, 2]


def test_batches_can_come_from_a_function_each_time_anew() -> None:
    def batches() -> Iterator[dict[str, np.ndarray]]:
        yield {"image": images(2, 3, 4, 4), "mask": images(2, 1, 4, 4)}

    again = feeds_of(zoo.masked(), batches)
    assert len(list(again())) == len(list(again())) == 1


@pytest.mark.parametrize(
    ("model", "data", "said"),
    [
        (zoo.convolution(), np.zeros((0, 3, 8, 8), np.float32), "no images"),
        (zoo.convolution((4, 3, 8, 8)), images(3, 3, 8, 8), "too few"),
        (zoo.convolution(), images(2, 3, 9, 8), r"float32\[1, 3, 9, 8\]"),
        (zoo.convolution(), images(2, 3, 8), r"float32\[1, 3, 8\]"),
        (zoo.convolution(), images(2, 3, 8, 8).astype(float), "float64"),
        (zoo.convolution(), images(2, 3, 8, 8) * np.float32("nan"), "NaN"),
        (zoo.masked(), images(2, 3, 8, 8), "2 inputs"),
        (zoo.masked(), lambda: [{"image": images(1, 3, 4, 4)}], "image, mask"),
    ],
)
def test_images_that_the_model_does_not_take_are_refused(model: ModelProto, data: object, said: str) -> None:
    with pytest.raises(BadDataError, match=said):
        feeds(model, data)
