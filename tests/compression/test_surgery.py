from itertools import product
from typing import Any

import numpy as np
import onnx
import pytest
import zoo
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import chain, falling, images, layer, relative_difference, run
from onnx import ModelProto, helper, numpy_helper

from compression.graph import inlined, set_attribute
from compression.layers import count_weights, find_layers
from compression.surgery import replace_layers
from compression.tucker import Factors, Floats, Kind, decompose, sizes_of, to_blocks

BOTH, FIRST, LAST = (True, True), (True, False), (False, True)


def equal_factors(weight: Floats, kind: Kind, groups: int, sides: tuple[bool, bool]) -> Factors:
    """Parts of full rank that are no identities, and are the kernel together."""
    sizes, rng = sizes_of(weight.shape, kind, groups), np.random.default_rng(0)
    turns = [np.linalg.qr(rng.standard_normal((groups, size, size)))[0] for size in (sizes.inputs, sizes.outputs)]
    core = to_blocks(weight, kind, groups).astype(float)
    if sides[0]:
        core = core @ turns[0][:, np.newaxis].swapaxes(2, 3)
    if sides[1]:
        core = turns[1][:, np.newaxis].swapaxes(2, 3) @ core
    first, last = (turn.astype(np.float32) if side else None for turn, side in zip(turns, sides, strict=True))
    return Factors(kind, weight.shape[2:], first, core.astype(np.float32), last)


