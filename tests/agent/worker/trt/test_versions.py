"""Each difference between versions matters: told the wrong way round, the runtime fails, or says something else."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import tensorrt_boards
import zoo
from onnx import helper

from agent import worker_folder
from agent.worker.runtimes._trt.versions import Differences

SCENARIO = Path(__file__).with_name("scenario.py")
NEVER_EQUAL = ("accelerator_s",)

# What a version knows, and where it knows both ways: these are what makes one runtime for all of them possible.
KNOWN: Mapping[str, Differences] = {
    "8.2": Differences(False, True, False, True, False, False, False, False),
    "8.5": Differences(True, True, True, True, False, False, False, False),
    "8.6": Differences(True, True, True, True, False, False, False, False),
    "10.3": Differences(True, True, True, True, True, True, True, True),
    "10.16": Differences(True, True, True, True, True, True, True, True),
    "11": Differences(True, False, True, False, True, True, True, True),
}
BOTH_WAYS = {
    ("8.5", "names_tensors"),
    ("8.6", "names_tensors"),
    ("8.5", "has_memory_pools"),
    ("8.6", "has_memory_pools"),
    ("10.3", "asks_explicit_batch"),
    ("10.16", "asks_explicit_batch"),
    ("10.3", "counts_memory_v2"),
    ("10.16", "counts_memory_v2"),
    ("11", "can_be_typed"),  # it types all there is
}


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stand-ins")


@pytest.fixture(scope="session")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return worker_folder.install(tmp_path_factory.mktemp("code"))


def played(version: str, stand_ins: Path, code: Path, folder: Path, *wrong: str) -> "subprocess.CompletedProcess[str]":
    """The scenario under the Python that boards have this version for."""
    refused = zoo.model(
        [helper.make_node("Unique", ["x"], ["y"], "act")], [zoo.tensor("x", (1, 3))], [zoo.tensor("y", (1, 3))]
    )
    (folder / "refused.onnx").write_bytes(refused.SerializeToString())
    variables = tensorrt_boards.stand_ins(stand_ins, version)
    environment = worker_folder.environment(variables | {"PYTHONPATH": f"{code}:{variables['PYTHONPATH']}"})
    command = [tensorrt_boards.python(version), str(SCENARIO), str(zoo.save(zoo.autoencoder(), folder)), str(folder)]
    return subprocess.run([*command, *wrong], env=environment, capture_output=True, text=True, timeout=50, check=False)


def said(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode == 0, done.stderr
    return {key: value for key, value in json.loads(done.stdout).items() if key not in NEVER_EQUAL}


@pytest.mark.parametrize("version", KNOWN)
def test_every_version_runs_and_says_what_it_can(version: str, stand_ins: Path, code: Path, tmp_path: Path) -> None:
    told, known = said(played(version, stand_ins, code, tmp_path)), KNOWN[version]
    [[node, operator, reason]] = told["refused"]
    assert (node, operator) == ("act" if known.names_nodes else "#0", "Unique")
    assert "Plugin not found" in reason
    assert told["parsed"] == []
    assert told["progress"] is known.tells_progress
    assert told["typed"] == [known.can_be_typed or None] * 2  # the model's, and the tiny one's
    assert len(told["layers"]) == 4


@pytest.mark.parametrize(
    ("version", "wrong"),
    [(version, wrong) for version in ("8.2", "8.5", "10.3", "11") for wrong in Differences._fields],
)
def test_told_the_wrong_way_round_it_is_noticed(
    version: str, wrong: str, stand_ins: Path, code: Path, tmp_path: Path
) -> None:
    done = played(version, stand_ins, code, tmp_path, wrong)
    if (version, wrong) in BOTH_WAYS:
        said(done)
    elif done.returncode == 0:
        right = tmp_path / "right"
        right.mkdir()
        assert said(done) != said(played(version, stand_ins, code, right))
    else:
        assert "Error" in done.stderr
