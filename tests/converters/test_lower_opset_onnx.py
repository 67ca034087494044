from pathlib import Path

import numpy as np
import onnx
import pytest
import zoo
from onnx import ModelProto, helper, parser

from converters.draft import Draft
from converters.errors import OpsetTooNewError, UnsupportedVersionError
from converters.lowering import opset_of
from converters.plan import Target
from converters.reference import OnnxReference
from converters.steps import lower_opset_onnx


def lowered(model: ModelProto, *version: int, precision: str = "fp32") -> Draft:
    draft = Draft(Path("model.onnx"), {}, model, target=Target("trt", precision, version or None))
    lower_opset_onnx.apply(draft)
    return draft


def gelu(opset: int = 20) -> ModelProto:
    return parser.parse_model(
        f'<ir_version: 10, opset_import: ["": {opset}]> g (float[1,4] x) => (float[1,4] y) {{ y = Gelu(x) }}'
    )


@pytest.mark.parametrize(("version", "opset"), [((8, 2), 13), ((8, 5), 16), ((8, 6), 17), ((10, 3), 17), ((), 17)])
def test_down_to_what_the_parser_reads(version: tuple[int, ...], opset: int) -> None:
    draft = lowered(gelu(), *version)
    assert opset_of(draft.model) == opset
    assert draft.notices == [f"rewritten from opset 20 to {opset}, the newest that the board's parser reads"]
    assert "Gelu" not in {node.op_type for node in draft.model.graph.node}


def test_what_the_parser_reads_is_left_as_it_is() -> None:
    draft = lowered(gelu(), 11, 1)
    assert opset_of(draft.model) == 20
    assert [node.op_type for node in draft.model.graph.node] == ["Gelu"]
    assert not draft.notices


def test_metadata_and_names_stay() -> None:
    made = gelu()
    helper.set_model_props(made, {"boardfit": "{}"})
    made = lowered(made, 8, 2).model
    assert [(entry.key, entry.value) for entry in made.metadata_props] == [("boardfit", "{}")]
    assert ([value.name for value in made.graph.input], [value.name for value in made.graph.output]) == (["x"], ["y"])


@pytest.mark.parametrize(("version", "ir_version"), [((8, 2), 7), ((8, 6), 8), ((11,), 9)])
def test_the_file_format_is_as_old_as_the_opset_allows(version: tuple[int, ...], ir_version: int) -> None:
    draft = lowered(gelu(), *version)
    assert draft.model.ir_version == ir_version
    onnx.checker.check_model(draft.model)


def test_functions_of_the_models_own_are_written_out() -> None:
    made = parser.parse_model(
        """<ir_version: 8, opset_import: ["": 17, "local": 1]>
        g (float[1,4] x) => (float[1,4] y) { y = local.twice(x) }
        <domain: "local", opset_import: ["": 17]> twice (a) => (b) { b = Add(a, a) }"""
    )
    draft = lowered(made, 8, 6)
    assert [(node.domain, node.op_type) for node in draft.model.graph.node] == [("", "Add")]
    assert not draft.model.functions


def test_int8_needs_scales_per_channel() -> None:
    made = zoo.convolution()
    made.opset_import[0].version = 11
    image = np.random.default_rng(0).random((1, 3, 8, 8), dtype=np.float32)
    (expected,) = OnnxReference(made.SerializeToString())([image])
    draft = lowered(made, 10, 3, precision="int8")
    assert opset_of(draft.model) == 13
    assert draft.notices == ["rewritten from opset 11 to 13"]
    (got,) = OnnxReference(draft.model.SerializeToString())([image])
    np.testing.assert_array_equal(got, expected)


def test_an_old_opset_is_read_otherwise() -> None:
    made = zoo.convolution()
    made.opset_import[0].version = 11
    assert opset_of(lowered(made, 10, 3).model) == 11


def test_an_opset_that_no_parser_promises_is_raised() -> None:
    made = zoo.identity()
    made.opset_import[0].version = 8
    assert opset_of(lowered(made, 10, 3).model) == 9


def test_what_cannot_be_raised() -> None:
    made = parser.parse_model(
        '<ir_version: 3, opset_import: ["": 1]> g (float[2] x) => (float[2] y) { y = Mystery(x) }'
    )
    with pytest.raises(UnsupportedVersionError, match="opset 1, and cannot be brought to 9") as caught:
        lowered(made, 10, 3)
    assert caught.value.hint == "export the model again, for opset 13 or newer"


def test_what_cannot_be_said() -> None:
    made = parser.parse_model(
        '<ir_version: 8, opset_import: ["": 18]> g (int32[2] x) => (int32[2] y) { y = BitwiseNot(x) }'
    )
    with pytest.raises(OpsetTooNewError, match="BitwiseNot needs opset 18, the board's parser reads up to 13"):
        lowered(made, 8, 2)
