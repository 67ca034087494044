import importlib
import re
from collections.abc import Callable
from types import ModuleType

import pytest
import zoo
from onnx import ModelProto, helper
from tensorrt_operators_cases import FLOAT, constant

from converters.tensorrt_operators import rtx, rtx_child
from converters.tensorrt_operators.sites import serialise_named, sites
from converters.tensorrt_operators.tables import Version, has_operator, table_for, tables

RTX, WHY_NOT = rtx_child.find_library()
needs_rtx = pytest.mark.skipif(RTX is None, reason=f"TensorRT-RTX is not there ({WHY_NOT or 'not installed'})")


# --- the tables -------------------------------------------------------------------------------------------------------


def test_the_tables_are_in_order_and_say_where_each_is_from() -> None:
    assert [table.version for table in tables()] == [(8, 2), (8, 5), (8, 6), (10, 3), (10, 6), (10, 15), (11, 0)]
    assert [table.opset for table in tables()] == [13, 17, 17, 20, 22, 24, 24]
    assert [len(table.rows) for table in tables()] == [130, 142, 145, 150, 154, 158, 159]
    for table in tables():
        assert re.search(r"docs/\w+\.md.* at [0-9a-f]{40}", table.source)


def test_no_table_takes_anything_away() -> None:
    for older, newer in zip(tables(), tables()[1:], strict=False):
        assert set(older.rows) < set(newer.rows)


def test_types_are_words_we_know() -> None:
    words = {word for table in tables() for row in table.rows.values() for word in row.types}
    assert words == {"FP32", "FP16", "BF16", "FP8", "FP4", "INT4", "INT8", "UINT8", "INT32", "INT64", "BOOL"}


@pytest.mark.parametrize(
    ("version", "operator", "types", "restriction"),
    [
        ((8, 2), "Conv", "FP32 FP16 INT8", "2D or 3D convolutions only"),
        ((8, 5), "Conv", "FP32 FP16 INT8", ""),
        ((10, 3), "Conv", "FP32 FP16 BF16", ""),
        ((8, 2), "TopK", "FP32 FP16", ""),
        ((8, 5), "TopK", "FP32 FP16", "`K` input must be an initializer"),
        ((8, 6), "TopK", "FP32 FP16 INT32", ""),
        ((8, 2), "Reciprocal", "FP32 FP16", ""),
        ((11, 0), "DequantizeLinear", "INT8 FP8 FP4 INT4", "`x_zero_point` must be zero"),
        ((11, 0), "Swish", "FP32 FP16 BF16", ""),
    ],
)
def test_rows_as_nvidia_wrote_them(version: Version, operator: str, types: str, restriction: str) -> None:
    table = table_for(version)
    assert table is not None
    assert table.rows[operator].types == frozenset(types.split())
    assert table.rows[operator].restriction == restriction


@pytest.mark.parametrize(
    ("version", "nearest"),
    [
        ((8, 2, 1, 8), (8, 2)),
        ((8, 4, 1), (8, 2)),
        ((8, 5, 2), (8, 5)),
        ((8, 6, 2), (8, 6)),
        ((10, 3, 0, 30), (10, 3)),
        ((10, 14), (10, 6)),
        ((10, 16, 1), (10, 15)),
        ((11, 4), (11, 0)),
        ((11,), (11, 0)),
        ((8, 0, 1, 6), None),
        (None, None),
    ],
)
def test_the_newest_table_that_is_not_newer(version: Version | None, nearest: Version | None) -> None:
    table = table_for(version)
    assert (table.version if table else None) == nearest


@pytest.mark.parametrize(
    ("operator", "version", "there"),
    [
        ("Shrink", (8, 2), False),
        ("Shrink", (8, 4), None),  # between a table without it and one with it
        ("Shrink", (8, 5), True),
        ("LayerNormalization", (8, 5, 2), False),
        ("LayerNormalization", (8, 6), True),
        ("Attention", (10, 14), None),
        ("Det", (11, 0), False),
        ("Det", (11, 3), None),  # it may have come
        ("Relu", (11, 3), True),
        ("Relu", (8, 0), None),
        ("Det", (8, 0), False),  # never taken away
    ],
)
def test_what_the_tables_say_of_versions_between_them(operator: str, version: Version, there: bool | None) -> None:
    assert has_operator(operator, version) is there


