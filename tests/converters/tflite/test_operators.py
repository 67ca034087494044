"""Each family of operators against ONNX Runtime, at the shapes, strides and paddings that there are."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zoo
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, helper, numpy_helper

from converters.errors import NotInTfliteError
from converters.tflite.operators import OPERATORS

FEW = settings(
    deadline=None, max_examples=25, database=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
ENOUGH_DB = 30.0


def one(operator: str, shape: tuple[int, ...], *constants: Any, opset: int = 19, **attributes: Any) -> ModelProto:
    """x -> operator(x, *constants) -> y; a constant may be None, for an input left out."""
    named = [
        None if value is None else numpy_helper.from_array(np.asarray(value), f"c{index}")
        for index, value in enumerate(constants)
    ]
    inputs = ["x", *("" if value is None else value.name for value in named)]
    node = helper.make_node(operator, inputs, ["y"], name="node", **attributes)
    return zoo.model(
        [node], [zoo.tensor("x", shape)], [zoo.tensor("y", None)], [v for v in named if v is not None], opset=opset
    )


def normal(*shape: int, seed: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def sides(least: int = 1, most: int = 9) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(least, most), st.integers(least, most))


@FEW
@given(
    image=sides(3, 11),
    kernel=sides(1, 4),
    strides=sides(1, 3),
    dilations=sides(1, 2),
    pads=st.tuples(*[st.integers(0, 2)] * 4),
    channels=st.sampled_from([(1, 3, 1), (3, 5, 1), (4, 4, 4), (3, 6, 3), (4, 6, 2)]),
    biased=st.booleans(),
)
def test_convolutions(
    trial: Any,
    image: tuple[int, int],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
    pads: tuple[int, int, int, int],
    channels: tuple[int, int, int],
    biased: bool,
) -> None:
    inputs, outputs, groups = channels
    extents = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    assume(all(image[axis] + pads[axis] + pads[axis + 2] >= extents[axis] for axis in (0, 1)))
    tried = trial(
        one(
            "Conv",
            (1, inputs, *image),
            normal(outputs, inputs // groups, *kernel),
            normal(outputs) if biased else None,
            strides=strides,
            dilations=dilations,
            pads=pads,
            group=groups,
        )
    )
    assert tried.sqnr_db > ENOUGH_DB


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (2, 3)])
def test_a_convolution_that_pads_by_itself(trial: Any, mode: str, strides: tuple[int, int]) -> None:
    tried = trial(one("Conv", (1, 3, 8, 9), normal(4, 3, 3, 4), auto_pad=mode, strides=strides))
    assert tried.sqnr_db > ENOUGH_DB
    assert ("PAD" in tried.operators) == (mode == "SAME_LOWER")


def test_a_convolution_of_a_line(trial: Any) -> None:
    tried = trial(one("Conv", (1, 3, 12), normal(5, 3, 3), normal(5), pads=[1, 1], strides=[2]))
    assert tried.sqnr_db > ENOUGH_DB


def test_what_tflite_pads_itself_is_not_padded_before(trial: Any) -> None:
    assert trial(one("Conv", (1, 3, 8, 8), normal(4, 3, 4, 4), pads=[1] * 4, strides=[2, 2])).operators == ["CONV_2D"]
    assert trial(one("Conv", (1, 3, 8, 8), normal(4, 3, 3, 3), pads=[1] * 4, strides=[2, 2])).operators == [
        "PAD",
        "CONV_2D",
    ]


@FEW
@given(
    image=sides(1, 6),
    kernel=sides(1, 5),
    strides=sides(1, 3),
    dilations=sides(1, 2),
    pads=st.tuples(*[st.integers(0, 2)] * 4),
    longer=sides(0, 2),
    groups=st.sampled_from([1, 2]),
)
def test_transposed_convolutions(
    trial: Any,
    image: tuple[int, int],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
    pads: tuple[int, int, int, int],
    longer: tuple[int, int],
    groups: int,
) -> None:
    for axis in (0, 1):
        assume(longer[axis] < strides[axis])  # more is nothing that ONNX Runtime runs
        extent = (kernel[axis] - 1) * dilations[axis] + 1
        assume((image[axis] - 1) * strides[axis] + extent + longer[axis] - pads[axis] - pads[axis + 2] > 0)
    tried = trial(
        one(
            "ConvTranspose",
            (1, 4, *image),
            normal(4, 3, *kernel),
            normal(3 * groups),
            strides=strides,
            dilations=dilations,
            pads=pads,
            output_padding=longer,
            group=groups,
        )
    )
    assert tried.sqnr_db > ENOUGH_DB


@pytest.mark.parametrize(
    ("kernel", "pads", "longer", "operators"),
    [
        (4, 1, 0, ["TRANSPOSE_CONV"]),
        (2, 0, 0, ["TRANSPOSE_CONV"]),
        (3, 1, 1, ["TRANSPOSE_CONV"]),
        (3, 1, 0, ["TRANSPOSE_CONV"]),
        (4, 0, 0, ["TRANSPOSE_CONV"]),
        (7, 1, 0, ["TRANSPOSE_CONV", "SLICE"]),
    ],
)
def test_doubling_sides(trial: Any, kernel: int, pads: int, longer: int, operators: list[str]) -> None:
    made = one(
        "ConvTranspose",
        (1, 3, 5, 6),
        normal(3, 4, kernel, kernel),
        strides=[2, 2],
        pads=[pads] * 4,
        output_padding=[longer] * 2,
    )
    tried = trial(made)
    assert tried.operators == operators
    assert tried.sqnr_db > ENOUGH_DB


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER"])
def test_a_transposed_convolution_that_pads_by_itself(trial: Any, mode: str) -> None:
    made = one("ConvTranspose", (1, 2, 5, 4), normal(2, 3, 3, 4), strides=[2, 2], auto_pad=mode)
    assert trial(made).sqnr_db > ENOUGH_DB


def test_a_transposed_convolution_to_a_given_shape(trial: Any) -> None:
    made = one("ConvTranspose", (1, 2, 3, 3), normal(2, 2, 3, 3), strides=[3, 2], output_shape=[10, 8])
    assert trial(made).sqnr_db > ENOUGH_DB


@FEW
@given(
    operator=st.sampled_from(["MaxPool", "AveragePool"]),
    image=sides(4, 11),
    kernel=sides(2, 4),
    strides=sides(1, 3),
    pads=st.tuples(*[st.integers(0, 1)] * 4),
    up=st.booleans(),
    included=st.booleans(),
)
def test_pools(
    trial: Any,
    operator: str,
    image: tuple[int, int],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    pads: tuple[int, int, int, int],
    up: bool,
    included: bool,
) -> None:
    for axis in (0, 1):  # a last window behind the image is refused
        last = -(-(image[axis] + pads[axis] + pads[axis + 2] - kernel[axis]) // strides[axis])
        assume(last * strides[axis] < image[axis] + pads[axis])
    more = {"count_include_pad": int(included)} if operator == "AveragePool" else {}
    made = one(
        operator, (1, 3, *image), kernel_shape=kernel, strides=strides, pads=pads, ceil_mode=int(up), opset=19, **more
    )
    # A mean is on the grid of what it is the mean of, of 3 sigma here: it is small against it.
    assert trial(made).sqnr_db > (ENOUGH_DB if operator == "MaxPool" else 22)


def test_zeros_are_padded_to_what_a_relu_gives_and_the_lowest_value_to_anything_else(trial: Any) -> None:
    pool = helper.make_node("MaxPool", ["a"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    found = {}
    for before in ("Relu", "Tanh"):
        made = zoo.model(
            [helper.make_node(before, ["x"], ["a"]), pool], [zoo.tensor("x", (1, 3, 8, 8))], [zoo.tensor("y", None)]
        )
        tried = trial(made)
        assert tried.sqnr_db > ENOUGH_DB
        found[before] = tried.operators
    assert found == {"Relu": ["RELU", "PAD", "MAX_POOL_2D"], "Tanh": ["TANH", "PADV2", "MAX_POOL_2D"]}


@FEW
@given(
    rows=st.sampled_from([(1,), (5,), (1, 1), (1, 7), (1, 2, 3)]),
    depth=st.integers(1, 20),
    width=st.integers(1, 20),
    operator=st.sampled_from(["Gemm", "MatMul"]),
    turned=st.booleans(),
)
def test_products(trial: Any, rows: tuple[int, ...], depth: int, width: int, operator: str, turned: bool) -> None:
    kernel = normal(depth, width)
    if operator == "MatMul":
        made = one("MatMul", (*rows, depth), kernel)
    else:
        assume(len(rows) == 1)
        factor = kernel.T.copy() if turned else kernel
        made = one("Gemm", (*rows, depth), factor, normal(width), transB=int(turned), alpha=0.5, beta=2.0)
    assert trial(made).sqnr_db > ENOUGH_DB


ACTIVATIONS: dict[str, tuple[tuple[Any, ...], dict[str, Any], list[str]]] = {
    "Relu": ((), {}, ["RELU"]),
    "LeakyRelu": ((), {"alpha": 0.1}, ["PRELU"]),
    "PRelu": ((normal(3, 1, 1),), {}, ["PRELU"]),
    "Sigmoid": ((), {}, ["LOGISTIC"]),
    "Tanh": ((), {}, ["TANH"]),
    "Clip": ((np.float32(-0.5), np.float32(1.5)), {}, ["QUANTIZE"]),
    "Softmax": ((), {"axis": 1}, ["SOFTMAX"]),
    "GlobalAveragePool": ((), {}, ["MEAN"]),
}


@pytest.mark.parametrize("operator", ACTIVATIONS)
def test_activations(trial: Any, operator: str) -> None:
    constants, attributes, operators = ACTIVATIONS[operator]
    tried = trial(one(operator, (1, 3, 6, 5), *constants, **attributes))
    assert tried.operators == operators
    assert tried.sqnr_db > ENOUGH_DB


@pytest.mark.parametrize("operator", ["Relu", "LeakyRelu", "Sigmoid", "Tanh", "Softmax"])
@pytest.mark.parametrize("shape", [(1, 9), (1, 4, 6)])
def test_activations_of_fewer_axes(trial: Any, operator: str, shape: tuple[int, ...]) -> None:
    assert trial(one(operator, shape)).sqnr_db > ENOUGH_DB


@pytest.mark.parametrize(
    ("operator", "form", "first"),
    [
        (operator, form, first)
        for operator in ("Add", "Sub", "Mul", "Div")
        for form in ((), (1,), (3, 1, 1), (1, 3, 1, 1), (1, 1, 6, 5), (3, 6, 5), (5,), (6, 1))
        for first in (True, False)
        if operator != "Div" or (not first and np.prod(form) in (1, 3))  # other quotients: below, or refused
    ],
)
def test_arithmetic_with_a_constant(trial: Any, operator: str, form: tuple[int, ...], first: bool) -> None:
    """Per channel it is a depthwise convolution, which rounds once; by places an operand."""
    constant = numpy_helper.from_array(np.asarray(normal(*form) + 1.5, np.float32), "c")
    node = helper.make_node(operator, ["c", "x"] if first else ["x", "c"], ["y"])
    made = zoo.model([node], [zoo.tensor("x", (1, 3, 6, 5))], [zoo.tensor("y", None)], [constant])
    assert trial(made).sqnr_db > ENOUGH_DB


@pytest.mark.parametrize("form", [(1, 1, 6, 5), (3, 6, 5), (5,), (6, 1)])
def test_a_quotient_by_places_is_a_product(trial: Any, form: tuple[int, ...]) -> None:
    constant = np.abs(normal(*form)) + 1
    tried = trial(one("Div", (1, 3, 6, 5), constant))
    assert tried.operators == ["MUL"]
    assert tried.sqnr_db > ENOUGH_DB


def test_a_divisor_that_others_read_stays_theirs(trial: Any) -> None:
    constant = numpy_helper.from_array(np.abs(normal(6, 5)) + 1, "c")
    nodes = [helper.make_node("Div", ["x", "c"], ["a"]), helper.make_node("Mul", ["a", "c"], ["y"])]
    made = zoo.model(nodes, [zoo.tensor("x", (1, 3, 6, 5))], [zoo.tensor("y", None)], [constant])
    assert trial(made).sqnr_db > ENOUGH_DB


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul"])
@pytest.mark.parametrize("other", [(1, 3, 6, 5), (1, 3, 1, 1), (1, 1, 6, 5)])
def test_arithmetic_of_two_tensors(trial: Any, operator: str, other: tuple[int, ...]) -> None:
    node = helper.make_node(operator, ["x", "z"], ["y"])
    made = zoo.model([node], [zoo.tensor("x", (1, 3, 6, 5)), zoo.tensor("z", other)], [zoo.tensor("y", (1, 3, 6, 5))])
    assert trial(made).sqnr_db > ENOUGH_DB


NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
CENTRED = {"mode": "nearest", "coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_floor"}
LINEAR = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
TORCH = {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"}
CORNERED = {"mode": "linear", "coordinate_transformation_mode": "asymmetric"}


@pytest.mark.parametrize(
    ("attributes", "scales", "operators"),
    [
        (NEAREST, (2, 2), ["RESIZE_NEAREST_NEIGHBOR"]),
        (NEAREST, (3, 1.5), ["RESIZE_NEAREST_NEIGHBOR"]),
        (NEAREST, (0.5, 0.5), ["RESIZE_NEAREST_NEIGHBOR"]),
        (CENTRED, (2, 4), ["RESIZE_NEAREST_NEIGHBOR"]),
        (CORNERED, (2, 3), ["RESIZE_BILINEAR"]),
        (CORNERED, (1.5, 0.5), ["RESIZE_BILINEAR"]),
        *[
            (how, scales, ["RESIZE_NEAREST_NEIGHBOR", "DEPTHWISE_CONV_2D", "MUL"])
            for how in (LINEAR, TORCH)
            for scales in ((2, 2), (3, 2), (4, 5), (1, 8))
        ],
        (LINEAR, (0.5, 0.5), ["AVERAGE_POOL_2D"]),
    ],
)
def test_resizes(trial: Any, attributes: dict[str, str], scales: tuple[float, float], operators: list[str]) -> None:
    made = one("Resize", (1, 3, 4, 6), None, np.array([1, 1, *scales], np.float32), opset=13, **attributes)
    tried = trial(made)
    assert tried.operators == operators
    assert tried.sqnr_db > ENOUGH_DB


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 1)])
def test_small_images_grow_smoothly(trial: Any, size: tuple[int, int]) -> None:
    made = one("Resize", (1, 2, *size), None, np.array([1, 1, 4, 3], np.float32), opset=13, **LINEAR)
    assert trial(made).sqnr_db > ENOUGH_DB


@pytest.mark.parametrize(
    ("attributes", "scales"),
    [
        ({"mode": "linear", "coordinate_transformation_mode": "align_corners"}, (2, 2)),
        ({"mode": "cubic"}, (2, 2)),
        (LINEAR, (1.5, 1.5)),
        ({**NEAREST, "nearest_mode": "ceil"}, (2, 2)),
    ],
)
def test_resizes_that_no_operator_gives_are_refused(
    trial: Any, attributes: dict[str, str], scales: tuple[float, float]
) -> None:
    made = one("Resize", (1, 3, 4, 6), None, np.array([1, 1, *scales], np.float32), opset=13, **attributes)
    with pytest.raises(NotInTfliteError, match="the operator Resize") as refusal:
        trial(made)
    assert "mode nearest" in refusal.value.hint


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
def test_concatenation_along_each_axis(trial: Any, axis: int) -> None:
    other = [1, 3, 4, 5]
    other[axis] = 2
    node = helper.make_node("Concat", ["x", "z"], ["y"], axis=axis)
    made = zoo.model([node], [zoo.tensor("x", (1, 3, 4, 5)), zoo.tensor("z", other)], [zoo.tensor("y", None)])
    assert trial(made).sqnr_db > ENOUGH_DB


@pytest.mark.parametrize("value", [0.0, 1.5, -2.0])
@pytest.mark.parametrize("opset", [13, 19])
def test_padding_with_a_constant(trial: Any, value: float, opset: int) -> None:
    pads = np.array([0, 0, 1, 2, 0, 1, 0, 3], np.int64)
    tried = trial(one("Pad", (1, 3, 4, 5), pads, np.float32(value), opset=opset))
    assert tried.operators == ["PADV2" if value else "PAD"]
    assert tried.sqnr_db > ENOUGH_DB


@pytest.mark.parametrize("mode", ["reflect", "edge", "constant"])
def test_a_pad_of_nothing_is_nothing(trial: Any, mode: str) -> None:
    nodes = [helper.make_node("Pad", ["x", "pads"], ["a"], mode=mode), helper.make_node("Relu", ["a"], ["y"])]
    pads = numpy_helper.from_array(np.zeros(8, np.int64), "pads")
    made = zoo.model(nodes, [zoo.tensor("x", (1, 3, 4, 5))], [zoo.tensor("y", (1, 3, 4, 5))], [pads])
    tried = trial(made)
    assert tried.operators == ["RELU"]
    assert tried.sqnr_db > ENOUGH_DB


def test_padding_of_some_axes(trial: Any) -> None:
    made = one("Pad", (1, 3, 4, 5), np.array([1, 2, 0, 3]), np.float32(0), np.array([3, -2]), opset=19)
    assert trial(made).sqnr_db > ENOUGH_DB


def test_normalisation_is_folded_into_the_layer_before_it(trial: Any) -> None:
    constants = {
        "w": normal(4, 3, 3, 3),
        "scale": normal(4),
        "bias": normal(4, seed=1),
        "mean": normal(4, seed=2),
        "variance": np.abs(normal(4, seed=3)) + 0.1,
    }
    for layer, shape, kernel in (("Conv", (1, 3, 6, 6), (4, 3, 3, 3)), ("ConvTranspose", (1, 3, 6, 6), (3, 4, 3, 3))):
        nodes = [
            helper.make_node(layer, ["x", "w"], ["a"]),
            helper.make_node("BatchNormalization", ["a", "scale", "bias", "mean", "variance"], ["b"]),
            helper.make_node("Relu", ["b"], ["y"]),
        ]
        given = [numpy_helper.from_array(v.reshape(kernel) if k == "w" else v, k) for k, v in constants.items()]
        tried = trial(zoo.model(nodes, [zoo.tensor("x", shape)], [zoo.tensor("y", None)], given))
        assert len(tried.operators) == 1
        assert tried.sqnr_db > ENOUGH_DB


def test_normalisation_by_itself_is_a_depthwise_convolution(trial: Any) -> None:
    given = [normal(3), normal(3, seed=1), normal(3, seed=2), np.abs(normal(3, seed=3)) + 0.1]
    tried = trial(one("BatchNormalization", (1, 3, 6, 6), *given))
    assert tried.operators == ["DEPTHWISE_CONV_2D"]
    assert tried.sqnr_db > ENOUGH_DB


@pytest.mark.parametrize("layer", ["Conv", "ConvTranspose"])
@pytest.mark.parametrize("low", [0.0, -0.7, None])
@pytest.mark.parametrize("high", [None, 0.9, 6.0])
def test_a_clip_behind_a_layer_costs_nothing(trial: Any, layer: str, low: float | None, high: float | None) -> None:
    """It saturates where the output's range ends."""
    ends = {"low": low, "high": high}
    given = [numpy_helper.from_array(np.float32(value), name) for name, value in ends.items() if value is not None]
    nodes = [
        helper.make_node(layer, ["x", "w"], ["a"]),
        helper.make_node("Clip", ["a", *(name if value is not None else "" for name, value in ends.items())], ["y"]),
    ]
    weights = numpy_helper.from_array(normal(3, 3, 3, 3), "w")
    made = zoo.model(nodes, [zoo.tensor("x", (1, 3, 6, 6))], [zoo.tensor("y", None)], [weights, *given])
    tried = trial(made)
    assert len(tried.operators) == 1
    assert tried.sqnr_db > ENOUGH_DB
    assert low is None or tried.outputs[0].min() >= np.float32(low) - 0.02
    assert high is None or tried.outputs[0].max() <= np.float32(high) + 0.02


def test_every_operator_has_a_test_of_its_own() -> None:
    """Named here, or used in test_networks.py; an Affine is what fold.py makes of the others."""
    texts = [Path(__file__).with_name(name).read_text() for name in ("test_operators.py", "test_networks.py")]
    tested = {name for name in OPERATORS if any(re.search(rf"\b{name}\b", text) for text in texts)}
    assert OPERATORS.keys() - tested == set()
