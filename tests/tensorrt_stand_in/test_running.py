"""Engines and contexts: tensors, addresses, runs, profiles."""

import json
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import zoo
from onnx import TensorProto
from tensorrt_stand_in import driving, models

OLDER = ("8.2", "8.5", "8.6")
BINDINGS = OLDER
TENSORS = ("8.5", "8.6", "10.3", "10.16", "11")
PROFILED_MS = [("conv", pytest.approx(0.01)), ("relu", pytest.approx(0.02))]

pytestmark = pytest.mark.filterwarnings("ignore:Use .* instead:DeprecationWarning")


@pytest.fixture
def log(trt: ModuleType) -> driving.Log:
    return driving.new_log(trt)


def loaded(trt: ModuleType, log: driving.Log, model: Any = None, *flags: str) -> Any:
    return driving.load(trt, driving.build(trt, model or zoo.convolution(), *flags), log)


@pytest.mark.parametrize(
    "model", [zoo.convolution(), zoo.autoencoder(), zoo.classifier()], ids=["conv", "auto", "class"]
)
def test_numbers_are_onnx_runtimes(trt: ModuleType, log: driving.Log, model: Any) -> None:
    engine = loaded(trt, log, model)
    (name, shape) = next((name, shape) for name, (is_in, shape, _) in driving.tensors(trt, engine).items() if is_in)
    inputs = {name: driving.random(*shape)}
    expected = driving.by_onnx_runtime(model, inputs)
    results = driving.run(trt, engine, inputs)
    assert {it: array.tobytes() for it, array in results.items()} == {it: a.tobytes() for it, a in expected.items()}


def test_several_inputs_and_outputs(trt: ModuleType, version: str, log: driving.Log) -> None:
    """Inputs first, then outputs, each in the model's order."""
    model = zoo.mixed()
    if version == "8.2":
        assert driving.parse(trt, model, log)[0] is None, "no uint8"
        return
    engine = loaded(trt, log, model)
    names = list(driving.tensors(trt, engine))
    assert names == [*(it.name for it in model.graph.input), *(it.name for it in model.graph.output)]
    index = np.arange(6, dtype=np.int32 if version in OLDER else np.int64).reshape(1, 6)
    inputs: driving.Arrays = {
        "single": driving.random(1, 2),
        "half": driving.random(1, 3).astype(np.float16),
        "byte": np.array([[1, 2, 3, 255]], np.uint8),
        "signed": np.array([[-128, 0, 1, 2, 127]], np.int8),
        "index": index,
        "flag": np.array([[True, False, True, True, False, True, False]]),
    }
    results = driving.run(trt, engine, inputs)
    assert np.array_equal(results["single_out"], -inputs["single"])
    for name in ("half", "byte", "signed", "index", "flag"):
        assert results[f"{name}_out"].dtype == inputs[name].dtype
        assert np.array_equal(results[f"{name}_out"], inputs[name])


def test_int64_is_int32_before_10(trt: ModuleType, version: str, log: driving.Log) -> None:
    engine = loaded(trt, log, models.cast_to_int64())
    dtype = np.int32 if version in OLDER else np.int64
    results = driving.run(trt, engine, {"x": np.array([[1, 2, 3, 4]], dtype)})
    assert results["y"].dtype == dtype
    assert results["y"].tolist() == [[2, 3, 4, 5]]


def test_doubles_are_floats(trt: ModuleType, log: driving.Log) -> None:
    engine = loaded(trt, log, models.typed(TensorProto.DOUBLE))
    x = driving.random(1, 4)
    assert np.array_equal(driving.run(trt, engine, {"x": x})["y"], x)


@pytest.mark.parametrize("version", BINDINGS, indirect=True)
def test_bindings(trt: ModuleType, log: driving.Log) -> None:
    engine = loaded(trt, log)
    assert (engine.num_bindings, len(engine), engine.max_batch_size) == (2, 2, 1)
    assert not engine.has_implicit_batch_dimension
    assert [engine.get_binding_name(index) for index in range(3)] == ["image", "map", None]
    assert [engine[0], engine[-1], engine["map"]] == ["image", "map", 1]
    assert list(engine) == ["image", "map"], "by __getitem__ and IndexError"
    assert engine.get_binding_index("map") == 1
    assert engine.get_binding_index("none") == -1
    assert "Cannot find binding of given name: none" in log.texts("ERROR")[0]
    for key in (0, "image"):
        assert engine.binding_is_input(key)
        assert tuple(engine.get_binding_shape(key)) == (1, 3, 8, 8)
        assert engine.get_binding_dtype(key) == trt.float32
        assert engine.get_location(key) == trt.TensorLocation.DEVICE
    assert not engine.binding_is_input("map")
    assert (engine.is_execution_binding(0), engine.is_shape_binding(0)) == (True, False)
    assert engine.get_binding_format(0) == trt.TensorFormat.LINEAR
    assert engine.get_binding_format_desc(0) == "Row major linear FP32 format (kLINEAR)"
    assert [tuple(it) for it in engine.get_profile_shape(0, "image")] == [(1, 3, 8, 8)] * 3
    context = engine.create_execution_context()
    assert tuple(context.get_binding_shape(1)) == (1, 4, 8, 8)
    assert tuple(context.get_strides(1)) == (256, 64, 8, 1)


