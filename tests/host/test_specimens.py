"""The small models that a board is tried with."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from contract.profile import read_profile
from host.converting import Request, make
from host.specimens import write_specimens

NAMES = ("transposed", "resized", "classifier")


@pytest.fixture(scope="module")
def specimens(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {path.stem: path for path in write_specimens(tmp_path_factory.mktemp("specimens"))}


def test_they_are_the_same_each_time(specimens: dict[str, Path], tmp_path: Path) -> None:
    """Another file would be another engine to build."""
    assert tuple(specimens) == NAMES
    for path in write_specimens(tmp_path):
        assert path.read_bytes() == specimens[path.stem].read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_each_is_small_valid_and_takes_images(specimens: dict[str, Path], name: str) -> None:
    model = onnx.load(specimens[name])
    onnx.checker.check_model(model, full_check=True)
    assert specimens[name].stat().st_size < 50_000
    assert [opset.version for opset in model.opset_import] == [13]  # the newest that TensorRT 8.2's parser knows
    session = onnxruntime.InferenceSession(specimens[name], providers=["CPUExecutionProvider"])
    [image], [output] = session.get_inputs(), session.get_outputs()
    assert (image.shape, image.type) == ([1, 3, 32, 32], "tensor(float)")
    noise = np.random.default_rng(0).random((2, 1, 3, 32, 32), np.float32)
    one, other = (session.run(None, {image.name: each})[0] for each in noise)
    assert one.shape == tuple(output.shape)
    assert np.isfinite(one).all()
    assert 0.001 < np.abs(one).max() < 100  # nothing that float16 cannot hold
    assert np.abs(one - other).max() > 1e-4  # it depends on its input: golden outputs say something


def test_among_them_is_what_inspection_networks_are_made_of(specimens: dict[str, Path]) -> None:
    operators = {name: {node.op_type for node in onnx.load(path).graph.node} for name, path in specimens.items()}
    assert {"Conv", "ConvTranspose"} <= operators["transposed"]
    assert {"Conv", "Resize", "Concat", "MaxPool", "Relu"} <= operators["resized"]
    assert {"Gemm", "Softmax", "GlobalAveragePool", "Flatten"} <= operators["classifier"]


@pytest.mark.parametrize("name", NAMES)
def test_each_can_be_deployed(specimens: dict[str, Path], name: str) -> None:
    bundle = make(Request(specimens[name], {}), read_profile("desktop"), lambda _step: None)
    assert bundle.manifest.golden.count > 0
