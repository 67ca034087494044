"""Plans: what a runtime loads, what it refuses, in the words of its version."""

from types import ModuleType

import pytest
import zoo
from tensorrt_stand_in import driving
from tensorrt_stand_in.placing import VERSIONS

FAULTS = "BOARDFIT_TENSORRT_FAULTS"
OLD_RUNTIME = (
    "4: [runtime.cpp::deserializeCudaEngine::50] Error Code 4: Internal Error (Engine deserialization failed.)"
)
NOT_A_PLAN = {
    "8.2": "Serialization assertion magicTagRead == magicTag failed.Magic tag does not match",
    "8.5": "Serialization assertion magicTagRead == kMAGIC_TAG failed.Magic tag does not match",
    "8.6": "Serialization assertion plan->header.magicTag == rt::kPLAN_MAGIC_TAG failed.",
    "10.3": "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Serialization assertion "
    "plan->header.magicTag == rt::kPLAN_MAGIC_TAG failed.Trying to load an engine created with incompatible "
    "serialization version. Check that the engine was not created using safety runtime, same OS was used",
}
OTHER_TAG = {
    "8.2": "stdVersionRead == serializationVersion failed.Version tag does not match. Note: Current Version: {}, ",
    "8.5": "stdVersionRead == serializationVersion failed.Version tag does not match. Note: Current Version: {}, ",
    "8.6": "stdVersionRead == kSERIALIZATION_VERSION failed.Version tag does not match. Note: Current Version: {}, ",
    "10.3": "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Serialization assertion stdVersionRead == "
    "kSERIALIZATION_VERSION failed.Version tag does not match. Note: Current Version: {}, Serialized Engine Version: ",
}
OTHER_LIBRARY = (
    "The engine plan file is not compatible with this version of TensorRT, "
    "expecting library version {} got {}, please rebuild."
)
OTHER_SM = (
    "The engine plan file is generated on an incompatible device, expecting compute {} got compute {}, please rebuild."
)


def words(table: dict[str, str], version: str) -> str:
    """Those of the version, or of the last one before it that has its own."""
    return table[[it for it in VERSIONS[: VERSIONS.index(version) + 1] if it in table][-1]]


def refused(trt: ModuleType, plan: object) -> list[str]:
    """What the logger was told."""
    log = driving.new_log(trt)
    assert driving.load(trt, plan, log) is None
    return log.texts("ERROR")


def in_form(version: str, text: str) -> str:
    """A sentence of error code 6."""
    is_older = version in ("8.2", "8.5", "8.6")
    return f"6: {text}" if is_older else f"IRuntime::deserializeCudaEngine: Error Code 6: API Usage Error ({text})"


def test_a_plan_loads(trt: ModuleType) -> None:
    log = driving.new_log(trt)
    plan = driving.build(trt, zoo.convolution())
    engine = driving.load(trt, bytes(plan), log)
    assert "Loaded engine size: 0 MiB" in log.texts("INFO")
    assert bytes(engine.serialize()) == bytes(plan)
    assert driving.load(trt, memoryview(bytes(plan))) is not None


def test_a_plan_of_each_other_version_is_refused(every: dict[str, ModuleType], trt: ModuleType, version: str) -> None:
    ours = trt.tensorrt._table.facts["serialization"]
    for other, made_by in every.items():
        if other != version:
            theirs = made_by.tensorrt._table.facts["serialization"]
            said = refused(trt, bytes(driving.build(made_by, zoo.convolution())))[0]
            assert words(OTHER_TAG, version).format(ours) in said, other
            assert f"Serialized Engine Version: {theirs})" in said, other


def test_another_patch_release(trt: ModuleType, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = bytes(driving.build(trt, zoo.convolution()))
    monkeypatch.setenv(FAULTS, "other_library=8.2.3")
    said = refused(trt, plan)
    assert said[0] == in_form(version, OTHER_LIBRARY.format(trt.tensorrt._table.facts["library"], "8.2.3"))
    assert len(said) == (2 if version in ("8.2", "8.5", "8.6") else 1)


def test_another_release(trt: ModuleType, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = bytes(driving.build(trt, zoo.convolution()))
    monkeypatch.setenv(FAULTS, "other_serialization=43")
    assert refused(trt, plan)[0].split("Serialized Engine Version: ")[1].startswith("43)")


@pytest.mark.parametrize("version", ["8.2", "8.5", "8.6"], indirect=True)
def test_another_release_in_the_other_wording_of_8(trt: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = bytes(driving.build(trt, zoo.convolution()))
    monkeypatch.setenv(FAULTS, "safe_serialization")
    said = (
        "1: [stdArchiveReader.cpp::StdArchiveReader::35] Error Code 1: Serialization (Serialization assertion "
        "safeVersionRead == safeSerializationVersion failed.Version tag does not match. Note: Current Version: 0, "
        "Serialized Engine Version: 43)"
    )
    assert refused(trt, plan) == [said, OLD_RUNTIME]


def test_another_device(trt: ModuleType, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOARDFIT_CUDA_SM", "86")
    plan = bytes(driving.build(trt, zoo.convolution()))
    monkeypatch.setenv("BOARDFIT_CUDA_SM", "61")
    said = refused(trt, plan)
    assert said[0] == in_form(version, OTHER_SM.format("6.1", "8.6"))
    assert said[1:2] == ([OLD_RUNTIME] if version in ("8.2", "8.5") else said[1:2])
    monkeypatch.setenv("BOARDFIT_CUDA_SM", "86")
    monkeypatch.setenv(FAULTS, "other_sm=53")
    assert refused(trt, plan)[0] == in_form(version, OTHER_SM.format("8.6", "5.3"))


@pytest.mark.parametrize("version", ["8.6", "10.3", "11"], indirect=True)
def test_a_plan_for_every_device_since_ampere(trt: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    log = driving.new_log(trt)
    monkeypatch.setenv("BOARDFIT_CUDA_SM", "86")
    network, _ = driving.parse(trt, zoo.convolution(), log)
    config = driving.plain_config(trt, network, log)
    config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    plan = bytes(trt.Builder(log.logger).build_serialized_network(network, config))
    for sm, loads in (("87", True), ("75", False)):
        monkeypatch.setenv("BOARDFIT_CUDA_SM", sm)
        assert (driving.load(trt, plan) is not None) == loads


def test_a_plan_that_is_cut_off_or_none(trt: ModuleType, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = bytes(driving.build(trt, zoo.convolution()))
    for content in (plan[:-1], plan[:20], b"", b"\x00" * 4096, plan + b"\0"):
        assert words(NOT_A_PLAN, version) in refused(trt, content)[0]
    monkeypatch.setenv(FAULTS, "truncated_plan")
    assert words(NOT_A_PLAN, version) in refused(trt, plan)[0]