@pytest.mark.parametrize("version", TENSORS, indirect=True)
def test_tensors(trt: ModuleType, version: str, log: driving.Log) -> None:
    engine = loaded(trt, log)
    assert engine.num_io_tensors == 2
    assert [engine.get_tensor_name(index) for index in range(3)] == ["image", "map", None]
    assert engine[0] == "image"
    assert engine.get_tensor_mode("image") == trt.TensorIOMode.INPUT
    assert engine.get_tensor_mode("map") == trt.TensorIOMode.OUTPUT
    assert tuple(engine.get_tensor_shape("map")) == (1, 4, 8, 8)
    assert engine.get_tensor_dtype("map") == trt.float32
    assert engine.get_tensor_location("map") == trt.TensorLocation.DEVICE
    assert engine.get_tensor_format("map") == trt.TensorFormat.LINEAR
    assert engine.get_tensor_format_desc("map") == "Row major linear FP32 format (kLINEAR)"
    assert [tuple(it) for it in engine.get_tensor_profile_shape("image", 0)] == [(1, 3, 8, 8)] * 3
    if version == "8.5":
        with pytest.raises(TypeError):
            engine.get_tensor_format("map", 0)
    else:
        assert engine.get_tensor_vectorized_dim("map", 0) == -1
    context = engine.create_execution_context()
    assert tuple(context.get_tensor_shape("map")) == (1, 4, 8, 8)
    assert tuple(context.get_tensor_strides("map")) == (256, 64, 8, 1)
    assert context.get_max_output_size("map") == 4 * 4 * 8 * 8
    assert context.infer_shapes() == []


@pytest.mark.parametrize("version", TENSORS, indirect=True)
def test_a_tensor_that_is_not_there(trt: ModuleType, version: str, log: driving.Log) -> None:
    engine = loaded(trt, log)
    context = engine.create_execution_context()
    assert context.set_tensor_address("none", 1) is False
    assert engine.get_tensor_mode("none") == trt.TensorIOMode.NONE
    said = "setTensorAddress given invalid tensor name: none"
    hint = "Given invalid tensor name: none. Get valid tensor names with getIOTensorName()"
    newer = f"IExecutionContext::setTensorAddress: Error Code 3: API Usage Error ({hint})"
    assert log.texts("ERROR")[0] == (f"3: {said}" if version in OLDER else newer)


@pytest.mark.parametrize("version", TENSORS, indirect=True)
def test_an_address_that_is_not_set(trt: ModuleType, version: str, log: driving.Log) -> None:
    context = loaded(trt, log).create_execution_context()
    image = driving.random(1, 3, 8, 8)
    assert context.execute_async_v3(driving.STREAM) is False
    assert context.set_tensor_address("image", image.ctypes.data)
    assert context.get_tensor_address("image") == image.ctypes.data
    assert context.execute_async_v3(driving.STREAM) is False
    first, second = log.texts("ERROR")
    if version in OLDER:
        assert "condition: mContext.profileObliviousBindings.at(profileObliviousIndex) != nullptr" in first
        assert "getPtrOrNull(mOutputAllocators, profileObliviousIndex)" in second
    else:
        assert first == (
            "IExecutionContext::enqueueV3: Error Code 3: API Usage Error (Parameter check failed, condition: "
            "mContext.profileObliviousBindings.at(profileObliviousIndex) != nullptr. Address is not set for input "
            "tensor image. Call setInputTensorAddress or setTensorAddress before enqueue/execute.)"
        )
        assert "Neither address or allocator is set for output tensor map." in second


def test_the_call_that_every_version_has(trt: ModuleType, log: driving.Log) -> None:
    engine = loaded(trt, log)
    images = {"image": driving.random(1, 3, 8, 8)}
    result = np.zeros((1, 4, 8, 8), np.float32)
    context = engine.create_execution_context()
    assert context.engine is engine
    assert context.execute_v2([images["image"].ctypes.data, result.ctypes.data]) is True
    assert np.array_equal(result, driving.by_onnx_runtime(zoo.convolution(), images)["map"])
    assert context.execute_v2(bindings=[images["image"].ctypes.data, 0]) is False
    assert "bindings[" in log.texts("ERROR")[0]
    with pytest.raises(trt._pybind.NotModelledError, match="1 bindings for 2 tensors"):
        context.execute_v2([images["image"].ctypes.data])


