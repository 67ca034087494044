"""Compiling for the Edge TPU, with a stand-in that replays what the real compiler prints (recorded/*.txt tell where
from).
"""

import os
import signal
import threading
from pathlib import Path

import edge_tpu_files
import numpy as np
import processes
import pytest
import zoo
from edge_tpu_files import compiled, source

from converters.convert import convert
from converters.edge_tpu import compiler as compiling
from converters.edge_tpu import errors
from converters.edge_tpu.compile import compile_for_edge_tpu
from converters.edge_tpu.compiler import Compiler
from converters.edge_tpu.output import rows_of
from converters.edge_tpu.report import EdgeTpuReport, Row
from converters.plan import Target
from converters.steps import edgetpu_from_tflite

RECORDED = Path(__file__).parent / "recorded"
MAPPED = "Mapped to Edge TPU"

FAILURES = {
    "conv_2d_6": (errors.OperatorVersionError, "CONV_2D in version 6"),
    "custom_operator": (errors.ModelRefusedError, "cannot run the model; it says: "),
    "exception": (errors.CompilerCrashedError, "the exception std::out_of_range: vector ended"),
    "gelu": (errors.OperatorVersionError, "the operator GELU"),
    "internal_error": (errors.InternalCompilerError, "internal error"),
    "interpreter_fails": (errors.ModelRefusedError, "cannot run the model"),
    "invalid_model": (errors.ModelRefusedError, "cannot read the model"),
    "large_activations": (errors.LargeActivationsError, "feature maps are too large"),
    "no_reason": (errors.InternalCompilerError, "gives no reason"),
    "not_quantised": (errors.NotQuantisedError, "not quantised"),
    "nothing_mapped": (
        errors.NothingMappedError,
        "of the 3 operators there: 1 CONV_2D (Tensor has unsupported rank",
    ),
    "own_timeout": (errors.CompilerTimeoutError, "ran out of its time"),
    "segmentation_fault": (errors.CompilerCrashedError, "SIGSEGV ended"),
    "transpose_conv_4": (errors.OperatorVersionError, "TRANSPOSE_CONV in version 4"),
    "unsupported_data_type": (errors.DataTypeError, "unsupported data type"),
    "version_alone": (errors.UnexpectedOutputError, "version 15.0.340273435) is not understood: it ended with 0"),
}
SUCCESSES = {"all_mapped", "partly_mapped"}


