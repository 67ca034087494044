from collections.abc import Callable

import numpy as np
import onnx
import pytest
import zoo
from onnx import ModelProto, TensorProto, helper, load_model_from_string, numpy_helper

from converters.convert import Converted
from converters.errors import DataDependentShapeError, InvalidModelError, RunFailedError, UnsupportedOperatorError
from converters.signature import TensorSpec

Convert = Callable[..., Converted]


def constant(name: str, value: object) -> TensorProto:
    return numpy_helper.from_array(np.array(value), name)


def reshaped(*dims: int) -> ModelProto:
    """x [N, 3, H, W] reshaped to `dims`."""
    node = helper.make_node("Reshape", ["x", "dims"], ["y"], name="reshape")
    return zoo.model(
        [node], [zoo.tensor("x", ("N", 3, "H", "W"))], [zoo.tensor("y", ("a", "b"))], [constant("dims", dims)]
    )


def test_outputs_are_measured_in_the_models_order(convert_model: Convert) -> None:
    signature = convert_model(zoo.mixed()).signature
    assert signature.inputs == (
        TensorSpec("single", "float32", (1, 2)),
        TensorSpec("half", "float16", (1, 3)),
        TensorSpec("byte", "uint8", (1, 4)),
        TensorSpec("signed", "int8", (1, 5)),
        TensorSpec("index", "int64", (1, 6)),
        TensorSpec("flag", "bool", (1, 7)),
    )
    assert signature.outputs == tuple(
        TensorSpec(f"{spec.name}_out", spec.dtype, spec.shape) for spec in reversed(signature.inputs)
    )


@pytest.mark.parametrize(
    "element",
    [
        TensorProto.FLOAT,
        TensorProto.FLOAT16,
        TensorProto.DOUBLE,
        TensorProto.UINT8,
        TensorProto.INT32,
        TensorProto.BOOL,
    ],
)
def test_scalars_have_an_empty_shape(convert_model: Convert, element: int) -> None:
    signature = convert_model(zoo.identity((), element)).signature
    assert signature.outputs == (TensorSpec("y", signature.inputs[0].dtype, ()),)


def test_an_output_shape_that_only_a_run_tells_is_declared_in_the_model(convert_model: Convert) -> None:
    converted = convert_model(zoo.dynamic_image(), {"image": (1, 3, 8, 10)})
    assert converted.signature.outputs == (TensorSpec("map", "float32", (1, 4, 8, 10)),)
    (output,) = load_model_from_string(converted.model).graph.output
    assert [dim.dim_value for dim in output.type.tensor_type.shape.dim] == [1, 4, 8, 10]


def test_a_missing_output_shape_is_declared(convert_model: Convert) -> None:
    converted = convert_model(zoo.identity(None), {"x": (2, 5)})
    (output,) = load_model_from_string(converted.model).graph.output
    assert [dim.dim_value for dim in output.type.tensor_type.shape.dim] == [2, 5]


def test_a_missing_output_shape_is_declared_of_a_scalar(convert_model: Convert) -> None:
    converted = convert_model(zoo.identity(None), {"x": ()})
    onnx.checker.check_model(converted.model)  # it demands a shape


def test_a_wrong_output_shape_is_put_right(convert_model: Convert) -> None:
    made = zoo.identity((1, 4))
    made.graph.output[0].CopyFrom(zoo.tensor("y", (1, 5)))
    assert convert_model(made).signature.outputs == (TensorSpec("y", "float32", (1, 4)),)


def test_an_output_sized_by_data_is_refused_with_the_node(convert_model: Convert) -> None:
    with pytest.raises(DataDependentShapeError, match=r"'places'.*2x0 and 2x\d+.*NonZero \(node 'nonzero'\)"):
        convert_model(zoo.data_dependent())


def test_the_node_named_is_one_the_output_comes_from(convert_model: Convert) -> None:
    made = zoo.data_dependent()
    made.graph.node.append(helper.make_node("NonZero", ["x"], ["other"], name="innocent"))
    with pytest.raises(DataDependentShapeError) as caught:
        convert_model(made)
    assert "innocent" not in caught.value.message


