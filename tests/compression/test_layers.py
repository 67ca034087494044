from pathlib import Path

import numpy as np
import onnx
import pytest
import zoo
from kernels import chain, falling, images, layer
from onnx import TensorProto, helper, numpy_helper

from compression.errors import ExternalWeightsError
from compression.graph import inlined
from compression.layers import Form, channels_of, count_weights, find_layers
from converters import weights

WIDE = falling(16, 12, 3, 3)
MATRIX = falling(12, 10)


def product(*nodes: onnx.NodeProto, **constants: np.ndarray) -> onnx.ModelProto:
    return chain(list(nodes), (5, 12), **constants)


def matmul(kernel: str = "w", source: str = "x", result: str = "y", **more: object) -> onnx.NodeProto:
    return helper.make_node("MatMul", [source, kernel], [result], **more)


def with_subgraph() -> onnx.ModelProto:
    """An If whose branches share a kernel of the outer graph, and one of which has its own."""
    result = zoo.tensor("result", (5, 10))
    other = zoo.tensor("other", (5, 10))
    then = zoo.graph("then", [matmul(result="result")], [result])
    otherwise = zoo.graph(
        "else",
        [matmul("own", result="h"), matmul(result="unused"), helper.make_node("Identity", ["h"], ["other"])],
        [other],
        numpy_helper.from_array(MATRIX, "own"),
    )
    node = helper.make_node("If", ["flag"], ["y"], then_branch=then, else_branch=otherwise)
    return zoo.model(
        [node],
        [zoo.tensor("flag", (), TensorProto.BOOL), zoo.tensor("x", (5, 12))],
        [zoo.tensor("y", (5, 10))],
        [numpy_helper.from_array(MATRIX, "w")],
    )


def with_function() -> onnx.ModelProto:
    function = helper.make_function(
        "here",
        "Twice",
        ["a"],
        ["c"],
        [
            helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(MATRIX, "k")),
            helper.make_node("MatMul", ["a", "k"], ["c"]),
        ],
        [helper.make_opsetid("", zoo.OPSET)],
    )
    made = zoo.model(
        [helper.make_node("Twice", ["x"], ["y"], domain="here")],
        [zoo.tensor("x", (5, 12))],
        [zoo.tensor("y", (5, 10))],
        domains={"here": 1},
    )
    made.functions.append(function)
    return made


def quantised() -> onnx.ModelProto:
    nodes = [helper.make_node("DequantizeLinear", ["q", "scale"], ["w"]), matmul()]
    return chain(nodes, (5, 12), q=np.ones((12, 10), np.int8), scale=np.float32(0.5))


def sparse() -> onnx.ModelProto:
    values = numpy_helper.from_array(np.ones(3, np.float32), "w")
    indices = numpy_helper.from_array(np.arange(3), "places")
    made = product(matmul())
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, (12, 10)))
    return made


OBSTACLES = {
    "sparse": (sparse(), "sparse"),
    "quantised": (quantised(), "comes through DequantizeLinear"),
    "of integers": (product(matmul(), w=np.ones((12, 10), np.int32)), "of int32"),
    "depthwise": (layer("Conv", falling(8, 1, 3, 3), (1, 8, 9, 9), group=8), "depthwise"),
    "tiny": (layer("Conv", falling(2, 2, 1, 1), (1, 2, 4, 4)), "not even ranks of 1"),
    "a stack": (chain([matmul()], (3, 5, 12), w=falling(3, 12, 10)), "no matrix: (3, 12, 10)"),
    "a vector": (product(matmul(), w=falling(1, 12)[0]), "no matrix"),
    "on both sides": (product(matmul(source="v"), w=MATRIX, v=MATRIX.T), "both sides"),
    "read in two ways": (
        product(matmul(result="h"), helper.make_node("Gemm", ["h", "w"], ["y"], transB=1), w=MATRIX),
        "in different ways",
    ),
    "added as well": (
        product(
            matmul(result="h"),
            helper.make_node("Gemm", ["h", "v"], ["g"]),
            helper.make_node("Add", ["g", "w"], ["y"]),
            w=MATRIX,
            v=falling(10, 10),
        ),
        "something else",
    ),
    "reshaped": (
        product(helper.make_node("Reshape", ["v", "s"], ["w"]), matmul(), v=MATRIX.ravel(), s=np.array([12, 10])),
        "Reshape",
    ),
}
OTHERS = {
    "convolution": zoo.convolution(),
    "autoencoder": zoo.autoencoder(),
    "classifier": zoo.classifier(),
    "no kernel": zoo.identity(),
    "subgraph": with_subgraph(),
    "function": with_function(),
    "constant node": product(
        helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(MATRIX, "any")), matmul()
    ),
    "foreign operator": zoo.custom_operator(),
}


