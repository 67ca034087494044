from pathlib import Path

import numpy as np
import onnx
import onnx.backend.test
import pytest
import zoo
from onnx import ModelProto, SparseTensorProto, TensorProto, helper
from tensorrt_operators_cases import ALL, CASES, DQ, INT64, biased, constant, named, one_node, with_input

from converters.tensorrt_operators import rtx, rtx_child
from converters.tensorrt_operators.tables import Version, tables
from converters.tensorrt_operators.traps import JUDGED, TRAPS
from converters.tensorrt_operators.verdicts import Finding, judge

RTX, WHY_NOT = rtx_child.find_library()
needs_rtx = pytest.mark.skipif(RTX is None, reason=f"TensorRT-RTX is not there ({WHY_NOT or 'not installed'})")


def verdict_of(model: ModelProto, version: Version | None, node: str = "node") -> Finding:
    (found,) = [one for one in judge(model, version) if one.node == node]
    return found


@pytest.mark.parametrize("version", ALL, ids=lambda version: ".".join(map(str, version)))
@pytest.mark.parametrize("name", CASES)
def test_verdicts(name: str, version: Version) -> None:
    case = CASES[name]
    found = verdict_of(case.model, version)
    if version in case.refused:
        assert (found.verdict, case.says in found.reason) == ("refused", True), found
    elif version in case.doubted:
        assert (found.verdict, case.says in found.reason) == ("unknown", True), found
    else:
        assert (found.verdict, found.reason) == ("parses", "")


@needs_rtx
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.fits and (11, 0) not in case.doubted])
def test_tensorrt_rtx_agrees_about_11(name: str) -> None:
    """Refused there as here, or built; what is only doubted here may go either way there."""
    case = CASES[name]
    answer = rtx.read_answer([*rtx_child.examine(RTX, case.model.SerializeToString())][-1])
    assert isinstance(answer, rtx.Answer)
    assert answer.built is ((11, 0) not in case.refused), answer


def sparse() -> SparseTensorProto:
    return helper.make_sparse_tensor(constant("v", [1]), constant("i", [0], "int64"), [4])


@pytest.mark.parametrize(
    ("model", "versions", "says"),
    [
        (
            one_node("DeformConv", (1, 1, 4, 4, 4), named(w=np.ones((1, 1, 2, 2, 2)), o=[0]), inputs="x w o", opset=19),
            ((10, 3), (11, 0)),
            "5 dimensions, and can have 3 to 4",
        ),
        (
            one_node("DeformConv", (1, 1, 4, 4), inputs="x w o", opset=19, pads=[0, 0, 1, 1]),
            ((10, 3), (11, 0)),
            "must be the same before and behind",
        ),
        (
            with_input(one_node("OneHot", (4,), named(v=[0, 1]), inputs="x d v"), "d", (), INT64),
            ((8, 5), (11, 0)),
            "depth must be a constant",
        ),
        (
            with_input(one_node("STFT", (1, 64, 1), inputs="x s", opset=17), "s", (), INT64),
            ((10, 6), (11, 0)),
            "frame_step or window must be a constant",
        ),
        (
            with_input(one_node("NonMaxSuppression", (1, 8, 4), inputs="x x m", made=INT64), "m", (1,), INT64),
            ((8, 2),),
            "a threshold or the number of boxes must be a constant",
        ),
        (one_node("Constant", inputs="", sparse_value=sparse()), ((8, 2), (11, 0)), "the attribute sparse_value"),
        (one_node("Constant", inputs="", value_string="a"), ((8, 2), (11, 0)), "the attribute value_string"),
        (one_node("Constant", inputs="", value_strings=["a"]), ((8, 2), (11, 0)), "the attribute value_strings"),
    ],
)
def test_what_a_listed_operator_is_refused_for(model: ModelProto, versions: tuple[Version, ...], says: str) -> None:
    for version in versions:
        found = verdict_of(model, version)
        assert (found.verdict, says in found.reason) == ("refused", True), found


def test_a_patch_of_a_version_is_that_version() -> None:
    cubic, top = CASES["a cubic resize"].model, CASES["a computed K"].model
    assert [verdict_of(cubic, (8, 2, 9, 9)).verdict, verdict_of(cubic, (8, 4, 0)).verdict] == ["refused", "unknown"]
    assert verdict_of(cubic, (10,)).verdict == "parses"
    assert [verdict_of(top, (8, 5, 9)).verdict, verdict_of(top, (8, 6, 0)).verdict] == ["refused", "parses"]


def test_traps_are_about_operators_of_the_newest_table() -> None:
    newest = set(tables()[-1].rows)
    assert newest >= JUDGED
    for trap in TRAPS:
        assert newest >= trap.operators


def test_every_restriction_is_judged_or_said() -> None:
    """Those that the traps leave open, by name: a new table makes somebody decide."""
    restricted = {operator for table in tables() for operator, row in table.rows.items() if row.restriction}
    assert restricted - JUDGED == {
        "Attention",
        "If",
        "Loop",
        "NonMaxSuppression",
        "RotaryEmbedding",
        "STFT",
        "TensorScatter",
    }


def test_integers_that_8_2_misreads() -> None:
    made = one_node("Add", (2,), inputs="x c", element=INT64, made=INT64)
    made.graph.node.insert(0, helper.make_node("Constant", [], ["c"], name="number", value_int=3))
    assert verdict_of(made, (8, 2), "number").verdict == "unknown"
    assert verdict_of(made, (8, 5), "number").verdict == "parses"