def replaced(model: ModelProto, sides: tuple[bool, bool]) -> ModelProto:
    draft = inlined(model)
    found = [each for each in find_layers(draft) if each.form.kind in ("Conv", "ConvTranspose") or sides == LAST]
    replace_layers(
        draft, {each: equal_factors(each.kernel(), each.form.kind, each.form.groups, sides) for each in found}
    )
    return draft


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[ModelProto, np.ndarray]:
    """A Conv or ConvTranspose of any sort, and an input for it."""
    operator, groups = draw(st.sampled_from(["Conv", "ConvTranspose"])), draw(st.integers(1, 3))
    places = draw(st.integers(1, 3))
    window, strides, dilations = (tuple(draw(st.integers(1, top)) for _ in range(places)) for top in (4, 3, 2))
    channels = draw(st.integers(1, 3)) * groups, draw(st.integers(1, 3)) * groups
    kernel = falling(channels[0], channels[1] // groups, *window, seed=draw(st.integers(0, 99)))
    attributes: dict[str, Any] = {"group": groups, "strides": strides, "dilations": dilations}
    if draw(st.booleans()):
        attributes["kernel_shape"] = window
    padding = draw(st.sampled_from(["none", "pads", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if padding == "pads":
        attributes["pads"] = [draw(st.integers(0, size - 1)) for _ in range(2) for size in window]
    elif padding != "none" and max(dilations) == 1:
        attributes["auto_pad"] = padding
    if operator == "ConvTranspose" and "auto_pad" not in attributes:
        attributes["output_padding"] = [draw(st.integers(0, stride - 1)) for stride in strides]
    outputs, inputs = channels if operator == "Conv" else channels[::-1]
    bias = images(outputs) if draw(st.booleans()) else None
    x = images(draw(st.integers(1, 2)), inputs, *(draw(st.integers(7, 9)) for _ in range(places)))
    return layer(operator, kernel, x.shape, bias, **attributes), x


@given(convolutions(), st.sampled_from([BOTH, FIRST, LAST]))
@settings(max_examples=120, deadline=None)
def test_parts_of_full_rank_compute_what_the_layer_did(
    case: tuple[ModelProto, np.ndarray], sides: tuple[bool, bool]
) -> None:
    model, x = case
    [wanted] = run(model, x=x)
    [got] = run(replaced(model, sides), x=x)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, atol=1e-5 * np.abs(wanted).max(initial=1e-3))


@given(convolutions(), st.data())
@settings(max_examples=60, deadline=None)
def test_truncated_parts_compute_what_the_rebuilt_kernel_does(
    case: tuple[ModelProto, np.ndarray], data: st.DataObject
) -> None:
    model, x = case
    draft = inlined(model)
    [found] = find_layers(draft)
    sizes = sizes_of(found.shape, found.form.kind, found.form.groups)
    ranks = data.draw(st.integers(1, sizes.outputs)), data.draw(st.integers(1, sizes.inputs))
    factors = decompose(found.kernel(), ranks, found.form.kind, found.form.groups)
    dense = inlined(model)
    dense.graph.initializer[0].CopyFrom(numpy_helper.from_array(factors.rebuild(), "kernel"))
    replace_layers(draft, {found: factors})
    [wanted] = run(dense, x=x)
    np.testing.assert_allclose(run(draft, x=x)[0], wanted, atol=1e-5 * np.abs(wanted).max(initial=1e-3))
    assert count_weights(draft) == factors.weight_count


@pytest.mark.parametrize("shape", [[11, 13], [1, 6, 11, 13]])
def test_a_wanted_output_shape_stays(shape: list[int]) -> None:
    """ONNX Runtime also takes it with the batch and the channels, which the core has others of."""
    kernel, x = falling(4, 6, 3, 3), images(1, 4, 5, 6)
    model = layer("ConvTranspose", kernel, x.shape, strides=[2, 2], output_shape=[11, 13])
    wanted = run(model, x=x)[0]
    assert wanted.shape == (1, 6, 11, 13)
    set_attribute(model.graph.node[0], "output_shape", shape)
    np.testing.assert_allclose(run(replaced(model, BOTH), x=x)[0], wanted, atol=1e-5)


@pytest.mark.parametrize("opset", [9, 13])
@pytest.mark.parametrize(("index", "turned", "other"), list(product((0, 1), (0, 1), (0, 1))))
def test_a_gemm_of_either_side_computes_the_same(opset: int, index: int, turned: int, other: int) -> None:
    kernel, x = falling(12, 10), images(7, 7)
    outer, inner = (10, 12) if (index == 1) != bool(turned) else (12, 10)
    x = images(*((7, inner) if (index == 1) != bool(other) else (inner, 7)))
    attributes = {
        "transB" if index else "transA": turned,
        "transA" if index else "transB": other,
        "alpha": 0.5,
        "beta": 2.0,
    }
    node = helper.make_node("Gemm", ["x", "w", "b"] if index else ["w", "x", "b"], ["y"], name="gemm", **attributes)
    model = chain([node], x.shape, opset, w=kernel, b=images(*((outer,) if index else (outer, 1))))
    after = replaced(model, LAST)
    assert [each.op_type for each in after.graph.node] == ["Gemm", "Gemm"]
    np.testing.assert_allclose(run(after, x=x)[0], run(model, x=x)[0], atol=1e-5)


@pytest.mark.parametrize(
    ("inputs", "dims"), [(["x", "w"], (2, 7, 12)), (["x", "w"], (12,)), (["w", "x"], (2, 10, 7)), (["w", "x"], (10,))]
)
def test_a_matmul_of_either_side_computes_the_same(inputs: list[str], dims: tuple[int, ...]) -> None:
    x = images(*dims)
    model = chain([helper.make_node("MatMul", inputs, ["y"])], dims, w=falling(12, 10))
    after = replaced(model, LAST)
    assert [each.op_type for each in after.graph.node] == ["MatMul", "MatMul"]
    np.testing.assert_allclose(run(after, x=x)[0], run(model, x=x)[0], atol=1e-5)


def test_names_follow_the_originals_and_the_bias_is_last() -> None:
    model = layer("Conv", falling(6, 4, 3, 3), (1, 4, 8, 8), images(6), strides=[2, 2])
    model.graph.node[0].metadata_props.add(key="pkg.torch.name", value="features.0")
    model.graph.node[0].doc_string = "the first one"
    first, core, last = replaced(model, BOTH).graph.node
    assert [first.name, core.name, last.name] == ["layer.first", "layer.core", "layer.last"]
    assert [*first.input, *core.input] == ["x", "kernel.first", "y.first", "kernel.core"]
    assert list(last.input) == ["y.core", "kernel.last", "bias"]
    assert list(last.output) == ["y"]
    assert (core.metadata_props[0].value, core.doc_string) == ("features.0", "the first one")


def test_names_that_are_taken_get_a_number() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["y.core"], name="conv.core"),
        helper.make_node("Conv", ["y.core", "w"], ["y"], name="conv"),
    ]
    after = replaced(chain(nodes, (1, 4, 8, 8), w=falling(6, 4, 3, 3)), LAST)
    assert [node.name for node in after.graph.node] == ["conv.core", "conv.core.2", "conv.last"]
    onnx.checker.check_model(after, full_check=True)


def test_all_users_of_a_kernel_take_the_same_parts() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["h"], name="here", pads=[1, 1, 1, 1]),
        helper.make_node("Identity", ["w"], ["same"]),
        helper.make_node("Conv", ["h", "same"], ["y"], name="there", strides=[2, 2]),
    ]
    model = chain(nodes, (1, 6, 9, 9), w=falling(6, 6, 3, 3), b=images(6))
    after, x = replaced(model, BOTH), images(1, 6, 9, 9)
    assert {tensor.name for tensor in after.graph.initializer} == {"b", "w.first", "w.core", "w.last"}
    assert [node.op_type for node in after.graph.node] == ["Conv"] * 6
    assert relative_difference(run(after, x=x)[0], run(model, x=x)[0]) < 1e-5


