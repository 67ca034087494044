"""The patterns against what the installed onnx and ONNX Runtime really say."""

import onnx
import pytest
import zoo
from onnx import ModelProto, helper

from converters.diagnosis import plain, refusal
from converters.errors import UnsupportedOperatorError, UnsupportedVersionError
from converters.reference import OnnxReference


def no_import() -> ModelProto:
    made = zoo.custom_operator()
    del made.opset_import[1]
    return made


def nested() -> ModelProto:
    """The unknown operator inside a branch."""
    odd = helper.make_node("Frobnicate", ["x"], ["a"], name="deep", domain="com.acme")
    branches = {
        "then_branch": zoo.graph("then", [odd], [zoo.tensor("a", (1, 4))]),
        "else_branch": zoo.graph("else", [helper.make_node("Neg", ["x"], ["b"])], [zoo.tensor("b", (1, 4))]),
    }
    inputs = [zoo.tensor("x", (1, 4)), zoo.tensor("flag", (), onnx.TensorProto.BOOL)]
    node = helper.make_node("If", ["flag"], ["y"], **branches)
    return zoo.model([node], inputs, [zoo.tensor("y", (1, 4))], domains={"com.acme": 1})


def checked(made: ModelProto) -> Exception:
    with pytest.raises(onnx.checker.ValidationError) as caught:
        onnx.checker.check_model(made)
    return refusal(caught.value, made)


@pytest.mark.parametrize(
    ("made", "operator", "domain", "node"),
    [
        (zoo.unknown_operator(), "Frobnicate", "", "odd"),
        (zoo.custom_operator(), "Frobnicate", "com.acme", "odd"),
        (no_import(), "Frobnicate", "com.acme", "odd"),
        (nested(), "Frobnicate", "com.acme", "deep"),
        (zoo.unimplemented(), "Conv", "", "conv"),
    ],
)
def test_onnx_runtime_names_operator_domain_and_node(made: ModelProto, operator: str, domain: str, node: str) -> None:
    with pytest.raises(UnsupportedOperatorError) as caught:
        OnnxReference(made.SerializeToString())
    assert (caught.value.operator, caught.value.domain, caught.value.node) == (operator, domain, node)


@pytest.mark.parametrize(("made", "domain"), [(zoo.unknown_operator(), ""), (no_import(), "com.acme")])
def test_the_checker_names_operator_domain_and_node(made: ModelProto, domain: str) -> None:
    error = checked(made)
    assert isinstance(error, UnsupportedOperatorError)
    assert (error.operator, error.domain, error.node) == ("Frobnicate", domain, "odd")


def test_of_nested_nodes_the_checker_names_the_inner_one() -> None:
    made = nested()
    (branch,) = (attribute.g for attribute in made.graph.node[0].attribute if attribute.name == "then_branch")
    branch.node[0].domain = ""
    error = checked(made)
    assert isinstance(error, UnsupportedOperatorError)
    assert (error.operator, error.node) == ("Frobnicate", "deep")


def test_an_operator_newer_than_the_opset_is_unsupported() -> None:
    made = zoo.model(
        [helper.make_node("Gelu", ["x"], ["y"], name="g")], [zoo.tensor("x", (1,))], [zoo.tensor("y", (1,))]
    )
    error = checked(made)
    assert isinstance(error, UnsupportedOperatorError)
    assert "13" in error.message


def test_an_opset_from_the_future() -> None:
    made = zoo.identity()
    made.opset_import[0].version = 999
    with pytest.raises(
        UnsupportedVersionError, match=r"opset 999 of ai\.onnx; the installed version knows up to opset \d+"
    ):
        OnnxReference(made.SerializeToString())


def test_an_ir_version_from_the_future() -> None:
    made = zoo.identity()
    made.ir_version = 999
    error = checked(made)
    assert isinstance(error, UnsupportedVersionError)
    assert "IR version 999" in str(error)


def test_plain_is_one_line_without_status_and_source_location() -> None:
    text = "[ONNXRuntimeError] : 1 : FAIL : /src/a.cc:46 void f(const g<int()>&, int) Shape (2)\nis odd"
    assert plain(RuntimeError(text)) == "Shape (2) is odd"
    nested = "[ONNXRuntimeError] : 6 : FAIL : Relu failed: /src/b.h:91 A::A(int) const bool B::f() wrong"
    assert plain(RuntimeError(nested)) == "Relu failed: wrong"
    assert plain(RuntimeError("[ONNXRuntimeError] : 1 : FAIL : Node (a) is odd")) == "Node (a) is odd"
