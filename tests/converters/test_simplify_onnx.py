from pathlib import Path

import numpy as np
import onnx
import pytest
import zoo
from onnx import ModelProto, helper, numpy_helper, parser

from converters.compare import compare
from converters.draft import Draft
from converters.errors import UnsupportedOperatorError
from converters.reference import OnnxReference
from converters.steps import simplify_onnx


def simplified(model: ModelProto) -> Draft:
    draft = Draft(Path("model.onnx"), {}, model)
    simplify_onnx.apply(draft)
    onnx.checker.check_model(draft.model)
    return draft


def operators(model: ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def network(text: str, opset: int = 17) -> ModelProto:
    return parser.parse_model(f'<ir_version: 8, opset_import: ["": {opset}]> g {text}')


def test_shapes_that_are_computed_become_constants() -> None:
    made = network(
        """(float[1,3,8,8] x) => (float[1,192] y) {
        s = Shape(x) zero = Constant<value = int64 {0}>() n = Gather(s, zero)
        axis = Constant<value = int64[1] {0}>() m = Unsqueeze(n, axis) rest = Constant<value = int64[1] {-1}>()
        d = Concat<axis = 0>(m, rest) i = Identity(x) y = Reshape(i, d) }"""
    )
    draft = simplified(made)
    assert operators(draft.model) == ["Reshape"]
    (shape,) = draft.model.graph.initializer
    assert list(numpy_helper.to_array(shape)) in ([1, -1], [1, 192])
    assert not draft.notices


def test_normalisation_goes_into_the_convolution() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["a", "scale", "bias", "mean", "variance"], ["b"]),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    constants = [zoo.weights("kernel", 4, 3, 3, 3), *(zoo.weights(name, 4) for name in ("scale", "bias", "mean"))]
    constants.append(numpy_helper.from_array(np.array([1, 2, 0.5, 3], np.float32), "variance"))
    made = zoo.model(nodes, [zoo.tensor("x", (1, 3, 8, 8))], [zoo.tensor("y", (1, 4, 8, 8))], constants)
    x = np.random.default_rng(0).random((1, 3, 8, 8), dtype=np.float32)
    expected = OnnxReference(made.SerializeToString())([x])
    draft = simplified(made)
    assert operators(draft.model) == ["Conv", "Relu"]
    assert compare([expected], [OnnxReference(draft.model.SerializeToString())([x])]).sqnr_db > 110


def test_metadata_names_and_opset_stay_and_nothing_is_imported_that_is_not_used() -> None:
    made = simplified(zoo.autoencoder(metadata={"boardfit": "{}", "author": "x"})).model
    assert {entry.key: entry.value for entry in made.metadata_props} == {"boardfit": "{}", "author": "x"}
    assert [value.name for value in made.graph.input] == [value.name for value in zoo.autoencoder().graph.input]
    assert [value.name for value in made.graph.output] == [value.name for value in zoo.autoencoder().graph.output]
    assert [(entry.domain, entry.version) for entry in made.opset_import] == [("", zoo.OPSET)]


def test_shared_weights_stay_shared() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "kernel"], ["y"], pads=[1, 1, 1, 1]),
    ]
    made = zoo.model(
        nodes, [zoo.tensor("x", (1, 3, 4, 4))], [zoo.tensor("y", (1, 3, 4, 4))], [zoo.weights("kernel", 3, 3, 3, 3)]
    )
    assert [tensor.name for tensor in simplified(made).model.graph.initializer] == ["kernel"]


def test_the_same_model_gives_the_same_bytes() -> None:
    first, second = (simplified(zoo.autoencoder(metadata={"b": "2", "a": "1"})).model for _ in range(2))
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)


def test_constants_are_no_inputs_whatever_the_file_format() -> None:
    made = zoo.convolution()
    made.ir_version = 3
    made.graph.input.extend(zoo.tensor(tensor.name, tensor.dims) for tensor in made.graph.initializer)
    made = simplified(made).model
    assert [value.name for value in made.graph.input] == ["image"]
    assert made.ir_version == 4


def test_half_precision_is_left_alone() -> None:
    made = network(
        "(float16[1,2,4,4] x) => (float16[1,2,4,4] y) <float[1,2,4,4] c = {"
        + ",".join(["1"] * 32)
        + "}> { h = Cast<to=10>(c) a = Mul(x, h) y = Relu(a) }"
    )
    before = made.SerializeToString()
    draft = simplified(made)
    assert draft.model.SerializeToString() == before
    assert draft.notices == ["the graph is not simplified: ONNX Runtime would put operators of its own into it"]


def test_operators_are_not_replaced_by_their_bodies() -> None:
    made = network(
        """(float[1,4,6,8] x) => (float[1,4,6,8] y) <float[4] s = {1, 2, 3, 4}> {
        y = GroupNormalization<num_groups=2>(x, s, s) }""",
        opset=21,
    )
    draft = simplified(made)
    assert operators(draft.model) == ["GroupNormalization"]
    assert draft.notices


def test_operators_of_onnx_runtimes_own_are_not_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    fused = zoo.model(
        [helper.make_node("FusedConv", ["image", "kernel"], ["features"], domain="com.microsoft")],
        list(zoo.convolution().graph.input),
        list(zoo.convolution().graph.output),
        domains={"com.microsoft": 1},
    )
    monkeypatch.setattr(simplify_onnx, "_optimised", lambda model: fused)
    assert operators(simplified(zoo.convolution()).model) == ["Conv", "Relu"]


def test_a_quantised_model_keeps_its_pairs_around_the_weights() -> None:
    made = network(
        """(float[1,1,4,4] x) => (float[1,1,4,4] y)
        <float[1,1,1,1] w = {0.5}, float s = {0.01}, int8 z = {0}> {
        q = QuantizeLinear(w, s, z) d = DequantizeLinear(q, s, z) y = Conv(x, d) }"""
    )
    assert operators(simplified(made).model) == ["QuantizeLinear", "DequantizeLinear", "Conv"]


def test_a_model_that_does_not_load_is_refused_as_ever() -> None:
    with pytest.raises(UnsupportedOperatorError):
        simplify_onnx.apply(Draft(Path("model.onnx"), {}, zoo.unimplemented()))
