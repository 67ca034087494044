"""The parser: what it takes, what it refuses, and in which words."""

from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
import zoo
from onnx import TensorProto, helper
from tensorrt_stand_in import driving, models

PLUGIN = 'creator && "Plugin not found, are the plugin name, version, and namespace correct?"'
OLDER = ("8.2", "8.5", "8.6")


def test_a_network_after_parsing(trt: ModuleType) -> None:
    network, parser = driving.parse(trt, zoo.convolution(), driving.new_log(trt))
    assert parser.num_errors == 0
    assert (network.num_inputs, network.num_outputs, network.num_layers, len(network)) == (1, 1, 2, 2)
    image, features = network.get_input(0), network.get_output(0)
    assert (image.name, tuple(image.shape), image.dtype) == ("image", (1, 3, 8, 8), trt.float32)
    assert (features.name, tuple(features.shape)) == ("map", (1, 4, 8, 8))
    assert (image.is_network_input, image.is_network_output) == (True, False)
    assert [network.get_layer(index).name for index in range(2)] == ["conv", "relu"]
    assert network[1].get_output(0).name == "map"
    with pytest.raises(trt._pybind.NotModelledError):
        image.name = "other"
    assert network.get_layer(2) is None
    assert network.get_input(-1) is None
    with pytest.raises(IndexError):
        _ = network[2]


@pytest.mark.parametrize("version", OLDER, indirect=True)
def test_an_implicit_batch_is_refused(trt: ModuleType) -> None:
    network, parser = driving.parse(trt, zoo.convolution(), driving.new_log(trt), flags=0)
    assert network is None
    assert str(parser.get_error(0)) == (
        "In node -1 (importModel): INVALID_VALUE: Assertion failed: "
        "!_importer_ctx.network()->hasImplicitBatchDimension() && "
        '"This version of the ONNX parser only supports TensorRT INetworkDefinitions with an explicit batch dimension. '
        'Please ensure the network was created using the EXPLICIT_BATCH NetworkDefinitionCreationFlag."'
    )
    assert parser.get_error(0).code() == trt.ErrorCode.INVALID_VALUE
    assert (parser.num_errors, parser.get_error(0).node()) == (1, -1)


@pytest.mark.parametrize("version", ["10.3", "10.16", "11"], indirect=True)
def test_from_10_on_every_batch_is_explicit(trt: ModuleType) -> None:
    network, _ = driving.parse(trt, zoo.convolution(), driving.new_log(trt), flags=0)
    assert not network.has_implicit_batch_dimension


@pytest.mark.parametrize("version", OLDER, indirect=True)
def test_an_operator_without_importer_in_8(trt: ModuleType) -> None:
    log = driving.new_log(trt)
    network, parser = driving.parse(trt, models.chain("Relu", "Frobnicate", "Frobnicate"), log)
    assert network is None
    assert parser.num_errors == 1, "it stops at the first"
    error = parser.get_error(0)
    said = f"In node 1 (importFallbackPluginImporter): UNSUPPORTED_NODE: Assertion failed: {PLUGIN}"
    assert (str(error), repr(error)) == (said, said)
    assert (error.code(), error.node()) == (trt.ErrorCode.UNSUPPORTED_NODE, 1)
    assert (error.file(), error.line()) == ("builtin_op_importers.cpp", 4643)
    assert (error.func(), error.desc()) == ("importFallbackPluginImporter", f"Assertion failed: {PLUGIN}")
    assert not hasattr(error, "node_name")
    assert "No importer registered for op: Frobnicate. Attempting to import as plugin." in log.texts("INFO")
    assert log.texts("ERROR") == ["3: getPluginCreator could not find plugin: Frobnicate version: 1"]


@pytest.mark.parametrize("version", ["10.3", "10.16", "11"], indirect=True)
def test_an_operator_without_importer_from_10_on(trt: ModuleType) -> None:
    log = driving.new_log(trt)
    network, parser = driving.parse(trt, models.chain("Relu", "Frobnicate", "Frobnicate"), log)
    assert network is None
    assert parser.num_errors == 2, "the static checks find all"
    error = parser.get_error(0)
    assert str(error) == (
        f"In node 1 with name: node1 and operator: Frobnicate (checkFallbackPluginImporter): INVALID_NODE: {PLUGIN}"
    )
    assert (error.code(), error.node()) == (trt.ErrorCode.INVALID_NODE, 1)
    assert (error.node_name(), error.node_operator()) == ("node1", "Frobnicate")
    assert (error.local_function_stack(), error.local_function_stack_size()) == ([], 0)
    missing = "Cannot find plugin: Frobnicate, version: 1, namespace:."
    assert log.texts("ERROR") == [f"IPluginRegistry::getCreator: Error Code 4: API Usage Error ({missing})"] * 2


