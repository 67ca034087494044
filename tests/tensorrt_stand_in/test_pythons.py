"""A round trip under every Python that a board may have, and under the running one."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import environments
import pytest
import zoo
from tensorrt_stand_in.placing import HERE, VERSIONS, place

MODEL = HERE.parents[1] / "compression" / "models" / "autoencoder-95.onnx"
# The Pythons of JetPack 4, 5, 6 and 7, with the versions they come with.
OF_BOARDS = [("3.6", "8.2"), ("3.8", "8.5"), ("3.10", "8.6"), ("3.10", "10.3"), ("3.12", "10.16"), ("3.12", "11")]


def asked(python: Path | str, python_path: Path, model: Path) -> Any:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment.update(PYTHONPATH=str(python_path), PYTHONDONTWRITEBYTECODE="1")
    command = [str(python), str(HERE / "round_trip.py"), str(model)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_running_python(version: str, tmp_path: Path) -> None:
    said = asked(sys.executable, place(tmp_path / "here", version), MODEL)
    assert said["tensorrt"].startswith(version)
    assert said["call"] == ("execute_async_v2" if version == "8.2" else "execute_async_v3")
    assert said["inputs"] == ["image"]
    assert said["same"] is True
    assert said["log"] == []


@pytest.mark.parametrize(("python", "version"), OF_BOARDS)
def test_the_python_of_a_board(python: str, version: str, tmp_path: Path) -> None:
    environment = next(it for it in environments.WORKERS if it.name == python)
    reason = environments.missing(environment)
    if reason is not None:
        pytest.skip(f"Python {python}: {reason}")
    model = zoo.save(zoo.autoencoder(), tmp_path)
    said = asked(environments.interpreter(environment), place(tmp_path / "here", version), model)
    assert (said["python"], said["tensorrt"].startswith(version), said["same"]) == (python, True, True)


def test_it_may_be_copied(tmp_path: Path) -> None:
    made = place(tmp_path / "made", "10.3")
    shutil.copytree(made, tmp_path / "copied")
    shutil.rmtree(made)
    model = zoo.save(zoo.autoencoder(), tmp_path)
    assert asked(sys.executable, tmp_path / "copied", model)["same"] is True


def test_a_version_there_is_none_of(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no stand-in for TensorRT '7\.1': 8\.2, 8\.5, "):
        place(tmp_path, "7.1")


def test_a_folder_that_has_one(tmp_path: Path) -> None:
    place(tmp_path, "8.2")
    with pytest.raises(FileExistsError):
        place(tmp_path, "8.5")


def test_no_module_needs_more_than_3_6() -> None:
    vermin = Path(sys.executable).with_name("vermin")
    flags = ["--target=3.6-", "--violations", "--eval-annotations", "--no-tips", "--quiet"]
    command = [str(vermin), *flags, str(HERE / "module"), str(HERE / "round_trip.py")]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stdout
