"""The table against what was read out of NVIDIA's bindings (8.6 and later) and of their sources (8.2, 8.5)."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tensorrt_stand_in.placing import HERE, VERSIONS

RECORDED = {
    "8.2": "8.2.1",
    "8.5": "8.5.1",
    "8.6": "8.6.1",
    "10.3": "10.3.0",
    "10.16": "10.16.1.11",
    "11": "11.4.0.106",
}
FROM_WHEELS = VERSIONS[2:]
OF_EVERY_CLASS = {"__del__", "__hash__"}  # of pybind11's, whatever it is


def recorded(version: str) -> Any:
    return json.loads((HERE / "recorded" / f"{RECORDED[version]}.json").read_text(encoding="utf-8"))


def table(trt: ModuleType) -> Any:
    return trt.tensorrt._table


def test_every_version_was_recorded() -> None:
    assert set(RECORDED) == set(VERSIONS)
    files = {path.stem for path in Path(HERE / "recorded").iterdir()}
    assert files == set(RECORDED.values())


def test_a_class_has_what_nvidias_has(trt: ModuleType, version: str) -> None:
    theirs = recorded(version)["classes"]
    for name, ours in table(trt).classes.items():
        if name in theirs:
            assert {row.name for row in ours.rows} | ours.not_modelled == set(theirs[name]) - OF_EVERY_CLASS, name
    assert set(theirs) <= set(table(trt).classes)


def test_of_a_version_before_a_class_came_nothing_is_left(trt: ModuleType, version: str) -> None:
    unrecorded = set(table(trt).classes) - set(recorded(version)["classes"])
    assert unrecorded == (set() if version in FROM_WHEELS else {"INetworkDefinition", "ITensor", "ILayer"})


@pytest.mark.parametrize("version", FROM_WHEELS, indirect=True)
def test_arguments_and_types_are_nvidias(trt: ModuleType, version: str) -> None:
    theirs = recorded(version)["classes"]
    for name, ours in table(trt).classes.items():
        for row in ours.rows:
            said = theirs[name][row.name]
            if row.kind == "method":
                assert {words.replace(" | None", "") for words in row.words} <= set(said), (name, row.name)
            else:
                assert f"{row.kind} {row.words[0]}" == said, (name, row.name)


@pytest.mark.parametrize("version", FROM_WHEELS, indirect=True)
def test_an_overload_is_missing_only_where_it_takes_what_is_not_modelled(trt: ModuleType, version: str) -> None:
    theirs = recorded(version)["classes"]
    left = {
        (name, said.split(":")[0].strip("("))
        for name, ours in table(trt).classes.items()
        for row in ours.rows
        if row.kind == "method"
        for said in set(theirs[name][row.name]) - {words.replace(" | None", "") for words in row.words}
    }
    assert left <= {
        ("Builder", "network"),  # kernel_text
        ("ICudaEngine", "runtime_config"),
        ("Runtime", "stream_reader"),
        ("Runtime", "stream_reader_v2"),
    }


def test_numbers_of_enumerations_are_nvidias(trt: ModuleType, version: str) -> None:
    theirs = recorded(version)["enums"]
    for name, ours in table(trt).enums.items():
        if version in FROM_WHEELS:
            assert ours.values == theirs[name]["values"], name
            assert ours.is_ordered == theirs[name]["ordered"], name
        else:
            assert set(ours.values) == set(theirs[name]) if name in theirs else name == "OnnxParserFlag", name


@pytest.mark.parametrize("version", FROM_WHEELS, indirect=True)
def test_the_module_has_the_names_of_nvidias(trt: ModuleType, version: str) -> None:
    theirs = recorded(version)
    ours = table(trt)
    enums = {name for name in ours.enums if "." not in name}
    modelled = set(ours.classes) | enums | set(ours.functions) | set(ours.values) | {"nptype", "volume"}
    leaked = {"attr", "value", "common_enter", "common_exit", "ctypes", "os", "sys", "warnings", "tensorrt"}
    assert modelled | ours.not_modelled | leaked == set(theirs["names"])
    assert not modelled & ours.not_modelled
    assert ours.values == {name: it for name, it in theirs["values"].items() if name != "value"}
    for name, words in ours.functions.items():
        assert words == theirs["functions"][name]


@pytest.mark.parametrize("version", ["8.2", "8.5"], indirect=True)
def test_the_values_of_the_older_ones(trt: ModuleType, version: str) -> None:
    assert table(trt).values == recorded(version)["values"]