def test_an_output_that_is_empty_is_refused(convert_model: Convert) -> None:
    nodes = [
        helper.make_node("Slice", ["x", "start", "end"], ["y"], name="slice"),
    ]
    made = zoo.model(
        nodes, [zoo.tensor("x", (4,))], [zoo.tensor("y", ("n",))], [constant("start", [2]), constant("end", [2])]
    )
    with pytest.raises(DataDependentShapeError, match="'y' was empty"):
        convert_model(made)


def test_a_shape_that_data_could_change_but_does_not_is_taken(convert_model: Convert) -> None:
    """Unknown to shape inference (the branches differ), the same in every run."""
    branches = {
        "then_branch": zoo.graph("then", [helper.make_node("Abs", ["x"], ["a"])], [zoo.tensor("a", ("m",))]),
        "else_branch": zoo.graph("else", [helper.make_node("Neg", ["x"], ["b"])], [zoo.tensor("b", ("n",))]),
    }
    node = helper.make_node("If", ["flag"], ["y"], **branches)
    inputs = [zoo.tensor("x", (6,)), zoo.tensor("flag", (), TensorProto.BOOL)]
    signature = convert_model(zoo.model([node], inputs, [zoo.tensor("y", ("k",))])).signature
    assert signature.outputs == (TensorSpec("y", "float32", (6,)),)


def test_an_inner_value_may_be_an_output(convert_model: Convert) -> None:
    made = zoo.convolution()
    made.graph.output.append(zoo.tensor("features", (1, 4, 8, 8)))
    assert [spec.name for spec in convert_model(made).signature.outputs] == ["map", "features"]


def test_an_input_may_be_an_output(convert_model: Convert) -> None:
    made = zoo.identity((1, 4))
    made.graph.output.append(zoo.tensor("x", (1, 4)))
    assert [spec.name for spec in convert_model(made).signature.outputs] == ["y", "x"]


def test_branches_of_different_sizes_are_refused(convert_model: Convert) -> None:
    branches = {
        "then_branch": zoo.graph("then", [], [zoo.tensor("a", (2,))], zoo.weights("a", 2)),
        "else_branch": zoo.graph("else", [], [zoo.tensor("b", (3,))], zoo.weights("b", 3)),
    }
    node = helper.make_node("If", ["flag"], ["y"], **branches)
    made = zoo.model([node], [zoo.tensor("flag", (), TensorProto.BOOL)], [zoo.tensor("y", ("k",))])
    with pytest.raises(DataDependentShapeError, match="2 and 3"):
        convert_model(made)


def test_a_custom_operator_is_named(convert_model: Convert) -> None:
    with pytest.raises(UnsupportedOperatorError, match=r"com\.acme\.Frobnicate") as caught:
        convert_model(zoo.custom_operator())
    error = caught.value
    assert (error.operator, error.domain, error.node) == ("Frobnicate", "com.acme", "odd")


def test_shapes_that_contradict_one_another_are_refused(convert_model: Convert) -> None:
    node = helper.make_node("Add", ["x", "w"], ["y"], name="add")
    made = zoo.model([node], [zoo.tensor("x", (1, 4))], [zoo.tensor("y", (1, 4))], [zoo.weights("w", 3)])
    with pytest.raises(InvalidModelError, match=r"add.*Incompatible dimensions"):
        convert_model(made)


def test_a_given_shape_the_model_cannot_compute_with_is_refused(convert_model: Convert) -> None:
    assert convert_model(reshaped(1, 48), {"x": (1, 3, 4, 4)}).signature.outputs[0].shape == (1, 48)
    with pytest.raises(RunFailedError, match=r"cannot be reshaped") as caught:
        convert_model(reshaped(1, 48), {"x": (1, 3, 4, 5)})
    assert "shape" in caught.value.hint
    assert ".h:" not in caught.value.message  # no place in ONNX Runtime's source
