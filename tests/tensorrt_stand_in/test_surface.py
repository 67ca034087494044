"""A version has exactly what the table says, and refuses the rest as pybind11 does: texts as NVIDIA's own bindings of
8.6.1, 10.3.0 and 11.4.0 gave them."""

import pickle
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import zoo
from tensorrt_stand_in import driving
from tensorrt_stand_in.placing import VERSIONS

WITH = {"__enter__", "__exit__"}  # NVIDIA's __init__.py adds them to some


def members(kind: type) -> set[str]:
    private = {name for name in vars(kind) if name.startswith("_") and not name.startswith("__")}
    special = {"__module__", "__qualname__", "__doc__", "__hash__", "__weakref__", "__dict__", "__init__"}
    return set(vars(kind)) - private - special - WITH


def test_the_module_offers_exactly_the_table(trt: ModuleType) -> None:
    table = trt.tensorrt._table
    enums = {name for name in table.enums if "." not in name}
    leaked = {"sys", "warnings", "tensorrt"}  # of NVIDIA's __init__.py too
    expected = set(table.classes) | enums | set(table.functions) | set(table.values) | {"volume", "nptype"} | leaked
    assert {name for name in vars(trt) if not name.startswith("_")} == expected


def test_a_class_offers_exactly_the_table(trt: ModuleType) -> None:
    severities = {*trt.ILogger.Severity.__members__, "Severity"}
    of_buffers = {"__new__", "__getattribute__", "__len__", "__getitem__", "__iter__", "__repr__", "__eq__"}
    for name, table in trt.tensorrt._table.classes.items():
        more = severities if name in ("ILogger", "Logger") else of_buffers if name == "IHostMemory" else set()
        assert members(getattr(trt, name)) - more == {row.name for row in table.rows} - {"__init__"}, name


def test_an_enumeration_offers_exactly_the_table(trt: ModuleType) -> None:
    for name, table in trt.tensorrt._table.enums.items():
        enum = trt.ILogger.Severity if name == "ILogger.Severity" else getattr(trt, name)
        assert {key: int(member) for key, member in enum.__members__.items()} == table.values, name
        assert all(getattr(enum, key) is member for key, member in enum.__members__.items())


def test_a_member_of_another_version_is_missing(every: dict[str, ModuleType], trt: ModuleType) -> None:
    checked = 0
    for name in trt.tensorrt._table.classes:
        everywhere = {row.name for it in every.values() for row in _rows(it, name)}
        here = {row.name for row in _rows(trt, name)} | trt.tensorrt._table.classes[name].not_modelled
        for absent in everywhere - here - {"__len__", "__getitem__"}:
            with pytest.raises(AttributeError) as caught:
                getattr(getattr(trt, name), absent)
            assert str(caught.value) == f"type object 'tensorrt.tensorrt.{name}' has no attribute '{absent}'"
            checked += 1
    assert checked > 10


def _rows(trt: ModuleType, name: str) -> list[Any]:
    classes = trt.tensorrt._table.classes
    return classes[name].rows if name in classes else []


@pytest.mark.filterwarnings("ignore:Use .* instead:DeprecationWarning")
@pytest.mark.parametrize(
    ("attribute", "having"),
    [
        ("num_bindings", {"8.2", "8.5", "8.6"}),
        ("get_binding_shape", {"8.2", "8.5", "8.6"}),
        ("max_batch_size", {"8.2", "8.5", "8.6"}),
        ("num_io_tensors", set(VERSIONS) - {"8.2"}),
        ("get_tensor_name", set(VERSIONS) - {"8.2"}),
        ("device_memory_size", set(VERSIONS) - {"11"}),
        ("device_memory_size_v2", {"10.3", "10.16", "11"}),
        ("hardware_compatibility_level", set(VERSIONS) - {"8.2", "8.5"}),
    ],
)
def test_what_an_engine_has(trt: ModuleType, version: str, attribute: str, having: set[str]) -> None:
    engine = driving.load(trt, driving.build(trt, zoo.convolution()))
    assert hasattr(engine, attribute) == (version in having)
    if version not in having:
        with pytest.raises(AttributeError) as caught:
            getattr(engine, attribute)
        assert str(caught.value) == f"'tensorrt.tensorrt.ICudaEngine' object has no attribute '{attribute}'"


