from pathlib import Path

import numpy as np
import pytest
import zoo
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, shape_inference

from converters.draft import Draft
from converters.errors import BadInputShapeError, DynamicShapeError, InvalidModelError, UnknownInputError
from converters.signature import TensorSpec
from converters.steps import freeze_onnx
from converters.value_info import dims_of

sizes = st.integers(1, 64)


def freeze(model: ModelProto, **input_shapes: tuple[int, ...]) -> Draft:
    draft = Draft(Path("model.onnx"), input_shapes, model)
    freeze_onnx.apply(draft)
    return draft


def shapes(draft: Draft) -> dict[str, tuple[int, ...]]:
    """As declared in the model, which has to agree with the signature."""
    declared = {value.name: dims_of(value) for value in draft.model.graph.input}
    assert declared == {spec.name: spec.shape for spec in draft.signature.inputs}
    return declared


def test_a_static_model_stays_as_it_is() -> None:
    made = shape_inference.infer_shapes(zoo.convolution())
    assert made.graph.value_info
    before = made.SerializeToString(deterministic=True)
    draft = freeze(made)
    assert draft.model.SerializeToString(deterministic=True) == before
    assert draft.notices == []
    assert draft.signature.inputs == (TensorSpec("image", "float32", (1, 3, 8, 8)),)


def test_a_dynamic_batch_is_fixed_to_1_and_said() -> None:
    draft = freeze(zoo.dynamic_batch())
    assert shapes(draft) == {"image": (1, 3, 8, 8)}
    assert draft.notices == ["batch dimension fixed to 1: 'image'"]


@pytest.mark.parametrize("batch", [None, "", "?", "None", "-1", -1, 0])
def test_all_ways_to_write_an_unknown_batch(batch: int | str | None) -> None:
    assert shapes(freeze(zoo.identity((batch, 3, 4, 4)))) == {"x": (1, 3, 4, 4)}


@given(batch=sizes, height=sizes, width=sizes)
def test_given_sizes_settle_their_symbols_in_every_input(batch: int, height: int, width: int) -> None:
    draft = freeze(zoo.masked(), mask=(batch, 1, height, width))
    assert shapes(draft) == {"image": (batch, 3, height, width), "mask": (batch, 1, height, width)}
    assert draft.notices == []


def test_a_batch_symbol_counts_in_inputs_of_one_dimension() -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    made = zoo.model([node], [zoo.tensor("x", ("N", 2)), zoo.tensor("label", ("N",))], [zoo.tensor("y", ("N", 2))])
    assert shapes(freeze(made)) == {"x": (1, 2), "label": (1,)}


def test_question_marks_are_no_symbol() -> None:
    draft = freeze(zoo.identity((1, 3, "?", "?")), x=(1, 3, 32, 48))
    assert shapes(draft) == {"x": (1, 3, 32, 48)}


def test_open_dimensions_are_named_with_a_command_to_copy() -> None:
    with pytest.raises(DynamicShapeError, match=r"H, W of 'image' \(1x3xHxW\)") as caught:
        freeze(zoo.dynamic_image())
    assert "--input-shape image=1,3,256,256" in caught.value.hint


def test_the_command_to_copy_is_quoted_for_the_shell() -> None:
    made = zoo.identity((1, "L"))
    made.graph.input[0].name = made.graph.node[0].input[0] = "my input"
    with pytest.raises(DynamicShapeError) as caught:
        freeze(made)
    assert "--input-shape 'my input=1,256'" in caught.value.hint


def test_a_single_dynamic_dimension_is_no_batch() -> None:
    with pytest.raises(DynamicShapeError, match="L of 'x'"):
        freeze(zoo.identity(("L",)))


def test_an_input_without_any_shape_has_to_be_given_one() -> None:
    with pytest.raises(DynamicShapeError, match="no shape for its input 'x'") as caught:
        freeze(zoo.identity(None))
    assert "--input-shape x=1,3,256,256" in caught.value.hint
    assert shapes(freeze(zoo.identity(None), x=(2, 5))) == {"x": (2, 5)}


def test_a_scalar_has_a_shape() -> None:
    assert shapes(freeze(zoo.identity(()))) == {"x": ()}
    assert shapes(freeze(zoo.identity(()), x=())) == {"x": ()}


def test_an_unknown_input_names_the_nearest() -> None:
    with pytest.raises(UnknownInputError, match="'imgae'") as caught:
        freeze(zoo.dynamic_image(), imgae=(1, 3, 8, 8))
    assert caught.value.hint == "did you mean 'image'?"


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 8), "4 dimensions: Nx3xHxW"),
        ((), "4 dimensions"),
        ((1, 1, 8, 8), "made for Nx3xHxW"),
        ((1, 3, 0, 8), "at least 1"),
        ((1, 3, -1, 8), "at least 1"),
        ((1, 3, 2**20, 2**20), "bytes for one input"),
        ((1, 3, 2**70, 1), "bytes for one input"),
    ],
)
def test_shapes_the_model_cannot_take(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(BadInputShapeError, match=message) as caught:
        freeze(zoo.dynamic_image(), image=shape)
    assert "'image'" in caught.value.message


def test_shapes_that_contradict_one_another() -> None:
    with pytest.raises(BadInputShapeError, match="'W' is both 8 and 9"):
        freeze(zoo.masked(), image=(1, 3, 8, 8), mask=(1, 1, 8, 9))


def test_inner_shapes_for_the_old_sizes_are_dropped() -> None:
    made = shape_inference.infer_shapes(zoo.dynamic_image())
    assert made.graph.value_info
    assert not freeze(made, image=(1, 3, 8, 8)).model.graph.value_info


def test_metadata_stays() -> None:
    made = zoo.convolution(("N", 3, "H", "W"), metadata={"boardfit": '{"a": 1}', "author": "x"})
    kept = {entry.key: entry.value for entry in freeze(made, image=(1, 3, 8, 8)).model.metadata_props}
    assert kept == {"boardfit": '{"a": 1}', "author": "x"}


def test_an_input_with_a_default_is_a_constant_and_that_is_said() -> None:
    draft = freeze(zoo.default_input())
    assert shapes(draft) == {"image": (1, 4)}
    assert draft.notices == ["inputs with a default are fixed to it: 'factor'"]


def test_before_ir_version_4_every_constant_is_listed_as_an_input() -> None:
    draft = freeze(zoo.default_input(ir_version=3))
    assert [spec.name for spec in draft.signature.inputs] == ["image"]
    assert [value.name for value in draft.model.graph.input] == ["image", "factor"]
    assert draft.notices == []


def test_an_input_with_a_default_takes_no_shape() -> None:
    with pytest.raises(UnknownInputError):
        freeze(zoo.default_input(), factor=(1, 4))


def test_many_names_are_cut_short() -> None:
    made = zoo.identity((1, 4))
    for index in range(7):
        made.graph.initializer.append(zoo.weights(f"c{index}", 1))
        made.graph.input.append(zoo.tensor(f"c{index}", (1,)))
    assert freeze(made).notices == ["inputs with a default are fixed to it: 'c0', 'c1', 'c2', 'c3', 'c4' and 2 more"]


def test_a_model_without_inputs() -> None:
    constant = helper.make_node("Constant", [], ["y"], value_float=np.float32(1).item())
    with pytest.raises(InvalidModelError, match="no input"):
        freeze(zoo.model([constant], [], [zoo.tensor("y", (), TensorProto.FLOAT)]))