def recorded(name: str) -> str:
    return (RECORDED / f"{name}.txt").read_text()


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> edge_tpu_files.Compiler:
    """It succeeds, with all operators mapped, unless it is told otherwise."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    stand_in = edge_tpu_files.Compiler(tmp_path, monkeypatch)
    stand_in.says(recorded("all_mapped"))
    stand_in.makes(compiled(source()))
    return stand_in


def failing(kind: type[errors.EdgeTpuError], compiler: Compiler | None = None) -> errors.EdgeTpuError:
    """The error, which holds the model that was to be compiled, and leaves nothing behind."""
    with pytest.raises(errors.EdgeTpuError) as caught:
        compile_for_edge_tpu(source(), compiler or Compiler())
    assert type(caught.value) is kind
    assert caught.value.uncompiled == source()
    assert caught.value.hint
    return caught.value


def test_all_of_it_on_the_chip(program: edge_tpu_files.Compiler, tmp_path: Path) -> None:
    done = compile_for_edge_tpu(source(), Compiler(timeout_s=90))
    rows = tuple(Row(name, 1, MAPPED) for name in ("CONV_2D", "RELU", "LOGISTIC"))
    mib = 2**20
    assert done.content == compiled(source())
    assert done.report == EdgeTpuReport(
        "16.0.384591198", 3, 0, 1, round(5.9 * mib), round(1.16 * mib), round(41.75 * 1024), 14, rows
    )
    assert done.report.notices == (
        "Edge TPU: 3 of 3 operators run there, in 1 part",
        "Edge TPU: 5.90 MiB of parameters stay on the chip, 41.75 KiB are streamed at each inference",
    )
    (command,) = program.notes
    folder = command.split()[3]
    assert command == f"edgetpu_compiler -s -o {folder} --timeout_sec 90 {folder}/model.tflite"
    assert not Path(folder).exists()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_what_is_left_to_the_cpu_and_why(program: edge_tpu_files.Compiler) -> None:
    program.says(recorded("partly_mapped"))
    report = compile_for_edge_tpu(source(), Compiler()).report
    assert (report.operators, report.operators_on_cpu, report.streamed_bytes) == (3, 2, 0)
    assert report.notices == (
        "Edge TPU: 1 of 3 operators run there, in 1 part",
        "Edge TPU: 3.00 KiB of parameters stay on the chip, 7.86 MiB are free beside them, and none are streamed",
        (
            "Edge TPU: 1 RELU on the CPU: operation is otherwise supported, but not mapped due to some unspecified "
            "limitation (the compiler does not say why; often it is too large, or its input is)"
        ),
        (
            "Edge TPU: 1 LOGISTIC on the CPU: more than one subgraph is not supported (an operator before it does not "
            "run there, and after that none does)"
        ),
    )


def test_every_recorded_output_is_tried_and_tells_where_it_is_from() -> None:
    files = {path.stem: path.read_text() for path in RECORDED.iterdir()}
    assert set(files) == SUCCESSES | set(FAILURES)
    assert all("https://github.com/" in text.splitlines()[0] for text in files.values())


@pytest.mark.parametrize("name", FAILURES)
def test_each_failure_is_told_apart(program: edge_tpu_files.Compiler, name: str, tmp_path: Path) -> None:
    program.says(recorded(name))
    kind, words = FAILURES[name]
    assert words in failing(kind).message
    assert list((tmp_path / "temporary").iterdir()) == []


def test_what_tflite_says_of_the_operator_is_shown(program: edge_tpu_files.Compiler) -> None:
    program.says(recorded("custom_operator"))
    message = failing(errors.ModelRefusedError).message
    assert message.endswith(" / Node number 13 (FlexSplitV) failed to prepare.")
    assert "Regular TensorFlow ops are not supported" in message


def test_an_exception_of_an_older_compiler(program: edge_tpu_files.Compiler) -> None:
    """https://github.com/google-coral/edgetpu/issues/4"""
    program.says(
        "# exit: 1\nEdge TPU Compiler version 2.0.267685300\nterminating with uncaught exception of type "
        "std::out_of_range: vector\n\nInternal compiler error. Aborting!\n"
    )
    assert "std::out_of_range: vector ended" in failing(errors.CompilerCrashedError).message


@pytest.mark.parametrize("exit_code", [193, 255])
def test_an_exit_code_beyond_all_signals_is_none(program: edge_tpu_files.Compiler, exit_code: int) -> None:
    program.says(f"# exit: {exit_code}\n")
    assert f"it ended with {exit_code} and no success" in failing(errors.UnexpectedOutputError).message


def test_a_row_of_the_table_is_one_line() -> None:
    table = "Operator   Count   Status\r\n\r\nADD   1   Mapped to Edge TPU\r\nSummary\n\n2 warnings were given\n"
    assert rows_of(table) == (Row("ADD", 1, MAPPED),)


def test_a_signal_ends_it(program: edge_tpu_files.Compiler) -> None:
    program.says("# exit: -9\nEdge TPU Compiler version 16.0.384591198\n")
    assert "SIGKILL ended" in failing(errors.CompilerCrashedError).message


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("Total number of operations: 3", "", "it does not tell the total number of operations"),
        ("Total number of operations: 3", "Total number of operations: 4", "does not add up to 4"),
        ("5.90MiB", "5.90 parsecs", "it does not tell the on-chip memory used"),
        ("Number of Edge TPU subgraphs: 1", "Subgraphs: many", "it does not tell the number of edge tpu subgraphs"),
    ],
)
def test_a_success_that_is_not_understood(program: edge_tpu_files.Compiler, old: str, new: str, words: str) -> None:
    program.says(recorded("all_mapped").replace(old, new))
    message = failing(errors.UnexpectedOutputError).message
    assert words in message
    assert message.endswith("Compilation child process completed within timeout period. / Compilation succeeded!")