def test_a_run_reads_what_is_in_memory_then(trt: ModuleType, log: driving.Log) -> None:
    engine = loaded(trt, log)
    context = engine.create_execution_context()
    image = driving.random(1, 3, 8, 8)
    first = driving.run(trt, engine, {"image": image}, context)["map"].copy()
    image[:] = driving.random(1, 3, 8, 8, seed=1)
    second = driving.run(trt, engine, {"image": image}, context)["map"]
    assert np.array_equal(second, driving.by_onnx_runtime(zoo.convolution(), {"image": image})["map"])
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("version", TENSORS, indirect=True)
def test_the_default_stream(trt: ModuleType, version: str, log: driving.Log) -> None:
    context = loaded(trt, log).create_execution_context()
    arrays = {"image": driving.random(1, 3, 8, 8), "map": np.zeros((1, 4, 8, 8), np.float32)}
    for name, array in arrays.items():
        context.set_tensor_address(name, array.ctypes.data)
    assert context.execute_async_v3(0)
    assert log.texts("WARNING")[0].startswith(
        "Using default stream in enqueueV3() may lead to performance issues due to"
    )
    assert ("cudaDeviceSynchronize()" in log.texts("WARNING")[0]) == (version in OLDER)


def dynamic_engine(trt: ModuleType, log: driving.Log) -> Any:
    network, _ = driving.parse(trt, zoo.dynamic_batch(), log)
    builder, config = trt.Builder(log.logger), driving.plain_config(trt, network, log)
    profile = builder.create_optimization_profile()
    profile.set_shape("image", (1, 3, 8, 8), (2, 3, 8, 8), [4, 3, 8, 8])
    assert [tuple(it) for it in profile.get_shape("image")] == [(1, 3, 8, 8), (2, 3, 8, 8), (4, 3, 8, 8)]
    assert config.add_optimization_profile(profile) == 0
    assert config.num_optimization_profiles == 1
    return driving.load(trt, builder.build_serialized_network(network, config), log)


def test_a_size_that_is_set_late(trt: ModuleType, version: str, log: driving.Log) -> None:
    engine = dynamic_engine(trt, log)
    assert driving.tensors(trt, engine)["image"][1] == (-1, 3, 8, 8)
    context = engine.create_execution_context()
    arrays = {"image": driving.random(3, 3, 8, 8), "map": np.zeros((3, 4, 8, 8), np.float32)}
    addresses = [array.ctypes.data for array in arrays.values()]
    assert context.execute_v2(addresses) is False
    assert len(log.texts("ERROR")) == 1
    set_shape = context.set_binding_shape if version == "8.2" else context.set_input_shape
    key = 0 if version == "8.2" else "image"
    assert set_shape(key, (5, 3, 8, 8)) is False, "not within the profile"
    assert set_shape(key, (3, 3, 8, 8)) is True
    shape = context.get_binding_shape(1) if version == "8.2" else context.get_tensor_shape("map")
    assert tuple(shape) == (3, 4, 8, 8)
    assert context.execute_v2(addresses) is True
    expected = driving.by_onnx_runtime(zoo.dynamic_batch(), {"image": arrays["image"]})["map"]
    assert np.array_equal(arrays["map"], expected)


def test_a_second_profile_is_not_modelled(trt: ModuleType, log: driving.Log) -> None:
    builder = trt.Builder(log.logger)
    config = builder.create_builder_config()
    assert config.add_optimization_profile(builder.create_optimization_profile()) == 0
    with pytest.raises(trt._pybind.NotModelledError):
        config.add_optimization_profile(builder.create_optimization_profile())


def test_one_profile(trt: ModuleType, log: driving.Log) -> None:
    context = dynamic_engine(trt, log).create_execution_context()
    assert context.set_optimization_profile_async(0, driving.STREAM)
    with pytest.raises(RuntimeError, match="Error in set optimization profile async"):
        context.set_optimization_profile_async(1, driving.STREAM)
    profile = trt.Builder(log.logger).create_optimization_profile()
    with pytest.raises(RuntimeError, match="Shape provided for opt is inconsistent with other shapes"):
        profile.set_shape("image", (2, 3), (1, 3), (4, 3))