@needs_rtx
def test_tensorrt_rtx_has_the_operators_of_the_newest_table() -> None:
    class Quiet(RTX.ILogger):  # type: ignore[misc,name-defined]  # known at run time alone
        def log(self, severity: object, text: str) -> None:
            pass

    logger = Quiet()
    parser = RTX.OnnxParser(RTX.Builder(logger).create_network(0), logger)
    lacking = {operator for operator in tables()[-1].rows if not parser.supports_operator(operator)}
    assert lacking == {"DeformConv"}
    assert not any(parser.supports_operator(operator) for operator in ("Det", "QLinearConv", "ConvInteger", "Unique"))


# --- what is known of a node ------------------------------------------------------------------------------------------


def test_shapes_and_constants_are_told_from_what_is_computed() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["dims"]),
        helper.make_node("Mul", ["dims", "two"], ["twice"]),
        helper.make_node("Reshape", ["x", "twice"], ["wide"]),
        helper.make_node("Add", ["wide", "weights"], ["y"], name="sum"),
    ]
    made = zoo.model(
        nodes,
        [zoo.tensor("x", (2, 3))],
        [zoo.tensor("y", None)],
        [constant("two", 2, "int64"), zoo.weights("weights", 2000)],
    )
    shape, product, reshape, total = sites(made)
    assert [shape.is_fixed(0), product.is_fixed(0), product.is_constant(1), reshape.is_fixed(1)] == [
        False,
        True,
        True,
        True,
    ]
    assert not reshape.is_constant(1)
    assert total.element(1) == FLOAT  # a large constant, that shape inference was not given
    assert total.rank(1) == 1
    assert total.values(0) is None


def test_every_node_has_a_name_on_the_way_to_nvidias_parser() -> None:
    made = zoo.classifier()
    made.graph.node[1].ClearField("name")
    made.graph.node[2].name = ""
    sent = ModelProto.FromString(serialise_named(made))
    assert [node.name for node in sent.graph.node] == ["flatten", "node_of_logits", "node_of_scores"]
    assert [site.name for site in sites(made)] == ["flatten", "node_of_logits", "node_of_scores"]
    assert [node.name for node in made.graph.node] == ["flatten", "", ""]


# --- NVIDIA's parser --------------------------------------------------------------------------------------------------


def module(raising: Exception) -> Callable[[str], ModuleType]:
    def load(name: str) -> ModuleType:
        raise raising

    return load


@pytest.mark.parametrize(
    ("raising", "reason"),
    [
        (ModuleNotFoundError("no", name="tensorrt_rtx_bindings"), "tensorrt_rtx cannot be imported: no"),
        (
            ImportError("version `GLIBC_2.99' not found"),
            "tensorrt_rtx cannot be imported: version `GLIBC_2.99' not found",
        ),
        (OSError("libtensorrt_rtx.so.1: cannot open shared object file"), "cannot open shared object file"),
    ],
)
def test_a_library_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch, raising: Exception, reason: str) -> None:
    monkeypatch.setattr(importlib, "import_module", module(raising))
    library, said = rtx_child.find_library()
    assert library is None
    assert reason in said


def test_a_library_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> ModuleType:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", load)
    assert rtx_child.find_library() == (None, "")
    assert rtx.read_answer({"absent": ""}) == rtx.NoAnswer(
        "TensorRT-RTX is not installed: pip install 'boardfit[preflight]'"
    )


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ('(dilations[i] == 1) && "No dilations other than 1."', "No dilations other than 1."),
        ("Assertion failed: shiftIsAllZeros(z): Non-zero  zero\npoint", "shiftIsAllZeros(z): Non-zero zero point"),
        ("false", "it is not supported"),
    ],
)
def test_what_the_parser_says_is_made_readable(text: str, plain: str) -> None:
    said = {"operator": "MaxPool", "node": "node", "lacks": False, "text": text}
    answer = rtx.read_answer({"version": "1", "parsed": False, "built": False, "refusals": [said, said], "log": []})
    assert answer == rtx.Answer("1", False, False, (rtx.Refusal("MaxPool", "node", False, plain),), ())
