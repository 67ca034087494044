"""TensorFlow Lite under the running Python, on its CPU: options, files, and what its versions say of a model."""

import sys
from pathlib import Path
from typing import Any

import ai_edge_litert.interpreter as litert
import numpy as np
import pytest
import tflite
import tflite_models
from tflite_models import Operator, T

from agent.worker.errors import BadOptionError, LoadFailedError, RunFailedError, RuntimeMissingError
from agent.worker.runtimes import tflite as runtime_module
from agent.worker.runtimes._tflite import files, messages
from agent.worker.runtimes.base import Runtime, Tensor

X = T("x", "int8", (1, 4, 4, 3), (0.5, 3))


def opened(**options: Any) -> Runtime:
    runtime = runtime_module.create()
    runtime.open({"threads": 1, **options})
    return runtime


def saved(folder: Path, content: bytes) -> str:
    path = folder / "model.tflite"
    path.write_bytes(content)
    return str(path)


def test_the_tiny_model_is_what_the_schema_makes() -> None:
    assert tflite_models.echo(T("x", "float32", (1,))) == files.TINY_MODEL


def test_open_gives_the_name_and_the_version() -> None:
    import ai_edge_litert

    assert runtime_module.create().open({}) == f"LiteRT {ai_edge_litert.__version__}"


def test_tensors_and_their_quantisation_are_those_of_the_file(tmp_path: Path) -> None:
    runtime = opened()
    inputs, outputs = runtime.load(saved(tmp_path, tflite_models.pooled(X)))
    assert inputs == [Tensor("x", "int8", (1, 4, 4, 3))]
    assert outputs == [Tensor("y", "int8", (1, 2, 2, 3))]
    assert runtime.quantisation() == ([(0.5, 3)], [(0.5, 3)])
    assert runtime.load(saved(tmp_path, tflite_models.echo(T("s", "float32", ())))) == (
        [Tensor("s", "float32", ())],
        [Tensor("s_out", "float32", ())],
    )
    assert runtime.quantisation() == ([None], [None])


def test_each_binding_has_its_own_memory_and_no_view_is_kept(tmp_path: Path) -> None:
    runtime = opened()
    runtime.load(saved(tmp_path, tflite_models.pooled(X)))
    given = [np.random.default_rng(seed).integers(-128, 128, X.shape).astype(np.int8) for seed in range(2)]
    taken = [np.zeros((1, 2, 2, 3), np.int8) for _ in range(2)]
    bindings = [runtime.bind([x], [y]) for x, y in zip(given, taken, strict=True)]
    for _ in range(3):
        for binding in bindings:
            assert runtime.run(binding) is None
    for x, y in zip(given, taken, strict=True):
        np.testing.assert_array_equal(y, x.reshape(1, 2, 2, 2, 2, 3).max((2, 4)))


@pytest.mark.parametrize(("threads", "passed"), [(0, None), (1, 1), (2, 2)])
def test_threads_reach_the_interpreter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, threads: int, passed: int | None
) -> None:
    seen = []
    interpreter = litert.Interpreter

    def noted(**options: Any) -> Any:
        seen.append(options.get("num_threads"))
        return interpreter(**options)

    monkeypatch.setattr(litert, "Interpreter", noted)
    runtime = opened(threads=threads)
    runtime.load(saved(tmp_path, tflite_models.pooled(X)))
    assert seen[-1] == passed


@pytest.mark.parametrize("threads", [-1, 1025, "4", 1.0, True, None])
def test_threads_are_a_whole_number_in_bounds(threads: Any) -> None:
    with pytest.raises(BadOptionError, match="threads is"):
        opened(threads=threads)


@pytest.mark.parametrize("delegate", ["gpu", "", None, True, "EdgeTPU"])
def test_a_delegate_is_none_or_the_edge_tpu(delegate: Any) -> None:
    with pytest.raises(BadOptionError, match="delegate is") as refusal:
        opened(delegate=delegate)
    assert "edgetpu" in refusal.value.hint


def test_the_kernels_that_ran_are_a_detail(tmp_path: Path) -> None:
    runtime = opened()
    runtime.load(saved(tmp_path, tflite_models.pooled(X)))
    assert runtime.details() == {"delegate": "none", "kernels": "XNNPACK"}
    runtime.load(saved(tmp_path, tflite_models.echo(T("x", "int32", (1, 4)))))
    assert runtime.details() == {"delegate": "none", "kernels": "built-in"}


@pytest.mark.parametrize("last", [8, 20, 100, 200, -1])
def test_a_part_of_a_file_is_none(tmp_path: Path, last: int) -> None:
    whole = tflite_models.product(30, 20)
    with pytest.raises(LoadFailedError, match=f"it has {len(whole[:last])} bytes and is not whole"):
        opened().load(saved(tmp_path, whole[:last]))