def test_memory(trt: ModuleType, version: str, log: driving.Log) -> None:
    engine = loaded(trt, log)
    figures = {getattr(engine, it) for it in ("device_memory_size", "device_memory_size_v2") if hasattr(engine, it)}
    assert figures == {2 * 64 << 10}
    engine.create_execution_context()
    assert any(text.startswith("[MemUsageChange] TensorRT-managed allocation in IEx") for text in log.texts("INFO"))


class Times(list[tuple[str, Any]]):
    """What a profiler was told."""

    def profiler(self, trt: ModuleType) -> Any:
        times = self

        class Kept(trt.IProfiler):
            def __init__(self) -> None:
                trt.IProfiler.__init__(self)

            def report_layer_time(self, layer_name: str, ms: float) -> None:
                times.append((layer_name, ms))

        return Kept()


def test_a_profiler_is_told_of_every_run(trt: ModuleType, log: driving.Log) -> None:
    engine = loaded(trt, log)
    context = engine.create_execution_context()
    times = Times()
    context.profiler = times.profiler(trt)
    images = {"image": driving.random(1, 3, 8, 8)}
    driving.run(trt, engine, images, context)
    assert list(times) == PROFILED_MS
    assert context.report_to_profiler() is False, "it was reported"
    assert log.texts("ERROR")
    context.profiler = None
    driving.run(trt, engine, images, context)
    assert len(times) == 2


def test_a_profiler_may_be_told_later(trt: ModuleType, log: driving.Log) -> None:
    engine = loaded(trt, log)
    context = engine.create_execution_context()
    times = Times()
    context.profiler = times.profiler(trt)
    context.enqueue_emits_profile = False
    assert context.report_to_profiler() is False, "there was no run"
    driving.run(trt, engine, {"image": driving.random(1, 3, 8, 8)}, context)
    assert list(times) == []
    assert context.report_to_profiler() is True
    assert list(times) == PROFILED_MS
    assert context.report_to_profiler() is False, "once"


def test_a_run_before_the_profiler_came_is_not_reported(trt: ModuleType, log: driving.Log) -> None:
    engine = loaded(trt, log)
    context = engine.create_execution_context()
    driving.run(trt, engine, {"image": driving.random(1, 3, 8, 8)}, context)
    times = Times()
    context.profiler = times.profiler(trt)
    assert context.report_to_profiler() is False, "each run reports by itself"
    assert list(times) == []


def test_nvidias_own_profiler(trt: ModuleType, log: driving.Log, capfd: pytest.CaptureFixture[str]) -> None:
    engine = loaded(trt, log)
    context = engine.create_execution_context()
    context.profiler = trt.Profiler()
    driving.run(trt, engine, {"image": driving.random(1, 3, 8, 8)}, context)
    assert capfd.readouterr().out == "conv: 0.01ms\nrelu: 0.02ms\n"


@pytest.mark.parametrize("verbosity", ["NONE", "LAYER_NAMES_ONLY", "DETAILED"])
def test_what_an_inspector_says(trt: ModuleType, version: str, log: driving.Log, verbosity: str) -> None:
    network, _ = driving.parse(trt, zoo.convolution(), log)
    config = driving.plain_config(trt, network, log)
    config.profiling_verbosity = getattr(trt.ProfilingVerbosity, verbosity)
    plan = trt.Builder(log.logger).build_serialized_network(network, config)
    engine = driving.load(trt, plan)
    assert engine.profiling_verbosity == config.profiling_verbosity
    inspector = engine.create_engine_inspector()
    said = json.loads(inspector.get_engine_information(trt.LayerInformationFormat.JSON))
    assert set(said) == {"Layers", "I/O Tensors" if version == "11" else "Bindings"}
    named = [it["Name"] if verbosity == "DETAILED" else it for it in said["Layers"]]
    assert named == ([] if verbosity == "NONE" else ["conv", "relu"])
    if verbosity == "DETAILED":
        layer = json.loads(inspector.get_layer_information(0, trt.LayerInformationFormat.JSON))
        assert layer == {"Name": "conv", "LayerType": "Conv", "Outputs": ["features"]}
        assert "conv" in inspector.get_layer_information(0, trt.LayerInformationFormat.ONELINE)


def test_what_a_context_remembers(trt: ModuleType, log: driving.Log) -> None:
    context = loaded(trt, log).create_execution_context()
    context.name = "first"
    context.debug_sync = True
    assert (context.name, context.debug_sync, context.enqueue_emits_profile) == ("first", True, True)
    assert context.active_optimization_profile == 0
    assert context.all_binding_shapes_specified
    with pytest.raises(TypeError, match=r"arg0: tensorrt\.tensorrt\.IProfiler"):
        context.profiler = 5