def test_what_a_context_has(trt: ModuleType, version: str) -> None:
    context = driving.load(trt, driving.build(trt, zoo.convolution())).create_execution_context()
    assert hasattr(context, "execute_v2")
    assert hasattr(context, "execute_async_v2") == (version in ("8.2", "8.5", "8.6"))
    assert hasattr(context, "execute_async_v3") == (version != "8.2")
    assert hasattr(context, "set_tensor_address") == (version != "8.2")


def test_what_a_configuration_has(trt: ModuleType, version: str) -> None:
    config = trt.Builder(driving.new_log(trt).logger).create_builder_config()
    assert hasattr(config, "set_memory_pool_limit") == (version != "8.2")
    assert hasattr(config, "progress_monitor") == (version in ("10.3", "10.16", "11"))
    assert hasattr(trt.BuilderFlag, "FP16") == (version != "11")
    assert hasattr(trt.BuilderFlag, "STRICT_TYPES") == (version in ("8.2", "8.5", "8.6"))
    assert hasattr(trt.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH") == (version != "11")


@pytest.mark.parametrize("version", ["10.3", "10.16", "11"], indirect=True)
def test_an_absent_property_cannot_be_set_either(trt: ModuleType) -> None:
    config = trt.Builder(driving.new_log(trt).logger).create_builder_config()
    with pytest.raises(AttributeError, match=r"^'tensorrt.tensorrt.IBuilderConfig' object has no attribute 'max_works"):
        config.max_workspace_size = 1 << 28


def test_what_is_not_modelled_is_no_absence(trt: ModuleType, version: str) -> None:
    not_modelled = trt._pybind.NotModelledError
    assert not issubclass(not_modelled, AttributeError)
    with pytest.raises(not_modelled, match="error_recorder"):
        hasattr(trt.ICudaEngine, "error_recorder")
    engine = driving.load(trt, driving.build(trt, zoo.convolution()))
    with pytest.raises(not_modelled):
        hasattr(engine, "error_recorder")
    with pytest.raises(not_modelled):
        engine.error_recorder = None
    if version not in ("8.2", "8.5"):
        with pytest.raises(not_modelled):
            hasattr(trt, "Refitter")
    assert not hasattr(trt, "frobnicate")
    with pytest.raises(AttributeError, match=r"^module 'tensorrt' has no attribute 'frobnicate'$"):
        _ = trt.frobnicate


@pytest.mark.parametrize("version", ["8.2"], indirect=True)
def test_a_flag_that_8_2_may_not_have_is_no_absence(trt: ModuleType) -> None:
    with pytest.raises(trt._pybind.NotModelledError):
        hasattr(trt.BuilderFlag, "DIRECT_IO")
    assert not hasattr(trt.BuilderFlag, "VERSION_COMPATIBLE")


def test_no_constructor(trt: ModuleType) -> None:
    with pytest.raises(TypeError, match=r"^tensorrt.tensorrt.ICudaEngine: No constructor defined!$"):
        trt.ICudaEngine()


def test_a_constructor_without_its_argument(trt: ModuleType) -> None:
    with pytest.raises(TypeError) as caught:
        trt.Builder(5)
    assert str(caught.value) == (
        "__init__(): incompatible constructor arguments. The following argument types are supported:\n"
        "    1. tensorrt.tensorrt.Builder(logger: tensorrt.tensorrt.ILogger)\n\nInvoked with: 5"
    )


def test_a_logger_that_forgets_its_base(trt: ModuleType) -> None:
    class Forgetful(trt.ILogger):
        def __init__(self) -> None:
            pass

    with pytest.raises(TypeError) as caught:
        Forgetful()
    assert str(caught.value) == "tensorrt.tensorrt.ILogger.__init__() must be called when overriding __init__"


def test_a_logger_may_have_attributes_of_its_own(trt: ModuleType) -> None:
    class Own(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: list[str] = []

    assert Own().lines == []
    with pytest.raises(AttributeError, match=r"^'Own' object has no attribute 'foo'$"):
        _ = Own().foo


def test_arguments_that_do_not_fit(trt: ModuleType) -> None:
    engine = driving.load(trt, driving.build(trt, zoo.convolution()))
    context = engine.create_execution_context()
    with pytest.raises(TypeError) as caught:
        context.execute_v2(5)
    assert str(caught.value).startswith(
        "execute_v2(): incompatible function arguments. The following argument types are supported:\n"
        "    1. (self: tensorrt.tensorrt.IExecutionContext, bindings: List[int]) -> bool\n\n"
        "Invoked with: <tensorrt.tensorrt.IExecutionContext object at 0x"
    )
    for wrong in ((), ([1], 2, 3, 4), (["a"],), ([1.5],)):
        with pytest.raises(TypeError, match=r"^execute_v2\(\): incompatible function arguments"):
            context.execute_v2(*wrong)
    with pytest.raises(TypeError, match="; kwargs: stream=1"):
        context.execute_v2([1], stream=1)
    with pytest.raises(TypeError, match=r"^serialize\(\): incompatible function arguments"):
        trt.ICudaEngine.serialize()


def test_what_pybind11_takes_for_a_number(trt: ModuleType) -> None:
    log = driving.new_log(trt)
    builder = trt.Builder(log.logger)
    config = builder.create_builder_config()
    config.flags = np.int64(3)
    assert config.flags == 3
    with pytest.raises(TypeError, match="arg0: int"):
        config.flags = 3.0
    with pytest.raises(TypeError, match="ProfilingVerbosity"):
        config.profiling_verbosity = 2
    assert builder.create_network(flags=trt.NetworkDefinitionCreationFlag(0)) is not None


def test_a_parser_wants_a_network(trt: ModuleType) -> None:
    with pytest.raises(TypeError, match=r"OnnxParser\(network: tensorrt.tensorrt.INetworkDefinition, logger: "):
        trt.OnnxParser(None, driving.new_log(trt).logger)


def test_plugins(trt: ModuleType) -> None:
    log = driving.new_log(trt)
    assert trt.init_libnvinfer_plugins(log.logger, "") is True
    assert trt.init_libnvinfer_plugins(None, "") is True
    with pytest.raises(TypeError, match=r"^init_libnvinfer_plugins\(\): incompatible function arguments"):
        trt.init_libnvinfer_plugins("x", "")


def test_members_of_enumerations(trt: ModuleType) -> None:
    tf32 = trt.BuilderFlag.TF32
    assert 1 << int(tf32) == 1 << trt.tensorrt._table.enums["BuilderFlag"].values["TF32"]
    assert (tf32.name, str(tf32), repr(tf32)) == ("TF32", "BuilderFlag.TF32", f"<BuilderFlag.TF32: {tf32.value}>")
    assert (tf32 == int(tf32), tf32 != int(tf32), tf32 == trt.BuilderFlag(int(tf32))) == (False, True, True)
    assert trt.DataType.FLOAT != trt.TensorLocation.DEVICE
    assert trt.ILogger.ERROR <= trt.ILogger.Severity.WARNING
    assert {trt.Logger.ERROR: 1}[trt.ILogger.Severity.ERROR] == 1
    with pytest.raises(TypeError, match="Expected an enumeration of matching type!"):
        _ = tf32 < 8
    with pytest.raises(TypeError, match="not supported between instances"):
        _ = trt.DataType.FLOAT < trt.DataType.HALF
    with pytest.raises(TypeError):
        _ = tf32 | tf32
    with pytest.raises(TypeError):
        _ = 1 << tf32
    with pytest.raises(TypeError):
        iter(trt.BuilderFlag)
    with pytest.raises(AttributeError, match=r"^'tensorrt.tensorrt.BuilderFlag' object has no attribute 'x'$"):
        tf32.x = 1
    assert repr(trt.BuilderFlag(99)) == "<BuilderFlag.???: 99>"
    assert trt.float16 is trt.DataType.HALF
    assert trt.float16.itemsize == 2


def test_a_member_prints_under_its_first_name(every: dict[str, ModuleType]) -> None:
    assert repr(every["8.6"].EngineCapability.STANDARD) == "<EngineCapability.DEFAULT: 0>"
    assert repr(every["10.3"].EngineCapability.STANDARD) == "<EngineCapability.STANDARD: 0>"
    assert repr(every["10.3"].BuilderFlag.STRIP_PLAN) == "<BuilderFlag.WEIGHTLESS: 19>"


def test_dims(trt: ModuleType) -> None:
    dims = trt.Dims([1, 2, 3])
    assert dims == (1, 2, 3)
    assert dims == [1, 2, 3]
    assert (tuple(dims), len(dims), dims[-1], dims[0:2], str(dims)) == ((1, 2, 3), 3, 3, (1, 2), "(1, 2, 3)")
    assert trt.volume(dims) == 6
    dims[0] = 5
    assert dims == (5, 2, 3)
    with pytest.raises(TypeError, match=r"^__eq__\(\): incompatible function arguments"):
        _ = dims == trt.Dims([5, 2, 3])
    with pytest.raises(IndexError, match="Out of bounds"):
        _ = dims[9]
    with pytest.raises(ValueError, match=r"Input length 9\. Max expected length is 8"):
        trt.Dims([1] * 9)


def test_host_memory_is_a_buffer_and_no_bytes(trt: ModuleType) -> None:
    plan = driving.build(trt, zoo.convolution())
    content = bytes(plan)
    assert plan.nbytes == len(content) == memoryview(plan).nbytes
    assert np.frombuffer(plan, np.uint8).tobytes() == content
    assert not isinstance(plan, bytes | bytearray)
    assert isinstance(plan, trt.IHostMemory)
    for wrong in (lambda: len(plan), lambda: plan[0], lambda: list(plan)):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(AttributeError, match=r"^'tensorrt.tensorrt.IHostMemory' object has no attribute 'tobytes'$"):
        plan.tobytes()


def test_numpy_types(trt: ModuleType, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert trt.nptype(trt.float32) is np.float32
    assert trt.nptype(trt.bool) is np.bool_
    if version not in ("8.2", "8.5"):
        with pytest.raises(TypeError, match="Could not resolve TensorRT datatype"):
            trt.nptype(trt.fp8)
    monkeypatch.delattr(np, "bool")  # as in numpy 1.24 to 1.26
    if version in ("8.2", "8.5"):
        with pytest.raises(AttributeError, match="bool"):
            trt.nptype(trt.float32)
    else:
        assert trt.nptype(trt.float32) is np.float32


def test_with_is_deprecated(trt: ModuleType) -> None:
    with pytest.warns(DeprecationWarning, match="Context managers"):
        assert trt.Logger.__enter__(trt.Logger()) is not None


@pytest.mark.parametrize(("version", "warns"), [("8.2", False), ("8.5", True), ("8.6", True)], indirect=["version"])
def test_the_older_calls_are_deprecated_from_8_5_on(trt: ModuleType, warns: bool) -> None:
    engine = driving.load(trt, driving.build(trt, zoo.convolution()))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        engine.get_binding_name(0)
    assert [str(it.message) for it in caught] == ["Use get_tensor_name instead."] * warns


def test_read_only(trt: ModuleType) -> None:
    engine = driving.load(trt, driving.build(trt, zoo.convolution()))
    with pytest.raises(AttributeError):
        engine.num_layers = 3


def test_the_versions_said(trt: ModuleType, version: str) -> None:
    assert trt.__version__.startswith(version)
    assert trt.get_nv_onnx_parser_version() // 10000 == int(version.split(".")[0])


@pytest.mark.parametrize("version", ["10.3"], indirect=True)
def test_an_enumerations_member_can_be_pickled(trt: ModuleType) -> None:
    cls, arguments = trt.DataType.HALF.__reduce__()
    assert pickle.loads(pickle.dumps(arguments)) == (1,)
    assert cls(*arguments) == trt.DataType.HALF