def test_its_own_words_are_shown_in_part_alone(program: edge_tpu_files.Compiler) -> None:
    program.says("# exit: 3\n" + "\n".join("x" * 5000 for _ in range(50)) + "\n")
    assert len(failing(errors.UnexpectedOutputError).message) < 1500


def test_a_success_without_a_file(program: edge_tpu_files.Compiler, tmp_path: Path) -> None:
    (tmp_path / "made").unlink()
    assert "succeeded without a file model_edgetpu.tflite" in failing(errors.UnexpectedOutputError).message


@pytest.mark.parametrize(
    ("made", "kind", "words"),
    [
        (source(), errors.CompiledFileError, "it has no operator edgetpu-custom-op"),
        (b"TFL3", errors.CompiledFileError, "not understood"),
        (compiled(source())[:-400], errors.CompiledFileError, ""),
        (compiled(source(), options=b"nonsense"), errors.CompiledFileError, "it is no map"),
        (compiled(source(0.25)), errors.OtherModelError, "its inputs are 'x' int8[1, 4, 4, 8] x 0.25"),
    ],
)
def test_what_it_wrote_is_looked_at(
    program: edge_tpu_files.Compiler, made: bytes, kind: type[errors.EdgeTpuError], words: str
) -> None:
    program.makes(made)
    assert words in failing(kind).message


def test_absent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    error = failing(errors.CompilerAbsentError)
    assert all(way in error.hint for way in ("coral-edgetpu-stable", "--docker", "--compiled FILE", "--cpu"))


def test_one_that_hangs_is_ended_with_its_children(
    program: edge_tpu_files.Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "_GRACE_S", 0.5)
    program.says("# exit: hangs\n")
    assert "did not end within" in failing(errors.CompilerTimeoutError, Compiler(timeout_s=0.5)).message
    assert processes.are_gone(program.children, 5)


def test_ctrl_c_ends_it_as_well(program: edge_tpu_files.Compiler) -> None:
    program.says("# exit: hangs\n")

    def interrupt() -> None:
        assert program.children
        os.kill(os.getpid(), signal.SIGINT)

    typist = threading.Thread(target=interrupt)
    typist.start()
    with pytest.raises(KeyboardInterrupt):
        compile_for_edge_tpu(source(), Compiler())
    typist.join()
    assert processes.are_gone(program.children, 5)


def test_the_step_of_a_conversion(program: edge_tpu_files.Compiler) -> None:
    class Draft:
        content: bytes | None = source()
        compiler = Compiler()
        edge_tpu: EdgeTpuReport | None = None

        def __init__(self) -> None:
            self.notices = ["before"]

    draft = Draft()
    edgetpu_from_tflite.apply(draft)
    assert draft.content == compiled(source())
    assert draft.edge_tpu is not None
    assert draft.edge_tpu.min_runtime_version == 14
    assert draft.notices == ["before", *draft.edge_tpu.notices]


def test_codes_are_distinct_and_the_tree_has_every_class() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.EdgeTpuError)]
    assert len({kind.code for kind in kinds}) == len(kinds) == 15
    lines = (errors.__doc__ or "").splitlines()
    for kind in kinds:
        assert any(f"── {kind.__name__} " in line and f" {kind.code} " in line for line in lines), kind


def test_from_onnx_to_a_compiled_file(program: edge_tpu_files.Compiler, tmp_path: Path) -> None:
    """The stand-in writes what it is given for the int8 file that the converter makes without it."""
    path = zoo.save(zoo.autoencoder({}), tmp_path)
    cases = [[np.random.default_rng(0).random((1, 3, 16, 16), np.float32)]]
    plain = convert(path, Target("tflite", "int8"), calibration=cases)
    program.makes(compiled(plain.model))
    done = convert(path, Target("tflite", "int8", accelerator="edgetpu"), calibration=cases, compiler=Compiler())
    assert done.model == compiled(plain.model)
    assert done.artifact == plain.artifact
    assert done.steps[-1] == "edgetpu_from_tflite"
    assert done.edge_tpu is not None
    assert set(done.edge_tpu.notices) <= set(done.notices)
    assert plain.edge_tpu is None