@pytest.mark.parametrize("name", [*OBSTACLES, *OTHERS])
def test_counts_as_the_converters_do(name: str) -> None:
    model = OBSTACLES[name][0] if name in OBSTACLES else OTHERS[name]
    assert count_weights(model) == weights.count_weights(model)


@pytest.mark.parametrize("name", OBSTACLES)
def test_what_cannot_be_decomposed_says_why(name: str) -> None:
    model, said = OBSTACLES[name]
    found = find_layers(model)
    assert found
    for each in found:
        if each.constant.name in ("w", "kernel"):
            assert said in str(each.obstacle)


@pytest.mark.parametrize(
    ("operator", "index", "attributes", "form"),
    [
        ("MatMul", 1, {}, Form("MatMul")),
        ("MatMul", 0, {}, Form("Linear")),
        ("Gemm", 1, {}, Form("MatMul")),
        ("Gemm", 1, {"transB": 1}, Form("Linear")),
        ("Gemm", 0, {}, Form("Linear")),
        ("Gemm", 0, {"transA": 1}, Form("MatMul")),
    ],
)
def test_a_product_says_which_way_its_kernel_lies(
    operator: str, index: int, attributes: dict[str, int], form: Form
) -> None:
    inputs = ["x", "w"] if index == 1 else ["w", "x"]
    [found] = find_layers(product(helper.make_node(operator, inputs, ["y"], **attributes), w=MATRIX))
    assert found.form == form
    assert found.obstacle is None
    inner = 12 if form.kind == "MatMul" else 10  # of [in, out] and [out, in]
    assert found.sizes.inputs == inner


def test_a_kernel_comes_through_identity_and_transpose() -> None:
    nodes = [
        helper.make_node("Identity", ["v"], ["i"]),
        helper.make_node("Transpose", ["i"], ["w"], perm=[1, 0]),
        matmul(),
    ]
    [found] = find_layers(product(*nodes, v=np.ascontiguousarray(MATRIX.T)))
    assert found.form == Form("MatMul", transposed=True)
    np.testing.assert_array_equal(found.kernel(), MATRIX)
    assert found.sizes.full == (10, 12)


def test_a_transpose_that_changes_nothing_is_none() -> None:
    [found] = find_layers(product(helper.make_node("Transpose", ["v"], ["w"], perm=[0, 1]), matmul(), v=MATRIX))
    np.testing.assert_array_equal(found.kernel(), MATRIX)


def test_a_shared_kernel_is_one_layer_also_across_subgraphs() -> None:
    own, shared = sorted(find_layers(with_subgraph()), key=lambda each: len(each.uses))
    assert (len(shared.uses), len(own.uses)) == (2, 1)
    assert shared.obstacle is None
    assert own.obstacle is None


def test_functions_are_looked_into() -> None:
    [found] = find_layers(inlined(with_function()))
    assert found.weights == MATRIX.size


def test_layers_of_one_name_or_none_are_told_apart() -> None:
    nodes = [matmul(result="a", name="twin"), matmul("v", "a", "b", name="twin"), matmul("u", "b")]
    found = find_layers(product(*nodes, w=MATRIX, v=falling(10, 10), u=falling(10, 9)))
    assert [each.name for each in found] == ["twin", "twin#2", "u"]


def test_weights_left_in_another_file_are_said_to_be_there(tmp_path: Path) -> None:
    path = zoo.save_external(layer("Conv", WIDE, (1, 12, 8, 8)), tmp_path)
    [found] = find_layers(onnx.load(path, load_external_data=False))
    assert found.weights == WIDE.size
    with pytest.raises(ExternalWeightsError, match=r"model\.onnx\.data"):
        found.kernel()
    np.testing.assert_array_equal(find_layers(onnx.load(path))[0].kernel(), WIDE)


def test_channels_come_first() -> None:
    values = images(2, 6, 3, 4)
    [found] = find_layers(layer("Conv", falling(4, 3, 3, 3), (2, 6, 3, 4), group=2))
    channels = channels_of(found.uses[0], values, 2)
    np.testing.assert_array_equal(channels[1, 0].reshape(2, 3, 4), values[:, 3])
    for operator, index, attributes in (
        ("MatMul", 1, {}),
        ("MatMul", 0, {}),
        ("Gemm", 1, {"transA": 1}),
        ("Gemm", 0, {"transB": 1}),
    ):
        inputs = ["x", "w"] if index == 1 else ["w", "x"]
        [found] = find_layers(product(helper.make_node(operator, inputs, ["y"], **attributes), w=MATRIX))
        matrix = images(5, 7)
        expected = matrix.T if (index == 1) != bool(attributes) else matrix
        np.testing.assert_array_equal(channels_of(found.uses[0], matrix, 1)[0], expected)