def test_a_kernel_behind_a_transpose_takes_it_along() -> None:
    nodes = [helper.make_node("Transpose", ["v"], ["w"]), helper.make_node("MatMul", ["x", "w"], ["y"])]
    model, x = chain(nodes, (5, 10), v=falling(12, 10)), images(5, 10)
    after = replaced(model, LAST)
    assert [node.op_type for node in after.graph.node] == ["MatMul", "MatMul"]
    assert relative_difference(run(after, x=x)[0], run(model, x=x)[0]) < 1e-5


def test_branches_of_an_if_are_replaced_too() -> None:
    result, other = zoo.tensor("a", (5, 10)), zoo.tensor("b", (5, 10))
    then = zoo.graph("then", [helper.make_node("MatMul", ["x", "w"], ["a"])], [result])
    otherwise = zoo.graph(
        "else",
        [
            helper.make_node("MatMul", ["x", "v"], ["h"]),
            helper.make_node("MatMul", ["x", "w"], ["i"]),
            helper.make_node("Add", ["h", "i"], ["b"]),
        ],
        [other],
        zoo.weights("v", 12, 10),
    )
    flag, x = zoo.tensor("flag", (), onnx.TensorProto.BOOL), zoo.tensor("x", (5, 12))
    node = helper.make_node("If", ["flag"], ["y"], then_branch=then, else_branch=otherwise)
    model = zoo.model([node], [flag, x], [zoo.tensor("y", (5, 10))], [zoo.weights("w", 12, 10)])
    after = replaced(model, LAST)
    assert count_weights(after) == 2 * (12 + 10) * 10
    for value in (True, False):
        feeds = {"flag": np.array(value), "x": images(5, 12)}
        np.testing.assert_allclose(run(after, **feeds)[0], run(model, **feeds)[0], atol=2e-5)


def test_models_that_list_their_constants_as_inputs_still_do() -> None:
    model = layer("Conv", falling(6, 4, 3, 3), (1, 4, 8, 8), opset=8)
    model.ir_version = 3
    model.graph.input.append(zoo.tensor("kernel", (6, 4, 3, 3)))
    after = replaced(model, BOTH)
    assert {value.name for value in after.graph.input} == {"x", "kernel.first", "kernel.core", "kernel.last"}
    x = images(1, 4, 8, 8)
    np.testing.assert_allclose(run(after, x=x)[0], run(model, x=x)[0], atol=1e-5)


def test_half_precision_stays() -> None:
    kernel = falling(6, 4, 3, 3).astype(np.float16)
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    dims = (1, 4, 8, 8)
    half = onnx.TensorProto.FLOAT16
    model = zoo.model(
        [node],
        [zoo.tensor("x", dims, half)],
        [zoo.tensor("y", (1, 6, 6, 6), half)],
        [numpy_helper.from_array(kernel, "w")],
    )
    after, x = replaced(model, BOTH), images(*dims).astype(np.float16)
    assert {tensor.data_type for tensor in after.graph.initializer} == {half}
    np.testing.assert_allclose(run(after, x=x)[0], run(model, x=x)[0], atol=2e-2)


def test_a_product_has_no_first_factor() -> None:
    model = chain([helper.make_node("MatMul", ["x", "w"], ["y"])], (5, 12), w=falling(12, 10))
    [found] = find_layers(model)
    with pytest.raises(ValueError, match="a product takes"):
        replace_layers(model, {found: equal_factors(found.kernel(), "MatMul", 1, FIRST)})
