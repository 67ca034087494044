import numpy as np
import pytest
import zoo
from kernels import falling
from onnx import ModelProto, helper, numpy_helper

from compression.errors import BatchError
from compression.training.lessons import distillation, judge_of
from compression.training.loop import train
from compression.training.pace import Pace
from compression.training.recipe import Recipe

IMAGES = np.random.default_rng(0).uniform(0, 1, (10, 3, 8, 8)).astype(np.float32)


def convolution(*after: tuple[str, str], **attributes: object) -> ModelProto:
    """A convolution, and what comes after it."""
    nodes = [helper.make_node("Conv", ["x", "w"], ["v0"], pads=[1] * 4)]
    for number, (operator, constants) in enumerate(after, 1):
        inputs = [f"v{number - 1}", *constants.split()]
        nodes.append(helper.make_node(operator, inputs, [f"v{number}"], **attributes))
    nodes[-1].output[0] = "y"
    shape = numpy_helper.from_array(np.array([1, 256], np.int64), "flat")
    image = zoo.tensor("x", (1, 3, 8, 8))
    return zoo.model(
        nodes, [image], [zoo.tensor("y", None)], [numpy_helper.from_array(falling(4, 3, 3, 3), "w"), shape]
    )


def test_a_model_exported_for_one_image_is_taught_many_at_a_time() -> None:
    lesson = distillation(convolution(("Reshape", "flat")), IMAGES[:8], IMAGES[8:], batch=4)
    assert lesson.judge is None
    made = train(convolution(("Reshape", "flat")), lesson, Recipe(epochs=1, batch=4), Pace())
    assert made.best.held_out_error == pytest.approx(0, abs=1e-4)


def test_one_that_mixes_images_is_refused_unless_they_come_alone() -> None:
    mixing = convolution(("Softmax", ""), axis=0)
    with pytest.raises(BatchError, match="depends on the others") as caught:
        distillation(mixing, IMAGES[:8], IMAGES[8:], batch=4)
    assert caught.value.hint == "give --batch 1"
    assert distillation(mixing, IMAGES[:8], IMAGES[8:], batch=1).train is not None


def test_three_dimensional_kernels_are_trained_as_well() -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1] * 6)
    kernel = numpy_helper.from_array(np.ones((2, 1, 3, 3, 3), np.float32), "w")
    model = zoo.model([node], [zoo.tensor("x", (1, 1, 4, 8, 8))], [zoo.tensor("y", (1, 2, 4, 8, 8))], [kernel])
    volumes = IMAGES[:, :1, np.newaxis].repeat(4, axis=2)
    made = train(model, distillation(model, volumes[:8], volumes[8:]), Recipe(epochs=1, batch=4), Pace())
    assert np.isfinite(made.best.held_out_error)


def test_a_judge_sees_what_is_in_one_image_and_not_in_its_reconstruction() -> None:
    defective = [False, False, True, True]
    test = np.zeros((4, 3, 8, 8), np.float32)
    test[2:, :, 3:5, 3:5] = 1
    judge = judge_of(test, defective)
    assert judge(np.zeros_like) == 1
    assert judge(lambda images: images) == 0.5
