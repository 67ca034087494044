import numpy as np
import zoo
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from converters.weights import count_weights


def product(*nodes: NodeProto, constants: tuple[TensorProto, ...] = ()) -> ModelProto:
    """x [1, 4] through `nodes` to y."""
    return zoo.model(nodes, [zoo.tensor("x", (1, 4))], [zoo.tensor("y", (1, "n"))], constants)


def matmul(kernel: str = "w", source: str = "x", result: str = "y") -> NodeProto:
    return helper.make_node("MatMul", [source, kernel], [result])


def test_kernels_count_and_biases_do_not() -> None:
    assert count_weights(zoo.convolution()) == 4 * 3 * 3 * 3
    assert count_weights(zoo.classifier(10)) == 192 * 10
    assert count_weights(zoo.autoencoder()) == 2 * 8 * 3 * 4 * 4


def test_a_model_without_kernels_has_none() -> None:
    assert count_weights(zoo.identity()) == 0
    assert count_weights(zoo.default_input()) == 0  # the constant factor of a Mul


def test_normalisation_does_not_count() -> None:
    made = zoo.convolution()
    made.graph.node[1].CopyFrom(
        helper.make_node("BatchNormalization", ["features", "bias", "bias", "bias", "bias"], ["map"])
    )
    assert count_weights(made) == 108


def test_a_shared_kernel_counts_once() -> None:
    square = zoo.weights("w", 4, 4)
    assert count_weights(product(matmul(result="h"), matmul(source="h"), constants=(square,))) == 16


def test_kernels_of_equal_size_are_not_taken_for_one() -> None:
    pair = (zoo.weights("w", 4, 4), zoo.weights("v", 4, 4))
    assert count_weights(product(matmul(result="h"), matmul("v", source="h"), constants=pair)) == 32


def test_a_kernel_may_be_a_constant_node() -> None:
    constant = helper.make_node("Constant", [], ["w"], value=zoo.weights("any", 4, 5))
    assert count_weights(product(constant, matmul())) == 20


def test_a_kernel_may_be_on_the_left() -> None:
    node = helper.make_node("MatMul", ["w", "x"], ["y"])
    made = zoo.model([node], [zoo.tensor("x", (4, 1))], [zoo.tensor("y", (5, 1))], [zoo.weights("w", 5, 4)])
    assert count_weights(made) == 20


def test_a_kernel_is_followed_through_nodes_that_keep_its_elements() -> None:
    quantised = numpy_helper.from_array(np.ones((5, 4), np.int8), "q")
    scale = numpy_helper.from_array(np.float32(0.5), "scale")
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "scale"], ["f"]),
        helper.make_node("Identity", ["f"], ["g"]),
        helper.make_node("Transpose", ["g"], ["w"]),
        matmul(result="h"),
        matmul(result="i"),
    ]
    assert count_weights(product(*nodes, constants=(quantised, scale))) == 20


def test_a_product_of_computed_tensors_has_no_kernel() -> None:
    transposed = helper.make_node("Transpose", ["x"], ["t"])
    assert count_weights(product(transposed, matmul("t"))) == 0


def test_an_operator_of_another_domain_with_the_same_name_does_not_count() -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"], domain="com.acme")
    empty = helper.make_node("Identity", [], ["z"], domain="com.acme")
    assert count_weights(product(node, empty, constants=(zoo.weights("w", 4, 4),))) == 0


def test_subgraphs_count_also_with_kernels_from_outside() -> None:
    inner = zoo.graph("then", [matmul("v", result="a")], [zoo.tensor("a", (1, 5))], zoo.weights("v", 4, 5))
    outer = zoo.graph("else", [matmul("w", result="b")], [zoo.tensor("b", (1, 6))])
    node = helper.make_node("If", ["flag"], ["y"], then_branch=inner, else_branch=outer)
    assert count_weights(product(node, constants=(zoo.weights("w", 4, 6),))) == 20 + 24


def test_a_kernel_of_the_same_name_in_two_branches_is_two() -> None:
    branches = [
        zoo.graph(name, [matmul("v", result=name)], [zoo.tensor(name, (1, 5))], zoo.weights("v", 4, 5))
        for name in ("a", "b")
    ]
    node = helper.make_node("If", ["flag"], ["y"], then_branch=branches[0], else_branch=branches[1])
    assert count_weights(product(node)) == 40


def test_functions_of_the_model_count_once_per_kernel_given() -> None:
    body = helper.make_function(
        "local", "Dense", ["a", "k"], ["b"], [matmul("k", "a", "b")], [helper.make_opsetid("", zoo.OPSET)]
    )
    nodes = [helper.make_node("Dense", ["x", "w"], ["y"], domain="local")]
    made = zoo.model(
        nodes,
        [zoo.tensor("x", (1, 4))],
        [zoo.tensor("y", (1, 6))],
        [zoo.weights("w", 4, 6)],
        domains={"local": 1},
    )
    made.functions.append(body)
    assert count_weights(made) == 24


def test_a_sparse_kernel_counts_whole() -> None:
    values = numpy_helper.from_array(np.ones(2, np.float32), "w")
    indices = numpy_helper.from_array(np.array([0, 5]), "w_indices")
    made = product(matmul())
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4, 5]))
    assert count_weights(made) == 20