def test_a_range_of_floats() -> None:
    made = one_node("Range", (), named(zero=np.float32(0)), inputs="zero x zero")
    assert verdict_of(made, (8, 2)).verdict == "refused"
    assert verdict_of(made, (8, 5)).verdict == "parses"
    whole = one_node("Range", (), named(zero=(0, "int64")), inputs="zero x zero", element=INT64, made=INT64)
    assert verdict_of(whole, (8, 2)).verdict == "parses"


def test_group_normalisation_changed_with_opset_21() -> None:
    for opset, version, verdict in ((18, (10, 3), "parses"), (21, (10, 3), "unknown"), (21, (10, 9), "parses")):
        made = one_node("GroupNormalization", constants=named(s=np.ones(4)), inputs="x s s", opset=opset, num_groups=2)
        assert verdict_of(made, version).verdict == verdict


def test_a_dequantised_bias_is_refused_where_it_is_made() -> None:
    made = biased((DQ, "q s z"))
    for version in ALL:
        assert verdict_of(made, version, "before").verdict == "refused"
        assert "leave biases in floating point" in verdict_of(made, version, "before").reason


def test_a_restriction_that_nobody_can_judge_is_quoted() -> None:
    made = zoo.model(
        [
            helper.make_node(
                "If",
                ["flag"],
                ["y"],
                name="node",
                then_branch=zoo.graph(
                    "then", [helper.make_node("Det", ["x"], ["a"], name="in")], [zoo.tensor("a", (1,))]
                ),
                else_branch=zoo.graph("else", [helper.make_node("Neg", ["z"], ["b"])], [zoo.tensor("b", (1,))]),
            )
        ],
        [zoo.tensor("x", (1, 2, 2)), zoo.tensor("z", (1,)), zoo.tensor("flag", (), TensorProto.BOOL)],
        [zoo.tensor("y", (1,))],
    )
    found = judge(made, (8, 2))
    assert {one.operator: one.verdict for one in found} == {"If": "unknown", "Det": "refused", "Neg": "parses"}
    assert found[0].reason.startswith("NVIDIA restricts it: Output tensors of the two conditional branches must")
    assert {one.node for one in found} == {"node", "in", "node_of_b"}


def test_a_model_with_open_shapes() -> None:
    found = judge(zoo.dynamic_batch(), (10, 3))
    assert (found[0].operator, found[0].verdict) == ("", "refused")
    assert "'image' has no static shape" in found[0].reason


def test_a_newer_opset_is_a_doubt_about_the_model() -> None:
    made = one_node("Relu", (4,), opset=18)
    assert [(one.operator, one.verdict) for one in judge(made, (8, 2))] == [("", "unknown"), ("Relu", "parses")]
    assert "opset 18; TensorRT 8.2 is made for up to 13" in judge(made, (8, 2))[0].reason
    assert [one.verdict for one in judge(made, (10, 3))] == ["parses"]


def test_beyond_the_newest_table_nothing_is_refused() -> None:
    found = verdict_of(CASES["dilated pooling"].model, (11, 3))
    assert (found.verdict, "the newest table is of TensorRT 11.0" in found.reason) == ("unknown", True)
    assert verdict_of(one_node("Relu", (4,)), (11, 3)).verdict == "parses"


@pytest.mark.parametrize(
    ("version", "why"), [(None, "which TensorRT the board has is not known"), ((8, 0, 1), "no table is of a TensorRT")]
)
def test_without_a_table_everything_is_unknown(version: Version | None, why: str) -> None:
    found = verdict_of(one_node("Det", (1, 3, 3)), version)
    assert (found.verdict, why in found.reason) == ("unknown", True)


def test_an_operator_of_another_domain_needs_a_plugin() -> None:
    found = verdict_of(zoo.custom_operator(), (8, 2), "odd")
    assert (found.verdict, found.domain, found.where) == ("unknown", "com.acme", "com.acme.Frobnicate (node 'odd')")
    assert "only a plugin" in found.reason


def test_local_functions_came_with_9() -> None:
    made = one_node("Relu", (4,))
    body = helper.make_function("own", "Twice", ["a"], ["b"], [helper.make_node("Det", ["a"], ["b"], name="in")], [])
    made.functions.append(body)
    made.opset_import.append(helper.make_opsetid("own", 1))
    made.graph.node[0].CopyFrom(helper.make_node("Twice", ["x"], ["y"], name="node", domain="own"))
    assert verdict_of(made, (8, 6)).verdict == "refused"
    assert verdict_of(made, (10, 3)).verdict == "parses"
    assert verdict_of(made, (10, 3), "in").verdict == "refused"  # inside it


LIGHT = sorted((Path(onnx.backend.test.__file__).parent / "data" / "light").glob("*.onnx"))


@pytest.mark.parametrize("path", LIGHT, ids=lambda path: path.stem)
def test_networks_that_we_did_not_make_are_refused_nowhere(path: Path) -> None:
    assert len(LIGHT) == 9
    made = onnx.load(path)
    for version in ALL:
        assert {one.reason for one in judge(made, version) if one.verdict == "refused"} == set()


def test_the_model_is_left_as_it_was() -> None:
    made = zoo.autoencoder()
    before = made.SerializeToString(deterministic=True)
    judge(made, (8, 2))
    assert made.SerializeToString(deterministic=True) == before
