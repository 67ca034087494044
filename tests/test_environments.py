"""Preparing an environment: whole or not there, done once, said when it cannot be had. It needs no network here."""

import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import environments
import pytest
from environments import Environment

TINY = Environment("tiny", "{}.{}".format(*sys.version_info), ("boardfit_tiny==1",))


@pytest.fixture(autouse=True)
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place packages come from; empty. Environments are made elsewhere than the real ones."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(environments, "FOLDER", tmp_path / "environments")
    return folder


def _wheel(folder: Path, version: str = "1", source: str = "") -> None:
    info = f"boardfit_tiny-{version}.dist-info"
    with zipfile.ZipFile(folder / f"boardfit_tiny-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("boardfit_tiny.py", f"VERSION = {version}\n{source}")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: boardfit_tiny\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


def _version(environment: Environment) -> str:
    command = [str(environments.interpreter(environment)), "-c", "import boardfit_tiny; print(boardfit_tiny.VERSION)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_what_cannot_be_downloaded_is_said_and_the_next_time_tried_again(
    wheels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert environments.missing(TINY) == "run: python tests/environments.py"
    environments.prepare(TINY)
    assert "environment tiny: skipped: " in capsys.readouterr().out
    assert "boardfit_tiny==1" in str(environments.missing(TINY))
    _wheel(wheels)
    environments.prepare(TINY)
    assert "environment tiny: ready after " in capsys.readouterr().out
    assert environments.missing(TINY) is None
    assert _version(TINY) == "1"


def test_a_second_time_nothing_is_done_until_it_should_be_another(
    wheels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _wheel(wheels, "1")
    _wheel(wheels, "2")
    environments.prepare(TINY)
    capsys.readouterr()
    environments.prepare(TINY)
    assert capsys.readouterr().out == ""
    newer = replace(TINY, requirements=("boardfit_tiny==2",))
    assert environments.missing(newer) is not None
    environments.prepare(newer)
    assert _version(newer) == "2"


def test_one_that_does_not_work_is_not_there(wheels: Path) -> None:
    _wheel(wheels, source="raise SystemError('built for another numpy')")
    environments.prepare(TINY)
    assert "built for another numpy" in str(environments.missing(TINY))
    assert not environments.interpreter(TINY).exists()


def test_what_a_kill_left_is_no_environment_and_is_cleared_away(wheels: Path) -> None:
    _wheel(wheels)
    environments.prepare(TINY)
    environments.FOLDER.joinpath("tiny").rename(environments.FOLDER / ".unfinished-tiny")  # killed before the rename
    assert environments.missing(TINY) is not None
    environments.prepare(TINY)
    assert _version(TINY) == "1"
    assert {path.name for path in environments.FOLDER.iterdir()} == {"tiny", ".lock"}


def test_a_python_that_is_not_on_this_machine_is_said() -> None:
    never = replace(TINY, name="never", python="3.99")
    environments.prepare(never)
    assert "there is no Python 3.99" in str(environments.missing(never))
