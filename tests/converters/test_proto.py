import zoo
from onnx import AttributeProto, ModelProto, helper

from converters.proto import broken_texts, walk_graphs, walk_tensors


def everywhere() -> ModelProto:
    """A model with a constant in each place where ONNX lets one be; it is not valid otherwise."""
    branch = zoo.graph(
        "branch",
        [helper.make_node("Constant", [], ["a"], value=zoo.weights("attribute in branch", 1))],
        [zoo.tensor("a", (1,))],
        zoo.weights("initialiser in branch", 1),
    )
    sparse = helper.make_sparse_tensor(zoo.weights("values", 1), zoo.weights("indices", 1), [4])
    listed = AttributeProto(name="list", type=AttributeProto.TENSORS, tensors=[zoo.weights("attribute list", 1)])
    node = helper.make_node("If", ["flag"], ["y"], then_branch=branch)
    node.attribute.append(listed)
    node.attribute.append(AttributeProto(name="s", type=AttributeProto.SPARSE_TENSOR, sparse_tensor=sparse))
    made = zoo.model([node], [zoo.tensor("x", (1,))], [zoo.tensor("y", (1,))], [zoo.weights("initialiser", 1)])
    made.graph.sparse_initializer.append(sparse)
    opsets = [helper.make_opsetid("", zoo.OPSET)]
    made.functions.append(helper.make_function("local", "F", ["flag"], ["y"], [node], opsets))
    return made


def test_constants_are_found_wherever_they_may_be() -> None:
    names = [tensor.name for tensor in walk_tensors(everywhere()) if tensor.name]
    in_nodes = ["initialiser in branch", "attribute list", "values", "indices", "attribute in branch"]
    assert sorted(names) == sorted(["initialiser", "values", "indices", *in_nodes, *in_nodes])


def test_nested_graphs_are_found_once() -> None:
    inner = zoo.graph("inner", [], [zoo.tensor("i", (1,))])
    outer = zoo.graph("outer", [helper.make_node("If", ["f"], ["o"], then_branch=inner)], [zoo.tensor("o", (1,))])
    made = zoo.model([helper.make_node("If", ["f"], ["y"], then_branch=outer)], [], [])
    assert [graph.name for graph in walk_graphs(made.graph)] == ["graph", "outer", "inner"]


def test_a_text_that_is_not_utf_8_is_found_at_any_depth() -> None:
    made = everywhere()
    assert list(broken_texts(made)) == []
    content = made.SerializeToString().replace(b"attribute in branch", b"attribute in branc\xe9")
    assert b"attribute in branc\xe9" in broken_texts(ModelProto.FromString(content))
