"""ONNX Runtime under the running Python: what its versions and providers do differently, and models that are odd."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import zoo
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from agent.worker.errors import BadOptionError, LoadFailedError, RunFailedError, RuntimeMissingError
from agent.worker.runtimes import ort
from agent.worker.runtimes._tiny import TINY_MODEL
from agent.worker.runtimes.base import Layer, Runtime, Tensor

Array = NDArray[Any]


def _opened(**options: Any) -> Runtime:
    runtime = ort.create()
    runtime.open({"threads": 1, **options})
    return runtime


def _loaded(model: onnx.ModelProto, folder: Path) -> Runtime:
    runtime = _opened()
    runtime.load(str(zoo.save(model, folder)))
    return runtime


def _run(model: onnx.ModelProto, folder: Path, *inputs: Array) -> list[Array]:
    """The outputs, twice the same, of memory that had something else in it."""
    runtime = _loaded(model, folder)
    declared = [value.type.tensor_type for value in model.graph.output]
    outputs = [
        np.full([dim.dim_value for dim in each.shape.dim], 1, helper.tensor_dtype_to_np_dtype(each.elem_type))
        for each in declared
    ]
    binding = runtime.bind(inputs, outputs)
    runtime.run(binding)
    first = [output.copy() for output in outputs]
    for output in outputs:
        output[...] = 1
    assert runtime.run(binding) is None
    for one, other in zip(first, outputs, strict=True):
        np.testing.assert_array_equal(one, other)
    return outputs


def test_the_tiny_model_is_what_the_onnx_package_makes() -> None:
    tiny = helper.make_model(
        helper.make_graph(
            [helper.make_node("Identity", ["x"], ["y"])],
            "t",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        ),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=7,
        producer_name="",
    )
    onnx.checker.check_model(tiny)
    assert tiny.SerializeToString(deterministic=True) == TINY_MODEL


def test_open_gives_the_version() -> None:
    assert ort.create().open({}) == onnxruntime.__version__


@pytest.mark.parametrize("threads", [-1, 1025, "4", 1.0, True, None])
def test_threads_are_a_whole_number_in_bounds(threads: Any) -> None:
    with pytest.raises(BadOptionError, match="threads is"):
        _opened(threads=threads)


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_threads_reach_onnx_runtime(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    seen = []
    session = onnxruntime.InferenceSession

    def noted(model: Any, settings: Any, **options: Any) -> Any:
        seen.append(settings.intra_op_num_threads)
        return session(model, settings, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", noted)
    _opened(threads=threads)
    assert seen == [threads]


def test_the_cpu_is_chosen_by_either_name() -> None:
    for name in ("cpu", "CPUExecutionProvider"):
        assert _opened(provider=name)


@pytest.mark.parametrize(("wanted", "hint"), [("cpux", "did you mean 'cpu'"), (7, "it has "), ("", "it has ")])
def test_a_provider_that_is_not_there(wanted: Any, hint: str) -> None:
    with pytest.raises(BadOptionError, match=f"no provider {wanted!r}") as refusal:
        _opened(provider=wanted)
    assert hint in refusal.value.hint


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_does_not_start_is_not_quietly_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["CUDAExecutionProvider", "CPUExecutionProvider"]  # as of a wheel for GPUs on a machine without the driver
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)
    with pytest.raises(RuntimeMissingError, match="cannot use its CUDAExecutionProvider here: it would run on CPU"):
        _opened(provider="cuda")


def test_a_provider_that_fails_as_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any, **__: Any) -> Any:
        raise onnxruntime.capi.onnxruntime_pybind11_state.EPFail("CUDA failure 35: driver too old")

    monkeypatch.setattr(onnxruntime, "InferenceSession", failing)
    with pytest.raises(RuntimeMissingError, match="driver too old"):
        _opened()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module_anywhere", "no_such_module_anywhere"),
        ("raise SystemError('returned a result with an error set') from ImportError('numpy.core')", "numpy.core"),
        ("raise OSError('libgomp.so.1: cannot open')", "libgomp"),
        ("", "capi"),
    ],
)
def test_a_broken_installation_is_a_missing_runtime(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, reason: str
) -> None:
    (tmp_path / "onnxruntime.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "onnxruntime")
    with pytest.raises(RuntimeMissingError, match=reason):
        _opened()


def test_tensors_are_declared_in_numpy_s_names_and_unknown_dimensions_are_none(tmp_path: Path) -> None:
    inputs, outputs = _opened().load(str(zoo.save(zoo.dynamic_image(), tmp_path)))
    assert inputs == [Tensor("image", "float32", (None, 3, None, None))]
    assert outputs == [Tensor("map", "float32", (None, 4, None, None))]
    inputs, outputs = _opened().load(str(zoo.save(zoo.mixed(), tmp_path)))
    assert [tensor.dtype for tensor in inputs] == ["float32", "float16", "uint8", "int8", "int64", "bool"]
    assert outputs[0] == Tensor("flag_out", "bool", (1, 7))


def test_a_type_there_is_no_name_for_is_shown_as_it_is(tmp_path: Path) -> None:
    inputs, _ = _opened().load(str(zoo.save(zoo.identity((1,), TensorProto.STRING), tmp_path)))
    assert inputs == [Tensor("x", "tensor(string)", (1,))]


@pytest.mark.parametrize("model", [zoo.unknown_operator, zoo.custom_operator, zoo.unimplemented])
def test_an_operator_it_lacks_is_a_failed_load_that_names_it(model: Callable[[], Any], tmp_path: Path) -> None:
    with pytest.raises(
        LoadFailedError, match=f"ONNX Runtime {onnxruntime.__version__} refused the model: .*(Frob|Conv)"
    ):
        _loaded(model(), tmp_path)


def test_an_output_that_is_an_input_is_handed_on(tmp_path: Path) -> None:
    given, computed = zoo.tensor("x", (1, 4)), zoo.tensor("y", (1, 4))
    model = zoo.model([helper.make_node("Neg", ["x"], ["y"])], [given], [given, computed])
    x = np.array([[1, -2, 3, -4]], np.float32)
    handed_on, negated = _run(model, tmp_path, x)
    np.testing.assert_array_equal(handed_on, x)
    np.testing.assert_array_equal(negated, -x)


def test_an_output_that_is_a_constant_is_written_in_each_run(tmp_path: Path) -> None:
    constant = np.arange(4, dtype=np.float32)
    model = zoo.model(
        [helper.make_node("Neg", ["x"], ["y"]), helper.make_node("Neg", ["k"], ["folded"])],
        [zoo.tensor("x", (1,))],
        [zoo.tensor("y", (1,)), zoo.tensor("k", (4,)), zoo.tensor("folded", (4,))],
        [numpy_helper.from_array(constant, "k")],
    )
    _, stored, folded = _run(model, tmp_path, np.ones(1, np.float32))
    np.testing.assert_array_equal(stored, constant)
    np.testing.assert_array_equal(folded, -constant)


def test_outputs_on_the_way_to_others_are_written_too(tmp_path: Path) -> None:
    shape = numpy_helper.from_array(np.array([2, 2]), "shape")
    nodes = [
        helper.make_node("Neg", ["x"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Reshape", ["b", "shape"], ["c"]),
        helper.make_node("Identity", ["b"], ["d"]),
    ]
    outputs = [zoo.tensor(name, (2, 2) if name == "c" else (1, 4)) for name in "abcd"]
    x = np.array([[1, -2, 3, -4]], np.float32)
    a, b, c, d = _run(zoo.model(nodes, [zoo.tensor("x", (1, 4))], outputs, [shape]), tmp_path, x)
    np.testing.assert_array_equal(a, -x)
    np.testing.assert_array_equal(b, [[0, 2, 0, 4]])
    np.testing.assert_array_equal(c.reshape(1, 4), b)
    np.testing.assert_array_equal(d, b)


def test_an_output_of_either_branch_is_written(tmp_path: Path) -> None:
    dims = (1, 4)
    branches = {
        "then_branch": zoo.graph("a", [helper.make_node("Neg", ["x"], ["p"])], [zoo.tensor("p", dims)]),
        "else_branch": zoo.graph("b", [helper.make_node("Identity", ["x"], ["q"])], [zoo.tensor("q", dims)]),
    }
    model = zoo.model(
        [helper.make_node("If", ["flag"], ["y"], **branches)],
        [zoo.tensor("x", dims), zoo.tensor("flag", (), TensorProto.BOOL)],
        [zoo.tensor("y", dims)],
    )
    x = np.array([[1, -2, 3, -4]], np.float32)
    for flag, sign in ((True, -1), (False, 1)):
        (y,) = _run(model, tmp_path, x, np.array(flag))
        np.testing.assert_array_equal(y, sign * x)


def test_a_run_that_fails_says_why_and_the_next_one_runs(tmp_path: Path) -> None:
    model = zoo.model(
        [helper.make_node("Gather", ["table", "index"], ["y"], name="look_up")],
        [zoo.tensor("index", (1,), TensorProto.INT64)],
        [zoo.tensor("y", (1,))],
        [zoo.weights("table", 3)],
    )
    runtime = _loaded(model, tmp_path)
    index, y = np.array([99]), np.zeros(1, np.float32)
    binding = runtime.bind([index], [y])
    with pytest.raises(RunFailedError, match="look_up"):
        runtime.run(binding)
    index[0] = 1
    runtime.run(binding)
    assert y[0] == numpy_helper.to_array(model.graph.initializer[0])[1]


def test_an_output_of_another_size_than_was_bound_is_a_failed_run_not_a_wrong_answer(tmp_path: Path) -> None:
    runtime = _loaded(zoo.data_dependent(), tmp_path)
    places = np.zeros((2, 3), np.int64)
    x = np.zeros((1, 16), np.float32)
    x[0, :5] = 1
    with pytest.raises(RunFailedError, match="shape"):
        runtime.run(runtime.bind([x], [places]))


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_another_provider_s_outputs_are_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)
    monkeypatch.setattr(onnxruntime.InferenceSession, "get_providers", lambda _self: names)
    waited: list[int] = []
    monkeypatch.setattr(onnxruntime.IOBinding, "synchronize_outputs", lambda _self: waited.append(1))
    x, y = np.ones((1, 3, 4, 4), np.float32), np.zeros((1, 3, 4, 4), np.float32)
    for provider, times in (("cpu", 0), ("cuda", 1)):
        runtime = _opened(provider=provider)
        runtime.load(str(zoo.save(zoo.identity(), tmp_path)))
        runtime.run(runtime.bind([x], [y]))
        assert len(waited) == times
        np.testing.assert_array_equal(x, y)


def test_a_profile_has_the_nodes_in_order_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    runtime = _loaded(zoo.autoencoder(), tmp_path)
    model = onnx.load(tmp_path / "model.onnx").graph
    x, y = (
        np.zeros([dim.dim_value for dim in value.type.tensor_type.shape.dim], np.float32)
        for value in (model.input[0], model.output[0])
    )
    binding = runtime.bind([x], [y])
    runtime.run(binding)
    computed = y.copy()
    y[...] = 7
    layers = runtime.profile(binding, 5)
    assert sum("(ConvTranspose)" in layer.name for layer in layers) == 1
    assert layers[-1].name == "sigmoid (Sigmoid)"
    assert all(0 <= layer.mean_ms < 1000 for layer in layers)
    assert sum(layer.mean_ms for layer in layers) > 0
    np.testing.assert_array_equal(y, computed)  # it ran, into the caller's memory
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_a_profile_that_fails_says_why(tmp_path: Path) -> None:
    runtime = _loaded(zoo.data_dependent(), tmp_path)
    binding = runtime.bind([np.ones((1, 16), np.float32)], [np.zeros((2, 3), np.int64)])
    with pytest.raises(RunFailedError, match="shape"):
        runtime.profile(binding, 2)


def test_of_a_trace_the_first_run_is_left_out_and_the_runs_are_counted() -> None:
    """Recorded from ONNX Runtime 1.10 and cut: 1.11 and later write no fences. The third run is not whole."""
    end = {"cat": "Session", "name": "model_run", "dur": 9000}
    first = [_event("conv_fence_before", "Conv", 0), _event("conv_kernel_time", "Conv", 16130), end]
    second = [_event("conv_kernel_time", "Conv", 5), _event("Relu_3_kernel_time", "Relu", 2), end]
    third = [_event("conv_kernel_time", "Conv", 7), _event("Relu_3_kernel_time", "Relu", 4), end]
    before = [{"cat": "Session", "name": "session_initialization", "dur": 489}]
    assert ort._layers([*before, *first, *second, *third]) == [
        Layer("conv (Conv)", 0.006),
        Layer("Relu_3 (Relu)", 0.003),
    ]
    assert ort._layers([*before, *first, *second, third[0]]) == [
        Layer("conv (Conv)", 0.012),
        Layer("Relu_3 (Relu)", 0.002),
    ]
    assert ort._layers(before) == []


def _event(name: str, operator: str, duration_us: int) -> dict[str, Any]:
    return {"cat": "Node", "name": name, "dur": duration_us, "args": {"op_name": operator}}
