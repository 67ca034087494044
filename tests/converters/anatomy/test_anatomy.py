"""What files consist of, by hand."""

from pathlib import Path

import edge_tpu_files
import numpy as np
import onnx
import pytest
import tflite
import tflite_models
import zoo
from onnx import TensorProto, helper
from tflite_models import Operator, T

from converters.anatomy.anatomy import Anatomy, OperatorFigures, TensorFigures
from converters.anatomy.cache import CACHE_BYTES, CacheEstimate, estimate_cache
from converters.anatomy.inspect import inspect_file
from converters.anatomy.memory import peak_activations
from converters.anatomy.onnx_macs import is_counted, of_model, of_node
from converters.errors import ConversionError, NotOnnxError, UnreadableModelError
from converters.facts import facts_of
from converters.tflite_file import NotTfliteError


def anatomy(content: bytes, folder: Path, name: str = "model.tflite") -> Anatomy:
    path = folder / name
    path.write_bytes(content)
    return inspect_file(path)


def by_name(found: Anatomy) -> dict[str, OperatorFigures]:
    return {operator.name: operator for operator in found.operators}


def test_of_an_int8_file(tmp_path: Path) -> None:
    found = anatomy(edge_tpu_files.source(), tmp_path)
    assert (found.form, found.version) == ("tflite", "TFLite schema 3")
    assert found.operators == (
        OperatorFigures("CONV_2D", 1, (3,), 128 + 16, 4 * 4 * 16 * 8),
        OperatorFigures("LOGISTIC", 1, (2,), 0, 0),
        OperatorFigures("RELU", 1, (2,), 0, 0),
    )
    assert (found.parameters, found.parameter_bytes, found.macs) == (144, 128 + 4 * 16, 2048)
    assert found.peak_activation_bytes == 2 * 4 * 4 * 16
    assert found.inputs == (TensorFigures("x", "int8", (1, 4, 4, 8), 0.5, 3),)
    assert found.outputs == (TensorFigures("y", "int8", (1, 4, 4, 16), 1 / 256, -128),)
    assert found.cache == CacheEstimate(192, 0)
    assert found.packages is None
    assert found.will_not_map == ()


def test_of_a_compiled_file(tmp_path: Path) -> None:
    content = edge_tpu_files.compiled(edge_tpu_files.source(), cached=900, streamed=80)
    found = anatomy(content, tmp_path, "model_edgetpu.tflite")
    assert (found.form, found.macs, found.cache) == ("edgetpu", None, None)
    assert found.packages is not None
    assert (found.packages.cached_bytes, found.packages.streamed_bytes) == (900, 80)
    assert "inside the Edge TPU's operator" in found.notes[0]


def test_a_float_file_gets_no_estimate(tmp_path: Path) -> None:
    found = anatomy(tflite_models.product(4, 2), tmp_path)
    assert (found.parameters, found.macs, found.cache) == (8, 8, None)


def test_what_an_edge_tpu_would_not_run_is_told(tmp_path: Path) -> None:
    x, y = (T(name, "int8", (1, 4, 4, 2), (0.5, 3)) for name in "xy")
    slopes = T("s", "int8", (4, 1, 2), (0.5, 0), np.ones((4, 1, 2), np.int8))
    content = tflite_models.make([x, slopes, y], [Operator(tflite.BuiltinOperator.PRELU, (0, 1), (2,))], [0], [2])
    (reason,) = anatomy(content, tmp_path).will_not_map
    assert "PRELU" in reason


