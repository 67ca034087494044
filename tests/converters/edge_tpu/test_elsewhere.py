"""A model that the user has compiled elsewhere."""

from pathlib import Path

import edge_tpu_files
import pytest
import tflite
from edge_tpu_files import COMPILER_VERSION, compiled, source

from converters.edge_tpu.compile import Compiled, compile_for_edge_tpu
from converters.edge_tpu.compiler import Compiler
from converters.edge_tpu.errors import CompiledFileError, EdgeTpuError, OtherModelError
from converters.edge_tpu.report import EdgeTpuReport, Row

# As in https://github.com/google-coral/edgetpu/issues/393, with our own operators.
LOG = """\
Edge TPU Compiler version 16.0.384591198
Input: model.tflite
Output: model_edgetpu.tflite

Operator                       Count      Status

CONV_2D                        1          Mapped to Edge TPU
RELU                           1          Mapped to Edge TPU
LOGISTIC                       1          More than one subgraph is not supported
"""
LEFT = (tflite.BuiltinOperator.LOGISTIC,)


def given(path: Path, content: bytes, log: str | None = None) -> Compiled:
    path.write_bytes(content)
    if log is not None:
        path.with_suffix(".log").write_text(log)
    return compile_for_edge_tpu(source(), Compiler(compiled=path))


def test_all_figures_are_in_the_file(tmp_path: Path) -> None:
    content = compiled(source(), cached=5000, streamed=300, left=LEFT)
    done = given(tmp_path / "model_edgetpu.tflite", content)
    assert done.content == content
    assert done.report == EdgeTpuReport(COMPILER_VERSION, 3, 1, 1, 5000, None, 300, 14)
    assert done.report.notices == (
        "Edge TPU: 2 of 3 operators run there, in 1 part",
        "Edge TPU: 4.88 KiB of parameters stay on the chip, 300 B are streamed at each inference",
    )


def test_the_log_beside_it_tells_the_reasons(tmp_path: Path) -> None:
    report = given(tmp_path / "m_edgetpu.tflite", compiled(source(), left=LEFT), LOG).report
    assert report.rows[0] == Row("CONV_2D", 1, "Mapped to Edge TPU")
    assert report.notices[-1].startswith("Edge TPU: 1 LOGISTIC on the CPU: more than one subgraph is not supported")


def test_a_log_of_another_model_is_left_out(tmp_path: Path) -> None:
    assert given(tmp_path / "m_edgetpu.tflite", compiled(source()), LOG.replace("1    ", "7    ")).report.rows == ()


def test_a_package_that_caches_nothing_streams_all(tmp_path: Path) -> None:
    report = given(tmp_path / "m.tflite", compiled(source(), stand_alone=700)).report
    assert (report.on_chip_bytes, report.streamed_bytes) == (0, 700)


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (source(), CompiledFileError, "is not compiled for the Edge TPU"),
        (compiled(source(0.75)), OtherModelError, "x 0.75"),
        (b"", CompiledFileError, "is not understood"),
        (b"not a model at all", CompiledFileError, "is not understood"),
        (compiled(source())[:300], CompiledFileError, "is not understood"),
    ],
)
def test_a_file_that_cannot_be_it(tmp_path: Path, content: bytes, kind: type[EdgeTpuError], words: str) -> None:
    with pytest.raises(kind) as caught:
        given(tmp_path / "m.tflite", content)
    assert words in caught.value.message
    assert caught.value.uncompiled == source()


@pytest.mark.parametrize("name", ["missing.tflite", "."])
def test_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(CompiledFileError, match="is no file"):
        compile_for_edge_tpu(source(), Compiler(compiled=tmp_path / name))


def test_the_compiler_is_not_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edge_tpu_files.Compiler(tmp_path, monkeypatch)
    given(tmp_path / "m.tflite", compiled(source()))
    assert not (tmp_path / "notes").exists()
