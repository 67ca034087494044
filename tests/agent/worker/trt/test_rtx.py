"""The building part of the runtime with NVIDIA's own library: TensorRT-RTX parses and builds on a CPU, no more."""

from pathlib import Path

import pytest
import zoo
from onnx import helper

from agent.worker.errors import ModelRefusedError, RuntimeMissingError
from agent.worker.runtimes._trt.building import TINY_ENGINE, build, parse
from agent.worker.runtimes._trt.module import TensorRt, open_tensorrt
from agent.worker.runtimes.base import Order
from host.specimens import write_specimens

# TensorRT-RTX calls timing caches deprecated and ignores them; the runtime uses them as TensorRT 8.2 to 11 do.
pytestmark = pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX:DeprecationWarning")
REFERENCE = Path(__file__).parents[4] / "compression" / "models"


@pytest.fixture(scope="module")
def rtx() -> TensorRt:
    try:
        opened = open_tensorrt()
    except RuntimeMissingError as error:
        pytest.skip(f"{error.message}: pip install 'boardfit[preflight]'")
    assert opened.version.startswith("RTX 1.")
    return opened


def order(source: Path, folder: Path, precision: str = "fp32") -> Order:
    return Order(str(source), str(folder / "model.engine"), str(folder / "timing.cache"), precision, False, 64 << 20)


def test_it_is_like_tensorrt_11(rtx: TensorRt) -> None:
    assert rtx.differences.names_tensors
    assert not rtx.differences.asks_explicit_batch
    assert not rtx.differences.has_precision_flags


@pytest.mark.parametrize(
    "name", ["autoencoder", "autoencoder-95", "transposed", "resized", "classifier"], ids=lambda name: name
)
def test_it_takes_and_builds_our_models_twice_with_what_it_measured(rtx: TensorRt, name: str, tmp_path: Path) -> None:
    write_specimens(tmp_path)
    source = tmp_path / f"{name}.onnx" if (tmp_path / f"{name}.onnx").exists() else REFERENCE / f"{name}.onnx"
    lines: list[str] = []
    assert parse(rtx, str(source)) == []
    for _ in range(2):
        build(rtx, order(source, tmp_path), lines.append)
        assert (tmp_path / "model.engine").stat().st_size > 10_000
        assert (tmp_path / TINY_ENGINE).stat().st_size > 1_000
    assert any("Engine generation completed" in line for line in lines)


def test_what_it_refuses_has_node_operator_and_reason(rtx: TensorRt, tmp_path: Path) -> None:
    fancy = zoo.model(
        [helper.make_node("Fancy", ["x"], ["y"], "act")], [zoo.tensor("x", (1, 3))], [zoo.tensor("y", (1, 3))]
    )
    (tmp_path / "fancy.onnx").write_bytes(fancy.SerializeToString())
    [problem, *_] = parse(rtx, str(tmp_path / "fancy.onnx"))
    assert (problem.node, problem.operator) == ("act", "Fancy")
    assert problem.reason
    with pytest.raises(ModelRefusedError, match="lacks an operator"):
        build(rtx, order(tmp_path / "fancy.onnx", tmp_path), lambda line: None)
    assert not (tmp_path / "model.engine").exists()


def test_half_precision_has_to_be_in_the_model(rtx: TensorRt, tmp_path: Path) -> None:
    with pytest.raises(ModelRefusedError, match="this one is float32"):
        build(rtx, order(REFERENCE / "autoencoder-95.onnx", tmp_path, "fp16"), lambda line: None)
