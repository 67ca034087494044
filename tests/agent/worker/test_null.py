"""The null runtime, where faults come from. Those that end or fill a process are asked of a real worker (test_main.py,
tests/conformance).
"""

import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.worker import runtimes
from agent.worker.errors import (
    BadOptionError,
    BuildFailedError,
    LoadFailedError,
    ModelRefusedError,
    RunFailedError,
    RuntimeMissingError,
    UnsupportedError,
)
from agent.worker.runtimes import create
from agent.worker.runtimes.base import Order, Problem, Runtime, Tensor
from agent.worker.runtimes.null import OUT_OF_NVMAP


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


def _opened(**faults: Any) -> Runtime:
    runtime = create("null")
    runtime.open(faults)
    return runtime


def _order(folder: Path) -> Order:
    source = _model(folder)
    return Order(source, str(folder / "model.engine"), str(folder / "timing.cache"), "fp32", False, 1 << 20)


def _built(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"model.json"}


def test_what_it_builds_is_a_copy_that_it_loads(tmp_path: Path) -> None:
    runtime, order = _opened(), _order(tmp_path)
    assert runtime.parse(order.source) == []
    said: list[str] = []
    runtime.build(order, said.append)
    assert said == []
    assert _built(tmp_path) == {"model.engine", "tiny.engine", "timing.cache"}
    assert runtime.load(order.target) == runtime.load(order.source)


def test_the_board_is_as_it_is_told() -> None:
    assert create("null").open({}) == "1"
    assert create("null").open({"version": 8}) == "8"
    assert _opened().architecture() == "null_0"
    assert _opened(architecture=87).architecture() == "null_87"


@pytest.mark.parametrize("threaded", [False, True])
def test_lines_are_said_evenly_over_the_time_of_a_build(tmp_path: Path, threaded: bool) -> None:
    runtime = _opened(build_lines=3, build_delay_ms=120, build_thread=threaded)
    said: list[tuple[str, float, bool]] = []
    began, here = time.perf_counter(), threading.current_thread()

    def say(line: str) -> None:
        said.append((line, time.perf_counter() - began, threading.current_thread() is here))

    runtime.build(_order(tmp_path), say)
    assert [line for line, _, _ in said] == ["line 1 of 3", "line 2 of 3", "line 3 of 3"]
    assert [after_s >= 0.03 * number for number, (_, after_s, _) in enumerate(said, 1)] == [True] * 3
    assert {is_here for _, _, is_here in said} == {not threaded}
    assert time.perf_counter() - began >= 0.12


def test_nodes_are_refused_and_so_is_what_is_no_model(tmp_path: Path) -> None:
    runtime, order = _opened(), _order(tmp_path)
    path = Path(order.source)
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "nodes": [["a", "Fancy"], ["", "Odd"]]}))
    reason = "an echo has no nodes"
    assert runtime.parse(order.source) == [Problem("a", "Fancy", reason), Problem("", "Odd", reason)]
    with pytest.raises(ModelRefusedError):
        runtime.build(order, print)
    assert runtime.load(order.source)  # what is loaded was not parsed
    for content in (b"", b"rubbish", b"[]", b'{"inputs": 5}', b'{"inputs": [], "outputs": [], "nodes": [1]}'):
        path.write_bytes(content)
        [problem] = runtime.parse(order.source)
        assert problem.reason.startswith("not a null model: ")
        with pytest.raises(ModelRefusedError):
            runtime.build(order, print)
    assert runtime.parse(str(tmp_path / "nowhere"))
    assert _built(tmp_path) == set()


@pytest.mark.parametrize("fault", ["fail_build", "nvmap_full"])
def test_a_build_fails_as_told_and_leaves_no_engine(
    tmp_path: Path, fault: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BuildFailedError):
        _opened(**{fault: True}).build(_order(tmp_path), print)
    assert "model.engine" not in _built(tmp_path)
    assert capfd.readouterr().err == (OUT_OF_NVMAP.decode() if fault == "nvmap_full" else "")


def test_it_fails_before_the_load_as_told(tmp_path: Path) -> None:
    _opened().warm_up(_model(tmp_path))
    with pytest.raises(LoadFailedError, match="before loading"):
        _opened(fail_warm_up=True).warm_up(_model(tmp_path))


def test_the_layers_are_the_copies(tmp_path: Path) -> None:
    runtime = _opened(wrong=True)
    runtime.load(_model(tmp_path, [["a", "float64", [1]], ["b", "float64", [1]]]))
    y = [np.zeros(1), np.zeros(1)]
    layers = runtime.profile(runtime.bind([np.array([0.25]), np.array([3.0])], y), 4)
    assert [layer.name for layer in layers] == ["copy to a", "copy to b"]
    assert all(0 < layer.mean_ms < 100 for layer in layers)
    assert [each.tolist() for each in y] == [[0.75], [-2.0]]


def test_it_does_not_tell_them_where_it_is_told_so(tmp_path: Path) -> None:
    runtime = _loaded(tmp_path, no_layers=True)
    with pytest.raises(UnsupportedError, match="the times of layers"):
        runtime.profile(runtime.bind([np.ones(1)], [np.ones(1)]), 1)
