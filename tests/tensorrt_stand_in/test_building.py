"""The builder: precisions, workspace, timing caches, progress, and what it refuses."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import zoo
from onnx import TensorProto
from tensorrt_stand_in import driving, models

OLDER = ("8.2", "8.5", "8.6")
WEAK = (*OLDER, "10.3", "10.16")
TYPED = ("10.3", "10.16", "11")


def strongly_typed(trt: ModuleType) -> int:
    return 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def configured(trt: ModuleType, model: Any, log: driving.Log, *flags: str, network_flags: int | None = None) -> Any:
    """(builder, network, configuration)."""
    network, _ = driving.parse(trt, model, log, network_flags)
    return trt.Builder(log.logger), network, driving.plain_config(trt, network, log, *flags)


@pytest.fixture
def log(trt: ModuleType) -> driving.Log:
    return driving.new_log(trt)


def test_tf32_is_on_unless_it_is_cleared(trt: ModuleType, log: driving.Log) -> None:
    config = trt.Builder(log.logger).create_builder_config()
    assert config.get_flag(trt.BuilderFlag.TF32)
    config.clear_flag(trt.BuilderFlag.TF32)
    assert config.flags == 0
    config.set_flag(trt.BuilderFlag.DEBUG)
    assert config.flags == 1 << int(trt.BuilderFlag.DEBUG)
    config.reset()
    assert config.get_flag(trt.BuilderFlag.TF32)


def test_each_precision_shows(trt: ModuleType, version: str, log: driving.Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """fp32 bit by bit; TF32 and FP16 in the last bits, and each otherwise."""
    monkeypatch.setenv("BOARDFIT_CUDA_SM", "87")
    images = {"image": driving.random(1, 3, 8, 8)}
    exact = driving.by_onnx_runtime(zoo.convolution(), images)["map"]
    got = {"fp32": driving.run(trt, driving.load(trt, driving.build(trt, zoo.convolution())), images)["map"]}
    for precision, flag in (("tf32", "TF32"), ("fp16", "FP16")):
        if hasattr(trt.BuilderFlag, flag):
            got[precision] = driving.run(trt, driving.load(trt, driving.build(trt, zoo.convolution(), flag)), images)[
                "map"
            ]
    assert np.array_equal(got["fp32"], exact)
    assert ("fp16" in got) == (version != "11")
    for precision, result in got.items():
        if precision != "fp32":
            assert not np.array_equal(result, exact)
            assert np.abs(result - exact).max() < 1e-2
    if "fp16" in got:
        assert np.array_equal(got["fp16"], exact.astype(np.float16).astype(np.float32))
    assert np.array_equal(got["tf32"], got["tf32"].view(np.uint32).__and__(0xFFFFE000).view(np.float32))


@pytest.mark.parametrize("version", WEAK, indirect=True)
def test_the_range_of_each_precision(trt: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """float16 ends at 65,504, TF32 where float32 does."""
    monkeypatch.setenv("BOARDFIT_CUDA_SM", "87")
    x = {"x": np.array([[70000.0, np.inf, 1e-30, 1.0]], np.float32)}
    model = models.typed(TensorProto.FLOAT)
    fp16 = driving.run(trt, driving.load(trt, driving.build(trt, model, "FP16")), x)["y"]
    tf32 = driving.run(trt, driving.load(trt, driving.build(trt, model, "TF32")), x)["y"]
    assert fp16.tolist() == [[np.inf, np.inf, 0.0, 1.0]]
    assert tf32[0, 0] == pytest.approx(70000.0, rel=1e-3)
    assert tf32[0, 2] == pytest.approx(1e-30, rel=1e-3)


def test_tf32_needs_the_hardware(trt: ModuleType, log: driving.Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOARDFIT_CUDA_SM", "53")
    images = {"image": driving.random(1, 3, 8, 8)}
    engine = driving.load(trt, driving.build(trt, zoo.convolution(), "TF32"))
    exact = driving.by_onnx_runtime(zoo.convolution(), images)["map"]
    assert np.array_equal(driving.run(trt, engine, images)["map"], exact)


@pytest.mark.parametrize(("sm", "fp16", "int8", "tf32"), [("53", 1, 0, 0), ("61", 0, 1, 0), ("87", 1, 1, 1)])
@pytest.mark.parametrize("version", WEAK, indirect=True)
def test_what_the_platform_is_fast_at(
    trt: ModuleType, log: driving.Log, monkeypatch: pytest.MonkeyPatch, sm: str, fp16: int, int8: int, tf32: int
) -> None:
    monkeypatch.setenv("BOARDFIT_CUDA_SM", sm)
    builder = trt.Builder(log.logger)
    found = builder.platform_has_fast_fp16, builder.platform_has_fast_int8, builder.platform_has_tf32
    assert found == (bool(fp16), bool(int8), bool(tf32))


@pytest.mark.parametrize("version", ["11"], indirect=True)
def test_11_does_not_say_what_it_is_fast_at(trt: ModuleType, log: driving.Log) -> None:
    builder = trt.Builder(log.logger)
    assert not any(hasattr(builder, f"platform_has_{it}") for it in ("fast_fp16", "fast_int8", "tf32"))


def test_the_workspace(trt: ModuleType, version: str, log: driving.Log) -> None:
    config = trt.Builder(log.logger).create_builder_config()
    if version == "8.2":
        config.max_workspace_size = 1 << 28
        assert config.max_workspace_size == 1 << 28
        return
    workspace = trt.MemoryPoolType.WORKSPACE
    assert config.get_memory_pool_limit(workspace) > 1 << 28
    config.set_memory_pool_limit(workspace, 1 << 28)
    assert config.get_memory_pool_limit(workspace) == 1 << 28
    assert hasattr(type(config), "max_workspace_size") == (version in OLDER)


@pytest.mark.parametrize("version", WEAK, indirect=True)
def test_a_quantised_network_needs_the_int8_flag(trt: ModuleType, version: str, log: driving.Log) -> None:
    assert driving.build(trt, models.quantised(), log=log) is None
    older = (
        "4: [network.cpp::validate::2925] Error Code 4: Internal Error (Int8 precision has been set for a layer or "
        "layer output, but int8 is not configured in the builder)"
    )
    newer = (
        "IBuilder::buildSerializedNetwork: Error Code 4: API Usage Error (int8 precision has been set for at least one "
        "layer or layer output, but int8 is not configured in the builder.)"
    )
    failed = "2: [builder.cpp::buildSerializedNetwork::636] Error Code 2: Internal Error (Assertion engine != nullptr"
    assert log.texts("ERROR")[0] == (older if version in OLDER else newer)
    assert [text.startswith(failed) for text in log.texts("ERROR")[1:]] == [True] * (version in OLDER)
    assert driving.build(trt, models.quantised(), "INT8") is not None


@pytest.mark.parametrize("version", WEAK, indirect=True)
def test_int8_without_scales(trt: ModuleType, log: driving.Log) -> None:
    assert driving.build(trt, zoo.convolution(), "INT8", log=log) is None
    assert "Calibration failure occurred with no scaling factors detected." in log.texts("ERROR")[0]


@pytest.mark.parametrize("version", TYPED, indirect=True)
def test_a_strongly_typed_network_needs_no_flag(trt: ModuleType, version: str, log: driving.Log) -> None:
    builder, network, config = configured(trt, models.quantised(), log, network_flags=strongly_typed(trt))
    assert builder.build_serialized_network(network, config) is not None
    assert network.get_flag(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    if version != "11":
        config.set_flag(trt.BuilderFlag.FP16)
        assert builder.build_serialized_network(network, config) is None
        assert "BuilderFlag::kFP16 may not be set" in log.texts("ERROR")[0]


@pytest.mark.parametrize("version", ["11"], indirect=True)
def test_11_is_always_strongly_typed(trt: ModuleType) -> None:
    assert driving.build(trt, models.quantised()) is not None
    images = {"image": driving.random(1, 3, 8, 8)}
    engine = driving.load(trt, driving.build(trt, models.quantised()))
    exact = driving.by_onnx_runtime(models.quantised(), images)["map"]
    assert np.array_equal(driving.run(trt, engine, images)["map"], exact)


@pytest.mark.parametrize("version", WEAK, indirect=True)
def test_int8_on_hardware_without_it(trt: ModuleType, log: driving.Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOARDFIT_CUDA_SM", "53")
    assert driving.build(trt, models.quantised(), "INT8", log=log) is not None
    assert log.texts("WARNING") == [
        "Int8 support requested on hardware without native Int8 support, performance will be negatively affected."
    ]


def test_a_network_without_sizes_needs_a_profile(trt: ModuleType, log: driving.Log) -> None:
    assert driving.build(trt, zoo.dynamic_batch(), log=log) is None
    text = "Network has dynamic or shape inputs, but no optimization profile has been defined."
    assert text in log.texts("ERROR")[0]


def test_an_empty_network(trt: ModuleType, log: driving.Log) -> None:
    network = driving.network(trt, log)
    config = driving.plain_config(trt, network, log)
    assert trt.Builder(log.logger).build_serialized_network(network, config) is None
    assert log.texts("ERROR")


def test_a_network_that_cannot_be_computed(trt: ModuleType, log: driving.Log) -> None:
    assert driving.build(trt, zoo.unimplemented(), log=log) is None
    assert "Could not find any implementation for node conv." in log.texts("ERROR")[0]


def test_is_network_supported(trt: ModuleType, log: driving.Log) -> None:
    builder, network, config = configured(trt, zoo.convolution(), log)
    assert builder.is_network_supported(network, config)
    builder, network, config = configured(trt, zoo.dynamic_batch(), log)
    assert not builder.is_network_supported(network, config)


@pytest.mark.filterwarnings("ignore:Use build_serialized_network instead:DeprecationWarning")
def test_an_engine_at_once(trt: ModuleType, version: str, log: driving.Log) -> None:
    builder, network, config = configured(trt, zoo.convolution(), log)
    if version == "10.3":
        assert not hasattr(builder, "build_engine")
        assert not hasattr(builder, "build_engine_with_config")
        return
    build = builder.build_engine if version in OLDER else builder.build_engine_with_config
    images = {"image": driving.random(1, 3, 8, 8)}
    exact = driving.by_onnx_runtime(zoo.convolution(), images)["map"]
    assert np.array_equal(driving.run(trt, build(network, config), images)["map"], exact)


def test_a_timing_cache(trt: ModuleType, log: driving.Log) -> None:
    builder, network, config = configured(trt, zoo.convolution(), log)
    assert config.get_timing_cache() is None
    cache = config.create_timing_cache(b"")
    empty = bytes(cache.serialize())
    assert config.set_timing_cache(cache, False)
    assert builder.build_serialized_network(network, config) is not None
    kept = bytes(config.get_timing_cache().serialize())
    assert len(kept) > len(empty)
    again = builder.create_builder_config().create_timing_cache(kept)
    assert bytes(again.serialize()) == kept
    assert again.combine(cache, False)
    assert again.reset()
    assert bytes(again.serialize()) == empty


def test_a_timing_cache_of_another_device(trt: ModuleType, log: driving.Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOARDFIT_CUDA_SM", "86")
    kept = bytes(trt.Builder(log.logger).create_builder_config().create_timing_cache(b"").serialize())
    monkeypatch.setenv("BOARDFIT_CUDA_SM", "87")
    config = trt.Builder(log.logger).create_builder_config()
    cache = config.create_timing_cache(kept)
    assert config.set_timing_cache(cache, False) is False
    assert "compute 8.6" in log.texts("ERROR")[0]
    assert config.get_timing_cache() is None
    assert config.set_timing_cache(cache, True) is True


def test_a_timing_cache_of_another_version(trt: ModuleType, every: dict[str, ModuleType], version: str) -> None:
    other = every["10.16" if version != "10.16" else "8.2"]
    kept = bytes(
        other.Builder(driving.new_log(other).logger).create_builder_config().create_timing_cache(b"").serialize()
    )
    log = driving.new_log(trt)
    config = trt.Builder(log.logger).create_builder_config()
    for content in (kept, b"damaged"):
        log.lines.clear()
        assert config.create_timing_cache(content) is None
        assert log.texts("ERROR")


def test_tactic_sources(trt: ModuleType, log: driving.Log) -> None:
    config = trt.Builder(log.logger).create_builder_config()
    every_source = config.get_tactic_sources()
    assert every_source == sum(1 << int(it) for it in trt.TacticSource.__members__.values())
    assert config.set_tactic_sources(0)
    assert config.get_tactic_sources() == 0
    assert not config.set_tactic_sources(1 << 30)


@pytest.mark.parametrize("version", ["10.3", "10.16", "11"], indirect=True)
def test_progress(trt: ModuleType, log: driving.Log) -> None:
    seen: list[tuple[Any, ...]] = []

    class Monitor(trt.IProgressMonitor):
        def phase_start(self, *args: Any) -> None:
            seen.append(("start", *args))

        def step_complete(self, phase_name: str, step: int) -> bool:
            seen.append(("step", step))
            return True

        def phase_finish(self, phase_name: str) -> None:
            seen.append(("finish", phase_name))

    builder, network, config = configured(trt, zoo.convolution(), log)
    monitor = Monitor()
    config.progress_monitor = monitor
    assert builder.build_serialized_network(network, config) is not None
    assert seen == [("start", "Building Engine", None, 2), ("step", 0), ("step", 1), ("finish", "Building Engine")]
    config.progress_monitor = None
    assert builder.build_serialized_network(network, config) is not None


@pytest.mark.parametrize("version", ["10.3", "11"], indirect=True)
@pytest.mark.parametrize("raises", [False, True])
def test_progress_may_stop_a_build(
    trt: ModuleType, log: driving.Log, capfd: pytest.CaptureFixture[str], raises: bool
) -> None:
    class Stopping(trt.IProgressMonitor):
        def phase_start(self, *args: Any) -> None:
            pass

        def step_complete(self, phase_name: str, step: int) -> bool:
            if raises:
                raise ValueError("no more")
            return False

        def phase_finish(self, phase_name: str) -> None:
            pass

    builder, network, config = configured(trt, zoo.convolution(), log)
    monitor = Stopping()
    config.progress_monitor = monitor
    assert builder.build_serialized_network(network, config) is None
    assert capfd.readouterr().err == ("[ERROR] Exception caught in step_complete(): no more\n" if raises else "")


@pytest.mark.parametrize("version", ["8.5", "8.6", "10.3", "10.16", "11"], indirect=True)
def test_a_logger_that_raises_is_said_and_ignored(trt: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    class Raising(trt.ILogger):
        def log(self, severity: Any, msg: str) -> None:
            raise ValueError("no")

    assert trt.Runtime(Raising()) is not None
    assert "[ERROR] Exception caught in log(): no\n" in capfd.readouterr().err


def test_nvidias_own_logger(trt: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    logger = trt.Logger(trt.Logger.INFO)
    assert logger.min_severity == trt.Logger.INFO
    logger.log(trt.Logger.ERROR, "hello")
    logger.log(trt.Logger.VERBOSE, "unheard")
    said = capfd.readouterr().out
    assert said.endswith("] [TRT] [E] hello\n")
    assert said.count("\n") == 1
    assert trt.Logger().min_severity == trt.ILogger.WARNING