@pytest.mark.parametrize(
    ("operator", "since"),
    [("Round", "8.2"), ("Shrink", "8.5"), ("IsInf", "8.6"), ("Hardmax", "10.3"), ("Mish", "10.16"), ("BitShift", None)],
)
def test_which_version_has_an_importer(trt: ModuleType, operator: str, since: str | None) -> None:
    expected = since is not None and trt.tensorrt._table.since(since)
    parser = driving.parse(trt, zoo.convolution(), driving.new_log(trt))[1]
    assert parser.supports_operator(operator) == expected
    network, _ = driving.parse(trt, models.chain(operator), driving.new_log(trt))
    assert (network is not None) == expected


def test_an_operator_inside_a_branch(trt: ModuleType) -> None:
    _, parser = driving.parse(trt, models.lacking_inside(), driving.new_log(trt))
    assert parser.get_error(0).node() == 0
    assert PLUGIN in parser.get_error(0).desc()


def test_no_onnx(trt: ModuleType) -> None:
    for content in (b"\xff" * 40, b"hello", zoo.convolution().SerializeToString()[:-9]):
        _, parser = driving.parse(trt, content, driving.new_log(trt))
        assert parser.num_errors == 1
        assert parser.get_error(0).code() == trt.ErrorCode.MODEL_DESERIALIZE_FAILED
        assert "Failed to parse the ONNX model." in parser.get_error(0).desc()


def test_errors_can_be_cleared(trt: ModuleType) -> None:
    _, parser = driving.parse(trt, b"hello", driving.new_log(trt))
    assert parser.get_error(1) is None
    parser.clear_errors()
    assert parser.num_errors == 0


def test_a_file(trt: ModuleType, tmp_path: Path) -> None:
    log = driving.new_log(trt)
    network = driving.network(trt, log)
    path = zoo.save(zoo.convolution(), tmp_path)
    assert trt.OnnxParser(network, log.logger).parse_from_file(str(path))
    assert network.num_layers == 2


def test_a_file_that_is_not_there(trt: ModuleType, version: str, tmp_path: Path) -> None:
    log = driving.new_log(trt)
    parser = trt.OnnxParser(driving.network(trt, log), log.logger)
    path = str(tmp_path / "none.onnx")
    assert not parser.parse_from_file(path)
    assert parser.num_errors == 0, "it is in the logger alone"
    assert log.texts("ERROR")[0].endswith(
        f"Failed to parse ONNX model from file: {path}{'' if version in OLDER else '!'}"
    )


def test_errors_of_a_file_are_logged_too(trt: ModuleType, tmp_path: Path) -> None:
    log = driving.new_log(trt)
    path = zoo.save(models.chain("Frobnicate"), tmp_path)
    parser = trt.OnnxParser(driving.network(trt, log), log.logger)
    assert not parser.parse_from_file(str(path))
    assert 'ModelImporter.cpp:773: While parsing node number 0 [Frobnicate -> "y"]:' in log.texts("ERROR")
    error = parser.get_error(0)
    place = f"{error.file()}:{error.line()} In function {error.func()}:\n[{int(error.code())}] {error.desc()}"
    assert log.texts("ERROR")[-1] == f"ModelImporter.cpp:779: ERROR: {place}"


def test_constants_in_another_file(trt: ModuleType, tmp_path: Path) -> None:
    inside = zoo.convolution().SerializeToString()
    path = zoo.save_external(zoo.convolution(), tmp_path)
    log = driving.new_log(trt)
    network = driving.network(trt, log)
    assert trt.OnnxParser(network, log.logger).parse_from_file(str(path))
    images = {"image": driving.random(1, 3, 8, 8)}
    plan = trt.Builder(log.logger).build_serialized_network(network, driving.plain_config(trt, network, log))
    path.with_name("model.onnx.data").unlink()
    results = driving.run(trt, driving.load(trt, plan), images)
    assert np.array_equal(results["map"], driving.by_onnx_runtime(onnx.load_from_string(inside), images)["map"])


def test_bytes_alone_have_no_other_files(trt: ModuleType, tmp_path: Path) -> None:
    path = zoo.save_external(zoo.convolution(), tmp_path)
    log = driving.new_log(trt)
    network, parser = driving.parse(trt, path.read_bytes(), log)
    assert network is None
    assert "Failed to import initializer." in parser.get_error(0).desc()
    assert log.texts("ERROR") == ["Failed to open file: model.onnx.data"]
    again = trt.OnnxParser(driving.network(trt, log), log.logger)
    assert again.parse(path.read_bytes(), str(path)), "with the model's path they are found"