def convolutional(form: str) -> bytes:
    """Multiply-adds of each operator that has a kernel: 2 x 3 places in, 4 x 6 out where it is transposed."""
    kernel, before, after = {
        "CONV_2D": ((5, 3, 3, 4), (1, 2, 3, 4), (1, 2, 3, 5)),
        "DEPTHWISE_CONV_2D": ((1, 3, 3, 8), (1, 2, 3, 4), (1, 2, 3, 8)),
        "TRANSPOSE_CONV": ((5, 2, 2, 4), (1, 2, 3, 4), (1, 4, 6, 5)),
        "FULLY_CONNECTED": ((5, 4), (1, 4), (1, 5)),
    }[form]
    tensors = [
        T("x", "int8", before, (0.5, 0)),
        T("w", "int8", kernel, (0.5, 0), np.ones(kernel, np.int8)),
        T("y", "int8", after, (0.5, 0)),
        T("shape", "int32", (4,), None, np.array([1, 4, 6, 5], np.int32)),
    ]
    inputs = (3, 1, 0) if form == "TRANSPOSE_CONV" else (0, 1, -1)
    return tflite_models.make(tensors, [Operator(getattr(tflite.BuiltinOperator, form), inputs, (2,))], [0], [2])


@pytest.mark.parametrize(
    ("form", "macs", "parameters"),
    [
        ("CONV_2D", 6 * 5 * 9 * 4, 180),
        ("DEPTHWISE_CONV_2D", 6 * 8 * 9, 72),
        ("TRANSPOSE_CONV", 6 * 4 * 5 * 4, 80),
        ("FULLY_CONNECTED", 20, 20),
    ],
)
def test_multiply_adds_of_tflite(form: str, macs: int, parameters: int, tmp_path: Path) -> None:
    found = by_name(anatomy(convolutional(form), tmp_path))[form]
    assert (found.macs, found.parameters) == (macs, parameters)


ONNX_CASES = {
    "Conv": ({"pads": [1, 1, 1, 1]}, (6, 4, 3, 3), (1, 4, 5, 7), 5 * 7 * 6 * 4 * 9),
    "Conv grouped": ({"pads": [1, 1, 1, 1], "group": 2}, (6, 2, 3, 3), (1, 4, 5, 7), 5 * 7 * 6 * 2 * 9),
    "ConvTranspose": ({"strides": [2, 2]}, (4, 6, 2, 2), (1, 4, 5, 7), 5 * 7 * 4 * 6 * 4),
    "Gemm": ({}, (4, 6), (3, 4), 72),
    "Gemm turned": ({"transA": 1}, (4, 6), (4, 3), 72),
    "MatMul": ({}, (4, 6), (2, 3, 4), 144),
}


@pytest.mark.parametrize("name", ONNX_CASES)
def test_multiply_adds_of_onnx(name: str, tmp_path: Path) -> None:
    attributes, kernel, shape, macs = ONNX_CASES[name]
    node = helper.make_node(name.split()[0], ["x", "w"], ["y"], **attributes)
    model = zoo.model([node], [zoo.tensor("x", shape)], [zoo.tensor("y", None)], [zoo.weights("w", *kernel)])
    found = anatomy(model.SerializeToString(), tmp_path, "model.onnx")
    assert (found.macs, found.parameters) == (macs, np.prod(kernel))


def branching(*operators: str) -> onnx.ModelProto:
    """Both branches of an If have these one after the other."""
    names = ["x", *(f"v{number}" for number in range(len(operators)))]
    nodes = [
        helper.make_node(operator, [before, "w"] if operator == "MatMul" else [before], [after])
        for operator, before, after in zip(operators, names, names[1:], strict=False)
    ]
    branches = {
        f"{which}_branch": zoo.graph(which, nodes, [zoo.tensor(names[-1], (4, 4))]) for which in ("then", "else")
    }
    node = helper.make_node("If", ["flag"], ["y"], **branches)
    inputs = [zoo.tensor("x", (4, 4)), zoo.tensor("flag", (), TensorProto.BOOL)]
    return zoo.model([node], inputs, [zoo.tensor("y", (4, 4))], [zoo.weights("w", 4, 4)])


