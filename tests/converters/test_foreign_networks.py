"""Networks and operators that we did not make: the light models and the operator cases in the onnx package."""

import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.backend.test
import pytest
from onnx import ModelProto, helper, numpy_helper, version_converter

from converters.compare import compare
from converters.convert import Converted
from converters.draft import Draft
from converters.errors import ConversionError, OpsetTooNewError
from converters.lowering import opset_of
from converters.plan import Target
from converters.reference import OnnxReference
from converters.steps import lower_opset_onnx, simplify_onnx

LIGHT = Path(onnx.backend.test.__file__).parent / "data" / "light"


def light(name: str) -> ModelProto:
    """A network of the ONNX model zoo with seeded weights in the place of its constants, and without the softmax at the
    end, which hides what comes before; in opset 22, as a newer exporter would write it.
    """
    made = onnx.load(LIGHT / f"light_{name}.onnx")
    graph, generator = made.graph, np.random.default_rng(0)
    shapes = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    used_by = {name: (node.op_type, index) for node in graph.node for index, name in enumerate(node.input)}
    nodes = []
    for node in graph.node:
        if node.op_type == "ConstantOfShape":
            values = _weights(generator, tuple(shapes[node.input[0]]), *used_by[node.output[0]])
            graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), node.output[0]))
        elif node.op_type != "Softmax":
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    read = {name for node in nodes for name in node.input}
    constants = [tensor for tensor in graph.initializer if tensor.name in read]
    image = next(value for value in graph.input if value.name in read and value.name not in shapes)
    output = helper.make_tensor_value_info(nodes[-1].output[0], 1, None)
    fresh = helper.make_graph(nodes, "light", [image], [output], constants)
    written = helper.make_model(fresh, opset_imports=made.opset_import, ir_version=8)
    return version_converter.convert_version(onnx.shape_inference.infer_shapes(written), 22)


def _weights(generator: np.random.Generator, shape: tuple[int, ...], operator: str, index: int) -> np.ndarray:
    """He's variance for kernels, so that no signal dies; scales and variances near 1, all else near 0."""
    values = generator.standard_normal(shape)
    if operator in ("Conv", "Gemm") and index == 1:
        return values * np.sqrt(2 / np.prod(shape[1:]))
    near_one = (operator, index) in (("BatchNormalization", 1), ("BatchNormalization", 4)) or operator == "Unsqueeze"
    return near_one + 0.1 * values


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet"])
def test_networks_of_the_model_zoo(
    name: str,
    convert_for_tensorrt: Callable[..., Converted],
    builds_in_tensorrt: Callable[[bytes], None],
) -> None:
    source = light(name)
    generator = np.random.default_rng(1)
    image = generator.random((1, 3, 224, 224), dtype=np.float32)
    expected = OnnxReference(source.SerializeToString())([image])
    converted = convert_for_tensorrt(source, "fp32", (8, 2, 1))
    assert opset_of(onnx.load_model_from_string(converted.model)) == 13
    assert compare([expected], [OnnxReference(converted.model)([image])]).sqnr_db > 100
    quantised = convert_for_tensorrt(source, "int8", (10, 3), [[image]])
    assert compare([expected], [OnnxReference(quantised.model)([image])]).sqnr_db > 20
    builds_in_tensorrt(converted.model)
    builds_in_tensorrt(quantised.model)


def operator_cases() -> list[Any]:
    """What onnx itself tests a runtime with: one operator each, with inputs."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # infinities and overflows on purpose
        return list(collect_testcases(None))


def test_operators_of_newer_opsets_compute_the_same_or_are_refused() -> None:
    """Each case is lowered to opset 13 and simplified. Lengths, axes and the like are made constants first, as
    exporters write them.
    """
    found: Counter[str] = Counter()
    wrong = []
    for case in operator_cases():
        model, inputs = ModelProto(), case.data_sets[0][0]
        model.CopyFrom(case.model)
        if opset_of(model) <= 13 or not all(isinstance(value, np.ndarray) for value in inputs):
            continue
        inputs = _fixed(model, [np.asarray(value) for value in inputs])
        draft = Draft(Path(case.name), {}, model, target=Target("trt", "fp32", (8, 2)))
        try:
            expected = OnnxReference(model.SerializeToString())(inputs)
        except ConversionError:  # not on the CPU, or not at all
            continue
        if not all(isinstance(value, np.ndarray) for value in expected):
            continue
        try:
            lower_opset_onnx.apply(draft)
        except OpsetTooNewError:
            found["refused"] += 1
            continue
        simplify_onnx.apply(draft)
        distance = compare([expected], [OnnxReference(draft.model.SerializeToString())(inputs)])
        found["same"] += 1
        if distance.sqnr_db < 80:
            wrong.append((case.name, distance))
    assert not wrong
    assert found["same"] > 400
    assert found["refused"] > 100


def _fixed(model: ModelProto, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Make constants of the inputs of integers but the first; the others are returned."""
    moving = [index for index, value in enumerate(inputs) if index == 0 or value.dtype != np.int64]
    values = list(model.graph.input)
    for index in set(range(len(inputs))) - set(moving):
        model.graph.initializer.append(numpy_helper.from_array(inputs[index], values[index].name))
        model.graph.input.remove(values[index])
    return [inputs[index] for index in moving]
