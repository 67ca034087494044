"""The null runtime, where faults come from. Those that end or fill a process are asked of a real worker (test_main.py,
tests/conformance).
"""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.worker import runtimes
from agent.worker.errors import BadOptionError, LoadFailedError, RunFailedError, RuntimeMissingError
from agent.worker.runtimes import create
from agent.worker.runtimes.base import Runtime, Tensor


def _model(folder: Path, inputs: Any = (["x", "float32", [1, 4]],), outputs: Any = None) -> str:
    path = folder / "model.json"
    path.write_text(json.dumps({"inputs": inputs, "outputs": inputs if outputs is None else outputs}))
    return str(path)


def _loaded(folder: Path, **faults: Any) -> Runtime:
    runtime = create("null")
    runtime.open(faults)
    runtime.load(_model(folder))
    return runtime


def test_every_file_is_a_runtime_by_its_name_but_base_and_parts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert {"null", "ort"} <= set(runtimes.names())
    for name in ("base", "_trt", "trt", "abc", "__init__"):
        (tmp_path / f"{name}.py").touch()
    monkeypatch.setattr(runtimes, "__path__", [str(tmp_path)])
    assert runtimes.names() == ["abc", "trt"]


@pytest.mark.parametrize("key", ["base", "__init__", "_ort", "", "..errors", "nul"])
def test_what_is_no_runtime_cannot_be_created(key: str) -> None:
    with pytest.raises(RuntimeMissingError, match=f"there is no runtime {key!r}") as refusal:
        runtimes.create(key)
    assert "null" in refusal.value.hint or "ort" in refusal.value.hint


def test_an_echo_declares_and_copies_its_tensors(tmp_path: Path) -> None:
    runtime = create("null")
    runtime.open({})
    inputs, outputs = runtime.load(_model(tmp_path, [["a", "int8", [2]], ["b", "bool", []]]))
    assert inputs == outputs == [Tensor("a", "int8", (2,)), Tensor("b", "bool", ())]
    a, b = np.array([1, -2], np.int8), np.array(True)
    out = [np.zeros_like(a), np.zeros_like(b)]
    assert runtime.run(runtime.bind([a, b], out)) is None
    assert out[0].tolist() == [1, -2]
    assert out[1]


@pytest.mark.parametrize("value", ["5", None, -1, [1], {}, -0.5])
def test_a_fault_is_a_number_or_true(value: Any) -> None:
    with pytest.raises(BadOptionError, match="delay_ms is"):
        create("null").open({"delay_ms": value})


def test_a_fault_there_is_not_names_the_nearest() -> None:
    with pytest.raises(BadOptionError, match="no option 'delay'") as refusal:
        create("null").open({"delay": 1})
    assert "delay_ms" in refusal.value.hint


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ([["x", "float32"]], None),
        ([["x", "float32", ["n"]]], None),
        ([["x", "float32", 4]], None),
        (5, None),
        ([["x", "float32", [1]]], []),
        ([["x", "float32", [1]]], [["y", "float32", [2]]]),
        ([["x", "float32", [1]]], [["y", "int8", [1]]]),
    ],
)
def test_a_file_that_describes_no_echo(tmp_path: Path, inputs: Any, outputs: Any) -> None:
    runtime = create("null")
    runtime.open({})
    with pytest.raises(LoadFailedError):
        runtime.load(_model(tmp_path, inputs, outputs))


def test_delays_are_of_the_load_and_of_each_run(tmp_path: Path) -> None:
    began = time.perf_counter()
    runtime = _loaded(tmp_path, load_delay_ms=30, delay_ms=20)
    loaded = time.perf_counter()
    binding = runtime.bind([np.ones(1)], [np.ones(1)])
    runtime.run(binding)
    runtime.run(binding)
    assert loaded - began >= 0.03
    assert time.perf_counter() - loaded >= 0.04


def test_one_run_fails_as_told_and_no_other(tmp_path: Path) -> None:
    runtime = _loaded(tmp_path, fail_on_run=2)
    binding = runtime.bind([np.ones(1)], [np.ones(1)])
    runtime.run(binding)
    with pytest.raises(RunFailedError, match="run 2"):
        runtime.run(binding)
    runtime.run(binding)


def test_wrong_outputs_are_not_the_inputs(tmp_path: Path) -> None:
    runtime = _loaded(tmp_path, wrong=True)
    y = np.zeros(2)
    runtime.run(runtime.bind([np.array([0.25, 3.0])], [y]))
    assert y.tolist() == [0.75, -2.0]


def test_noise_is_printed_below_python_in_each_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    runtime = _loaded(tmp_path, noise=True)
    binding = runtime.bind([np.ones(1)], [np.ones(1)])
    runtime.run(binding)
    runtime.run(binding)
    out, err = capfd.readouterr()
    assert out.count("{rubbish}") == err.count("{rubbish}") == 16
