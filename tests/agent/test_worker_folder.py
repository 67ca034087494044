"""The worker's code in its folder: whole or not there, whoever is killed or quicker; and what its environment lacks."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent import worker_folder
from agent.errors import DiskFullError, StartError
from agent.worker_folder import PACKAGE

# Installs, and dies as it is about to write the file of this number.
KILLED = """
import os, signal, sys
from pathlib import Path
from agent import worker_folder

written, write = [], Path.write_bytes

def write_or_die(path, content):
    if len(written) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    written.append(path)
    return write(path, content)

Path.write_bytes = write_or_die
worker_folder.install(Path(sys.argv[1]))
"""
INSTALL = (
    "import sys; from pathlib import Path; from agent import worker_folder; worker_folder.install(Path(sys.argv[1]))"
)
SOURCES = sorted(path.relative_to(worker_folder._SOURCE) for path in worker_folder._SOURCE.rglob("*.py"))


def _is_whole(folder: Path) -> bool:
    return sorted(path.relative_to(folder / PACKAGE) for path in folder.rglob("*.py")) == SOURCES and all(
        (folder / PACKAGE / path).read_bytes() == (worker_folder._SOURCE / path).read_bytes() for path in SOURCES
    )


def test_the_folder_has_every_module_and_nothing_else_of_ours_beside_it(tmp_path: Path) -> None:
    folder = worker_folder.install(tmp_path)
    assert folder.parent == tmp_path / "worker"
    assert _is_whole(folder)
    assert [path.name for path in folder.iterdir()] == [PACKAGE]
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, ".lock"}


def test_the_name_is_by_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    (source / "runtimes").mkdir(parents=True)
    (source / "loop.py").write_text("one")
    monkeypatch.setattr(worker_folder, "_SOURCE", source)
    names = {worker_folder.install(tmp_path)}
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "loop.pyc").touch()
    assert worker_folder.install(tmp_path) in names
    for path, text in (("loop.py", "two"), ("runtimes/loop.py", "one"), ("loop.py", "one")):
        (source / path).write_text(text)
        names.add(worker_folder.install(tmp_path))
    assert len(names) == 4


def test_a_second_install_writes_nothing(tmp_path: Path) -> None:
    folder = worker_folder.install(tmp_path)
    before = {path: path.stat().st_ino for path in folder.rglob("*.py")}
    assert worker_folder.install(tmp_path) == folder
    assert {path: path.stat().st_ino for path in folder.rglob("*.py")} == before


@pytest.mark.parametrize("damage", ["truncated", "removed", "added"])
def test_a_folder_that_is_not_right_is_made_anew(tmp_path: Path, damage: str) -> None:
    folder = worker_folder.install(tmp_path)
    if damage == "truncated":  # as a power cut leaves a file that was never synced
        (folder / PACKAGE / "loop.py").write_bytes(b"")
    elif damage == "removed":
        (folder / PACKAGE / "loop.py").unlink()
    else:
        (folder / PACKAGE / "numpy.py").write_text("import antigravity")
    assert not _is_whole(folder)
    assert worker_folder.install(tmp_path) == folder
    assert _is_whole(folder)


@pytest.mark.parametrize("file", [0, 1, len(SOURCES) - 1])
def test_an_install_killed_half_way_leaves_no_folder_and_the_next_one_is_whole(tmp_path: Path, file: int) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(file)], timeout=30, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in (tmp_path / "worker").iterdir() if not path.name.startswith(".")] == []
    folder = worker_folder.install(tmp_path)
    assert _is_whole(folder)
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, ".lock"}


def test_many_at_once_make_one(tmp_path: Path) -> None:
    installing = [subprocess.Popen([sys.executable, "-c", INSTALL, str(tmp_path)]) for _ in range(6)]
    assert [each.wait(timeout=30) for each in installing] == [0] * 6
    (folder,) = (path for path in (tmp_path / "worker").iterdir() if path.name != ".lock")
    assert _is_whole(folder)


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "worker").write_text("a file, not a folder")
    with pytest.raises(StartError, match="cannot be written to") as refusal:
        worker_folder.install(tmp_path)
    assert "--data-dir" in refusal.value.hint


def test_a_full_disk_is_said_and_leaves_no_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path, _content: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(DiskFullError):
            worker_folder.install(tmp_path)
    assert _is_whole(worker_folder.install(tmp_path))


def test_what_binds_to_the_agent_s_python_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    unwanted = (
        *("PYTHONPATH", "PYTHONHOME", "PYTHONNOUSERSITE", "PYTHONWARNINGS", "PYTHONOPTIMIZE", "PYTHONSAFEPATH"),
        *("PYTHONDEVMODE", "PYTHONMALLOC", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"),
    )
    for name in unwanted:
        monkeypatch.setenv(name, "/somewhere")
    monkeypatch.setenv("PYTHONUSERBASE", "/home/user/.local")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/usr/local/cuda/lib64")
    environment = worker_folder.environment({})
    assert {name for name in environment if name.startswith("PYTHON")} == {
        "PYTHONUSERBASE",
        "PYTHONUNBUFFERED",
        "PYTHONDONTWRITEBYTECODE",
    }
    assert not environment.keys() & {"VIRTUAL_ENV", "__PYVENV_LAUNCHER__"}
    assert environment["LD_LIBRARY_PATH"] == "/usr/local/cuda/lib64"
    assert environment["HOME"] == os.environ["HOME"]


def test_what_the_profile_adds_comes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "4")
    environment = worker_folder.environment({"OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": ""})
    assert environment["OPENBLAS_NUM_THREADS"] == "1"
    assert environment["PYTHONUNBUFFERED"] == ""


def test_the_agent_s_own_environment_is_off_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/opt/agent/bin:/usr/bin:/opt/agent/bin/:/bin")
    assert worker_folder.environment({})["PATH"] == "/opt/agent/bin:/usr/bin:/opt/agent/bin/:/bin"
    monkeypatch.setenv("VIRTUAL_ENV", "/opt/agent")
    assert worker_folder.environment({})["PATH"] == "/usr/bin:/bin"


def test_a_worker_sees_the_user_site_and_not_the_agent_s_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUSERBASE", str(tmp_path / "user"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "agent"))
    monkeypatch.setenv("PYTHONNOUSERSITE", "1")
    base = Path(sys.base_prefix, "bin", "python{}.{}".format(*sys.version_info))
    site = subprocess.run([str(base), "-m", "site", "--user-site"], capture_output=True, text=True, check=False)
    Path(site.stdout.strip()).mkdir(parents=True)
    shown = subprocess.run(
        [str(base), "-c", "import sys; print(*sys.path, sep='\\n')"],
        env=worker_folder.environment({}),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert site.stdout.strip() in shown
    assert str(tmp_path / "agent") not in shown


def test_workers_leave_no_bytecode_in_the_folder(tmp_path: Path) -> None:
    folder = worker_folder.install(tmp_path)
    command = [sys.executable, "-m", PACKAGE, "probe", f"--parent={os.getpid()}"]
    subprocess.run(command, cwd=folder, env=worker_folder.environment({}), capture_output=True, check=True, timeout=30)
    assert [path for path in folder.rglob("*") if path.suffix != ".py" and path.is_file()] == []