def test_a_part_of_a_file_is_never_read_as_numbers() -> None:
    """Whatever its length: older versions would take most of these."""
    whole = tflite_models.pooled(X)
    for length in range(len(whole) - 4):
        with pytest.raises(files.BrokenFileError):
            files.custom_operators(whole[:length])
    assert files.custom_operators(whole) == [b""]
    assert files.custom_operators(tflite_models.for_edge_tpu(X, "Frob")) == [b"Frob"]


def test_offsets_that_lead_anywhere_are_no_reason_to_die() -> None:
    random = np.random.default_rng(1)
    whole = tflite_models.pooled(X)
    for _ in range(2000):
        broken = bytearray(whole)
        broken[random.integers(8, len(whole))] = random.integers(256)
        try:
            files.custom_operators(bytes(broken))
        except files.BrokenFileError as error:
            assert "not whole" in str(error)  # noqa: PT017  # most of them are whole


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "it is empty"), (b"\0" * 99, "starts with"), (b"PK\3\4 a zip file", "starts with")]
)
def test_what_is_no_model_at_all(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(LoadFailedError, match=reason):
        opened().load(saved(tmp_path, content))


def test_an_operator_of_a_later_version(tmp_path: Path) -> None:
    operator = Operator(tflite.BuiltinOperator.MAX_POOL_2D, (0,), (1,), 99, "pool")
    newer = tflite_models.make([X, T("y", "int8", (1, 2, 2, 3), (0.5, 3))], [operator], [0], [1])
    with pytest.raises(LoadFailedError, match=r"newer than this runtime.*'MAX_POOL_2D' version '99'") as refusal:
        opened().load(saved(tmp_path, newer))
    assert "host convert" in refusal.value.hint


def test_an_operator_of_somebody_else(tmp_path: Path) -> None:
    with pytest.raises(LoadFailedError, match=r"somebody else's.*unresolved custom op: Frob"):
        opened().load(saved(tmp_path, tflite_models.for_edge_tpu(X, "Frob")))


def test_a_file_for_the_edge_tpu_without_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(LoadFailedError, match=r"compiled for the Edge TPU.*edgetpu-custom-op") as refusal:
        opened().load(saved(tmp_path, tflite_models.for_edge_tpu(X)))
    assert "delegate" in refusal.value.hint
    assert "--cpu" in refusal.value.hint


def test_what_it_says_otherwise_is_passed_on() -> None:
    told = messages.load_failed(
        "TensorFlow Lite 2.5.0", RuntimeError("batches * single_input_size != input->bytes (1)")
    )
    assert told.message.startswith("TensorFlow Lite 2.5.0 refused the model: the Edge TPU's library and the runtime do")
    told = messages.load_failed("TensorFlow Lite 2.5.0", ValueError("gather\nindex out of bounds"))
    assert told.message == "TensorFlow Lite 2.5.0 refused the model: gather index out of bounds"
    assert told.hint


def test_a_run_that_fails_says_why(tmp_path: Path) -> None:
    runtime = opened()
    runtime.load(saved(tmp_path, tflite_models.pooled(X)))
    wrong = runtime.bind([np.zeros((1, 2), np.int8)], [np.zeros((1, 2, 2, 3), np.int8)])
    with pytest.raises(RunFailedError, match="Dimension mismatch"):
        runtime.run(wrong)


@pytest.mark.parametrize("source", ["import no_such_module", "raise SystemError('numpy.core.multiarray failed')", ""])
def test_of_two_packages_the_one_that_works_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    _package(monkeypatch, tmp_path, "tflite_runtime", source)
    assert opened().load(saved(tmp_path, tflite_models.pooled(X)))


def test_without_either_the_reasons_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _package(monkeypatch, tmp_path, "tflite_runtime", "raise ImportError('GLIBC_2.29 not found')")
    _package(monkeypatch, tmp_path, "ai_edge_litert", "raise SystemError('another numpy')")
    with pytest.raises(RuntimeMissingError, match=r"GLIBC_2\.29 not found; another numpy") as refusal:
        opened()
    assert "python3-tflite-runtime" in refusal.value.hint


def test_one_that_does_not_run_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: Any) -> Any:
        raise RuntimeError("no memory for the arena")

    monkeypatch.setattr(litert, "Interpreter", broken)
    with pytest.raises(RuntimeMissingError, match="does not run a tiny model: no memory for the arena"):
        opened()


def _package(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, source: str) -> None:
    """Another one of that name, which is found first."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(source)
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.syspath_prepend(folder)
