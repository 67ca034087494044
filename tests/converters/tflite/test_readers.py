"""Other readers of the same files: the last tflite-runtime, as old boards have TFLite, beside ai-edge-litert."""

import subprocess
from pathlib import Path
from typing import Any

import environments
import numpy as np
import pytest
import zoo
from onnx import ModelProto, helper, load, numpy_helper

from compression.data.capsule import photograph
from converters.artifact import Artifact
from converters.int8_options import Int8Options
from converters.tflite.conversion import Written, convert
from converters.tflite.interpreter import Interpreter, to_artifact

MODELS = Path(__file__).parents[3] / "compression" / "models"

_READ = """
import sys
import numpy as np
from tflite_runtime import interpreter as tflite

for name in sys.argv[1:]:
    given = np.load(name + ".npz")
    loaded = tflite.Interpreter(
        name + ".tflite", experimental_op_resolver_type=tflite.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    loaded.allocate_tensors()
    for number, detail in enumerate(loaded.get_input_details()):
        loaded.set_tensor(detail["index"], given["arr_%d" % number])
    loaded.invoke()
    np.savez(name + ".out.npz", *[loaded.get_tensor(detail["index"]) for detail in loaded.get_output_details()])
"""
"""For each file: its inputs are read from beside it, and its outputs written there."""


OLDER = next(environment for environment in environments.WORKERS if environment.name == "3.7")
"""With tflite-runtime 2.11, the last that the Edge TPU's own library of 2021 loads into."""


@pytest.fixture(scope="module", params=[environments.TFLITE, OLDER], ids=lambda environment: environment.name)
def old_python(request: pytest.FixtureRequest) -> str:
    if reason := environments.missing(request.param):
        pytest.skip(reason)
    return str(environments.interpreter(request.param))


def read(python: str, folder: Path, files: dict[str, tuple[Written, list[np.ndarray]]]) -> dict[str, list[np.ndarray]]:
    """What each file gives there, as integers."""
    for name, (written, case) in files.items():
        (folder / f"{name}.tflite").write_bytes(written.content)
        np.savez(folder / f"{name}.npz", *_integers(case, written.artifact))
    program = folder / "read.py"
    program.write_text(_READ)
    done = subprocess.run(
        [python, str(program), *(str(folder / name) for name in files)], capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stderr
    found = {}
    for name in files:
        with np.load(folder / f"{name}.out.npz") as outputs:
            found[name] = [outputs[f"arr_{number}"] for number in range(len(outputs.files))]
    return found


def _integers(case: list[np.ndarray], artifact: Artifact) -> list[np.ndarray]:
    return [to_artifact(values, tensor) for values, tensor in zip(case, artifact.inputs, strict=True)]


def here(written: Written, case: list[np.ndarray]) -> list[np.ndarray]:
    interpreter = Interpreter(written.content, written.artifact.inputs)
    interpreter.run(case)
    return [interpreter.integers(number) for number in interpreter.output_numbers]


def test_trained_models(old_python: str, tmp_path: Path) -> None:
    images = [
        [np.asarray(photograph(2000 + seed, size=128), np.float32).transpose(2, 0, 1)[None] / 255] for seed in range(4)
    ]
    files = {
        f"{name}-{io}": (convert(load(MODELS / f"{name}.onnx"), images, Int8Options(io=io)), images[0])
        for name in ("autoencoder", "autoencoder-95")
        for io in ("int8", "uint8")
    }
    for name, outputs in read(old_python, tmp_path, files).items():
        written, case = files[name]
        (tensor,) = written.artifact.outputs
        assert tensor.scale is not None
        steps = np.abs(outputs[0].astype(int) - here(written, case)[0].astype(int))
        assert steps.max() * tensor.scale < 0.02
        assert steps.mean() < 0.25


def test_every_operator_that_is_written(old_python: str, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    models = _models()
    files = {}
    for name, model in models.items():
        case = [generator.standard_normal(_shape(value)).astype(np.float32) for value in model.graph.input]
        files[name] = (convert(model, [case], Int8Options(io="uint8" if name == "line" else "int8")), case)
    written = {operator.builtin for made, _ in files.values() for operator in made.program.operators} | {"QUANTIZE"}
    from converters.tflite.program import VERSIONS

    assert written == VERSIONS.keys()
    for name, outputs in read(old_python, tmp_path, files).items():
        for old, new in zip(outputs, here(*files[name]), strict=True):
            assert np.abs(old.astype(int) - new.astype(int)).max() <= 2, name


def _shape(value: Any) -> list[int]:
    return [dim.dim_value for dim in value.type.tensor_type.shape.dim]


def _models() -> dict[str, ModelProto]:
    image = zoo.tensor("x", (1, 4, 8, 8))
    kernel, turned = zoo.weights("w", 4, 4, 3, 3), zoo.weights("t", 4, 4, 4, 4, seed=1)
    grouped = zoo.weights("g", 4, 2, 3, 3)
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    down = zoo.weights("d", 4, 3)
    pads = numpy_helper.from_array(np.array([0, 0, 1, 1] * 2), "pads")
    node = helper.make_node
    corner = {"mode": "linear", "coordinate_transformation_mode": "asymmetric"}
    single = {
        "conv": [node("Conv", ["x", "w"], ["a"], strides=[2, 2], pads=[1] * 4), node("Relu", ["a"], ["y"])],
        "groups": [node("Conv", ["x", "g"], ["y"], group=2)],
        "transposed": [node("ConvTranspose", ["x", "t"], ["y"], strides=[2, 2], pads=[1] * 4)],
        "cropped": [node("ConvTranspose", ["x", "t"], ["y"], strides=[1, 1], pads=[1] * 4)],
        "pools": [
            node("MaxPool", ["x"], ["a"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4),
            node("AveragePool", ["a"], ["y"], kernel_shape=[2, 2]),
        ],
        "smooth": [node("Resize", ["x", "", "scales"], ["y"], mode="linear")],
        "corner": [node("Resize", ["x", "", "scales"], ["y"], **corner)],
        "arithmetic": [
            node("Relu", ["x"], ["r"]),
            node("Add", ["x", "r"], ["a"]),
            node("Mul", ["a", "x"], ["m"]),
            node("Sub", ["m", "r"], ["s"]),
            node("LeakyRelu", ["s"], ["y"]),
        ],
        "curves": [
            node("Sigmoid", ["x"], ["a"]),
            node("Tanh", ["x"], ["b"]),
            node("Concat", ["a", "b", "x"], ["y"], axis=1),
        ],
        "classifier": [
            node("Pad", ["x", "pads"], ["b"]),
            node("GlobalAveragePool", ["b"], ["a"]),
            node("Flatten", ["a"], ["f"]),
            node("Gemm", ["f", "d"], ["z"]),
            node("Softmax", ["z"], ["y"], axis=-1),
        ],
        "line": [node("Relu", ["x"], ["y"])],
    }
    constants = {value.name: value for value in (kernel, turned, grouped, scales, down, pads)}
    return {
        name: zoo.model(
            nodes,
            [image],
            [zoo.tensor("y", None)],
            [value for key, value in constants.items() if any(key in part.input for part in nodes)],
        )
        for name, nodes in single.items()
    }
