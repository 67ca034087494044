import numpy as np
import pytest
import zoo
from onnx import helper, numpy_helper

from converters.errors import InvalidModelError, RunFailedError, UnsupportedOperatorError
from converters.reference import OnnxReference


def test_inputs_by_name_and_in_order_give_the_same() -> None:
    reference = OnnxReference(zoo.masked().SerializeToString())
    image, mask = np.full((1, 3, 2, 2), 3, np.float32), np.full((1, 1, 2, 2), 2, np.float32)
    (by_order,) = reference([image, mask])
    (by_name,) = reference({"mask": mask, "image": image})
    np.testing.assert_array_equal(by_order, np.full((1, 3, 2, 2), 6, np.float32))
    np.testing.assert_array_equal(by_name, by_order)


def test_names_are_in_the_models_order() -> None:
    reference = OnnxReference(zoo.mixed().SerializeToString())
    assert reference.input_names == ("single", "half", "byte", "signed", "index", "flag")
    assert reference.output_names[0] == "flag_out"


def test_outputs_without_a_known_shape_are_told() -> None:
    assert OnnxReference(zoo.convolution().SerializeToString()).undetermined_outputs == ()
    assert OnnxReference(zoo.data_dependent().SerializeToString()).undetermined_outputs == ("places",)


def test_an_operator_without_a_kernel_is_named() -> None:
    with pytest.raises(UnsupportedOperatorError, match="no implementation") as caught:
        OnnxReference(zoo.unimplemented().SerializeToString())
    assert (caught.value.operator, caught.value.domain, caught.value.node) == ("Conv", "", "conv")


def test_a_contradiction_is_told_without_status_codes() -> None:
    node = helper.make_node("Add", ["x", "w"], ["y"], name="add")
    made = zoo.model([node], [zoo.tensor("x", (1, 4))], [zoo.tensor("y", (1, 4))], [zoo.weights("w", 3)])
    with pytest.raises(InvalidModelError, match="the model is not valid: Node") as caught:
        OnnxReference(made.SerializeToString())
    assert "ONNXRuntimeError" not in caught.value.message


@pytest.mark.parametrize(
    "inputs",
    [
        [np.zeros((1, 3, 8, 9), np.float32)],
        [np.zeros((1, 3, 8, 8), np.float64)],
        {"picture": np.zeros((1, 3, 8, 8), np.float32)},
        {},
    ],
)
def test_inputs_that_do_not_fit(inputs: object) -> None:
    with pytest.raises(RunFailedError, match="does not run"):
        OnnxReference(zoo.convolution().SerializeToString())(inputs)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnsupportedOperatorError):
        OnnxReference(zoo.custom_operator().SerializeToString())
    node = helper.make_node("Reshape", ["x", "dims"], ["y"])
    made = zoo.model(
        [node], [zoo.tensor("x", ("n",))], [zoo.tensor("y", ("m",))], [numpy_helper.from_array(np.array([4]), "dims")]
    )
    with pytest.raises(RunFailedError):
        OnnxReference(made.SerializeToString())([np.zeros(5, np.float32)])
    assert capfd.readouterr() == ("", "")