def recurrent() -> onnx.ModelProto:
    """A GRU between a product and an activation."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("GRU", ["a", "k", "r"], ["", "b"], hidden_size=2),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    constants = [zoo.weights("w", 4, 4), zoo.weights("k", 1, 6, 4), zoo.weights("r", 1, 6, 2)]
    return zoo.model(nodes, [zoo.tensor("x", (5, 1, 4))], [zoo.tensor("y", (1, 1, 2))], constants)


NOT_COUNTED = {
    "GRU": recurrent(),
    "Frobnicate": zoo.unknown_operator(),
    "com.acme.Relu": zoo.model(
        [helper.make_node("Relu", ["x"], ["y"], domain="com.acme")],
        [zoo.tensor("x", (4,))],
        [zoo.tensor("y", (4,))],
        domains={"com.acme": 1},
    ),
}


@pytest.mark.parametrize("operator", NOT_COUNTED)
def test_operators_whose_multiply_adds_nobody_counts(operator: str) -> None:
    model = NOT_COUNTED[operator]
    node = next(node for node in model.graph.node if node.op_type == operator.split(".")[-1])
    assert of_node(node, facts_of(model)) is None
    assert not is_counted(node)
    assert of_model(model) is None


def test_what_is_not_counted_is_told_and_the_rest_is_figured(tmp_path: Path) -> None:
    found = anatomy(recurrent().SerializeToString(), tmp_path, "model.onnx")
    assert {name: operator.macs for name, operator in by_name(found).items()} == {"MatMul": 80, "GRU": None, "Relu": 0}
    assert found.macs is None
    assert found.notes == ("multiply-adds of GRU are not counted, so that the model's are not known",)


def test_how_often_a_body_runs_is_not_known(tmp_path: Path) -> None:
    assert of_model(branching("Relu", "Neg")) == 0
    assert of_model(branching("Relu", "MatMul")) is None
    found = anatomy(branching("MatMul").SerializeToString(), tmp_path, "model.onnx")
    assert by_name(found)["MatMul"].macs == 2 * 64
    assert (found.macs, len(found.notes)) == (None, 1)


def test_every_operator_is_counted_or_has_none_or_is_a_known_exception() -> None:
    """By the names in ONNX: one that comes later is not known until somebody has looked at it."""
    names = {schema.name for schema in onnx.defs.get_all_schemas_with_history() if not schema.domain}
    unknown = {name for name in names if not is_counted(onnx.NodeProto(op_type=name))}
    products = {
        "Attention",
        "ConvInteger",
        "DeformConv",
        "Einsum",
        "GRU",
        "LSTM",
        "MatMulInteger",
        "QLinearConv",
        "RNN",
    }
    assert products <= unknown
    assert not unknown & {"Relu", "Resize", "MaxPool", "BatchNormalization", "Softmax", "Concat", "Conv", "Gemm"}


def test_of_a_custom_operator_of_tflite(tmp_path: Path) -> None:
    """Whatever it is called."""
    x, y = (T(name, "int8", (1, 4), (0.5, 3)) for name in "xy")
    content = tflite_models.make([x, y], [Operator("ADD", (0,), (1,))], [0], [1])
    found = anatomy(content, tmp_path)
    assert (by_name(found)["ADD"].macs, found.macs) == (None, None)
    assert found.notes == ("multiply-adds of ADD are not counted, so that the model's are not known",)


def test_tensors_of_one_buffer_are_counted_once(tmp_path: Path) -> None:
    """As a converter writes equal constants: the second kernel lies where the first one does."""
    x, y = (T(name, "int8", (1, 4), (0.5, 3)) for name in "xy")
    kernels = [T(name, "int8", (4, 4), (0.5, 0), np.full((4, 4), fill, np.int8)) for name, fill in (("v", 1), ("w", 2))]
    operators = [Operator(tflite.BuiltinOperator.FULLY_CONNECTED, (0, place, -1), (3,)) for place in (1, 2)]
    content = bytearray(tflite_models.make([x, *kernels, y], operators, [0], [3]))
    found = anatomy(bytes(content), tmp_path)
    assert (found.parameters, found.parameter_bytes) == (32, 32)
    second = tflite.Model.GetRootAs(content).Subgraphs(0).Tensors(2)._tab
    content[second.Pos + second.Offset(8)] = 1
    found = anatomy(bytes(content), tmp_path)
    assert (found.parameters, found.parameter_bytes) == (16, 16)
    assert by_name(found)["FULLY_CONNECTED"].macs == 32


def test_of_an_onnx_file(tmp_path: Path) -> None:
    """A kernel that two layers share is counted once, sizes not at all, and a symbol leaves the sums unknown."""
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["a"]),
        helper.make_node("Gemm", ["a", "w"], ["b"]),
        helper.make_node("Reshape", ["b", "sizes"], ["y"]),
    ]
    sizes = helper.make_tensor("sizes", TensorProto.INT64, (2,), (-1, 2))
    constants = [zoo.weights("w", 4, 4), sizes]
    model = zoo.model(nodes, [zoo.tensor("x", ("batch", 4))], [zoo.tensor("y", (None, 2))], constants)
    found = anatomy(model.SerializeToString(), tmp_path, "model.onnx")
    assert (found.form, found.version) == ("onnx", "ONNX opset 13, IR 8")
    assert (found.parameters, found.parameter_bytes) == (16, 64)
    assert [(operator.name, operator.count, operator.parameters) for operator in found.operators] == [
        ("Gemm", 2, 16),
        ("Reshape", 1, 0),
    ]
    assert (found.macs, found.peak_activation_bytes) == (None, None)
    assert found.inputs == (TensorFigures("x", "float32", ("batch", 4)),)


def test_the_peak_of_activations() -> None:
    """x (10) -> a (20) -> b (5); a and b -> c (1): at the second step x is gone, a stays for the third."""
    sizes: dict[str, int | None] = {"x": 10, "a": 20, "b": 5, "c": 1}
    steps = [(["x"], ["a"]), (["a"], ["b"]), (["a", "b"], ["c"])]
    assert peak_activations(steps, sizes, ["x"], ["c"]) == 30
    assert peak_activations(steps, {**sizes, "b": 15}, ["x"], ["c"]) == 36
    assert peak_activations(steps, sizes, ["x"], ["x", "c"]) == 36
    assert peak_activations(steps, {**sizes, "a": None}, ["x"], ["c"]) is None
    assert peak_activations([], sizes, ["x"], ["x"]) == 10


def test_the_estimate_fills_the_chip_and_streams_the_rest() -> None:
    assert estimate_cache(100) == CacheEstimate(100, 0)
    assert estimate_cache(CACHE_BYTES + 5) == CacheEstimate(CACHE_BYTES, 5)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.txt", b"hello", NotOnnxError),
        ("a.onnx", b"", NotOnnxError),
        ("a.tflite", b"hello", NotTfliteError),
        ("a.tflite", b"", NotTfliteError),
        ("a.onnx", edge_tpu_files.source()[:50], NotTfliteError),
    ],
)
def test_what_is_no_model(name: str, content: bytes, kind: type[ConversionError], tmp_path: Path) -> None:
    with pytest.raises(kind) as caught:
        anatomy(content, tmp_path, name)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["missing.onnx", ".", "nul\0.tflite"])
def test_what_cannot_be_read(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableModelError):
        inspect_file(tmp_path / name)


def test_every_cut_and_every_changed_byte_is_an_answer_or_an_error_of_ours(tmp_path: Path) -> None:
    content = convolutional("CONV_2D")
    random = np.random.default_rng(0)
    broken = 0
    for _ in range(600):
        changed = bytearray(content)
        for place in random.integers(0, len(content), random.integers(1, 6)):
            changed[place] = random.choice([0, 1, 4, 127, 128, 255, random.integers(256)])
        try:
            anatomy(bytes(changed), tmp_path)
        except ConversionError:
            broken += 1
    assert broken > 100
