import numpy as np
import pytest
import zoo
from kernels import chain, falling, layer
from onnx import helper

from compression.errors import BadInputShapeError
from compression.layers import find_layers
from compression.shapes import infer_shapes, multiply_adds
from compression.tucker import Price


def prices(model: object, **input_shapes: tuple[int, ...]) -> list[Price | None]:
    shapes = infer_shapes(model, input_shapes or None)
    return [multiply_adds(each, shapes) for each in find_layers(model)]


def test_a_convolution_works_at_the_places_of_its_output() -> None:
    model = layer("Conv", falling(6, 4, 3, 3), (2, 4, 9, 11), strides=[2, 2], pads=[1, 1, 1, 1])
    assert prices(model) == [Price(first=2 * 99, core=2 * 5 * 6, last=2 * 5 * 6)]


def test_a_transposed_one_at_those_of_its_input() -> None:
    model = layer("ConvTranspose", falling(4, 6, 4, 4), (1, 4, 5, 6), strides=[2, 2], pads=[1, 1, 1, 1])
    assert prices(model) == [Price(first=30, core=30, last=120)]


def test_a_product_for_every_row() -> None:
    matrix = falling(12, 10)
    assert prices(chain([helper.make_node("MatMul", ["x", "w"], ["y"])], (3, 5, 12), w=matrix)) == [Price(15, 15, 15)]
    left = chain([helper.make_node("MatMul", ["w", "x"], ["y"])], (10, 7), w=matrix)
    assert prices(left) == [Price(7, 7, 7)]


def test_a_shared_kernel_works_in_all_its_uses() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["h"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["h", "w"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1]),
    ]
    assert prices(chain(nodes, (1, 6, 8, 8), w=falling(6, 6, 3, 3))) == [Price(128, 64 + 16, 64 + 16)]


def test_an_unknown_batch_is_one_image_and_an_unknown_size_unknown() -> None:
    assert prices(zoo.dynamic_batch()) == [Price(64, 64, 64)]
    assert prices(zoo.dynamic_image()) == [None]
    assert prices(zoo.dynamic_image(), image=(1, 3, 5, 6)) == [Price(30, 30, 30)]


def test_sizes_within_the_file_give_way_to_the_given_ones() -> None:
    model = zoo.dynamic_image()
    model.graph.value_info.append(zoo.tensor("features", ("N", 4, 8, 8)))
    assert prices(model, image=(1, 3, 5, 6)) == [Price(30, 30, 30)]


def test_sizes_that_a_constant_has_are_followed() -> None:
    nodes = [helper.make_node("Reshape", ["x", "size"], ["square"]), helper.make_node("Conv", ["square", "w"], ["y"])]
    model = chain(nodes, (1, 144), w=falling(6, 4, 3, 3), size=np.array([1, 4, 6, 6]))
    assert prices(model) == [Price(36, 16, 16)]


def test_large_weights_are_not_copied_and_stay() -> None:
    model = layer("Conv", falling(64, 32, 3, 3), (1, 32, 6, 6))
    before = model.SerializeToString()
    infer_shapes(model, {"x": (1, 32, 6, 6)})
    assert model.SerializeToString() == before


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("imag", (1, 3, 8, 8), "no input 'imag'"),
        ("image", (1, 3, 8), "Nx3xHxW"),
        ("image", (1, 4, 8, 8), "1x4x8x8"),
        ("image", (1, 3, 0, 8), "1x3x0x8"),
        ("image", (1, 3, -8, 8), "1x3x-8x8"),
    ],
)
def test_a_shape_that_contradicts_the_model_is_refused(name: str, shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(BadInputShapeError, match=said):
        infer_shapes(zoo.dynamic_image(), {name: shape})


def test_a_vector_and_a_stack_have_no_count() -> None:
    model = chain([helper.make_node("MatMul", ["x", "w"], ["y"])], (3, 5, 12), w=falling(3, 12, 10))
    assert prices(model) == [None]
    assert np.prod(find_layers(model)[0].shape) == 360