@pytest.mark.parametrize(
    ("element", "names"),
    [
        (TensorProto.FLOAT, {"8.2": "FLOAT"}),
        (TensorProto.FLOAT16, {"8.2": "HALF"}),
        (TensorProto.INT8, {"8.2": "INT8"}),
        (TensorProto.INT32, {"8.2": "INT32"}),
        (TensorProto.BOOL, {"8.2": "BOOL"}),
        (TensorProto.DOUBLE, {"8.2": "FLOAT"}),
        (TensorProto.UINT8, {"8.5": "UINT8"}),
        (TensorProto.INT64, {"8.2": "INT32", "10.3": "INT64"}),
        (TensorProto.UINT16, {}),
    ],
)
def test_types_of_inputs(trt: ModuleType, element: int, names: dict[str, str]) -> None:
    expected = [name for since, name in names.items() if trt.tensorrt._table.since(since)][-1:]
    network, parser = driving.parse(trt, models.typed(element), driving.new_log(trt))
    if expected:
        assert network.get_input(0).dtype.name == expected[0]
    else:
        assert network is None
        assert "Failed to convert ONNX date type to TensorRT data type." in parser.get_error(0).desc()


def test_int64_constants(trt: ModuleType, version: str) -> None:
    log = driving.new_log(trt)
    assert driving.parse(trt, models.cast_to_int64(), log)[0] is not None
    warned = "Attempting to cast down to INT32." in " ".join(log.texts("WARNING"))
    assert warned == (version in OLDER)
    assert ("Make sure output y has Int64 binding." in " ".join(log.texts("WARNING"))) == (version not in OLDER)


@pytest.mark.parametrize(("opset", "warns"), [(6, True), (7, False), (13, False), (19, False)])
def test_opsets_are_never_refused(trt: ModuleType, opset: int, warns: bool) -> None:
    log = driving.new_log(trt)
    node = helper.make_node("Relu", ["x"], ["y"])
    made = zoo.model([node], [zoo.tensor("x", (1, 4))], [zoo.tensor("y", (1, 4))], opset=opset)
    assert driving.parse(trt, made, log)[0] is not None
    assert bool(log.texts("WARNING")) == warns


def test_zero_points_must_be_zero(trt: ModuleType) -> None:
    assert driving.parse(trt, models.quantised(), driving.new_log(trt))[0] is not None
    network, parser = driving.parse(trt, models.quantised(zero_point=3), driving.new_log(trt))
    assert network is None
    said = 'shiftIsAllZeros(zeroPoint) && "TRT only supports symmetric quantization - zeroPt must be all zeros"'
    assert said in parser.get_error(0).desc()


def test_what_a_parser_says_of_a_model(trt: ModuleType, version: str) -> None:
    log = driving.new_log(trt)
    parser = trt.OnnxParser(driving.network(trt, log), log.logger)
    content = models.chain("Relu", "Frobnicate", "Relu").SerializeToString()
    if version in ("10.16", "11"):
        assert hasattr(parser, "supports_model") == (version != "11")
    if hasattr(parser, "supports_model"):
        assert parser.supports_model(content) == (False, [([0], False), ([2], False)])
        parser.clear_errors()
    if version not in OLDER:
        assert not parser.supports_model_v2(content)
        assert [parser.get_subgraph_nodes(index) for index in range(parser.num_subgraphs)] == [[0], [2]]
        assert not parser.is_subgraph_supported(0)


@pytest.mark.parametrize("version", ["10.3", "11"], indirect=True)
def test_a_network_takes_one_model(trt: ModuleType) -> None:
    log = driving.new_log(trt)
    _, parser = driving.parse(trt, zoo.convolution(), log)
    assert not parser.parse(zoo.convolution().SerializeToString())
    assert log.texts("ERROR") == ["ModelImporter.cpp: Parse was called with a non-empty network definition"]


@pytest.mark.parametrize("version", ["8.6", "10.3", "11"], indirect=True)
def test_flags_of_the_parser(trt: ModuleType, version: str) -> None:
    parser = driving.parse(trt, zoo.convolution(), driving.new_log(trt))[1]
    flag = trt.OnnxParserFlag.NATIVE_INSTANCENORM
    assert parser.get_flag(flag) == (version != "8.6")
    parser.set_flag(flag)
    assert (parser.get_flag(flag), parser.flags) == (True, 1)
    parser.clear_flag(flag)
    assert parser.flags == 0
