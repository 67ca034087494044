"""Which Python install.sh gives the agent: the board's own where it is new enough, else a standalone one."""

import hashlib
import sys
import tarfile
from pathlib import Path

import pytest
from kits import PROFILE, ROOT, Board, Kit

pytestmark = pytest.mark.timeout(240)  # as in test_install.py
STOPS_THERE = ("--profile", "none")
"""It is looked at right after the Python is there."""
FOLDER = "opt/boardfit/python"


@pytest.fixture
def old(board: Board) -> Board:
    """A board whose Python is as old as a Jetson Nano's: it ends as that one does when it is asked for its version."""
    board.provide("python3", "exit 1")
    return board


def standalone(path: Path, script: str = f'exec {Path(sys.executable).resolve()} "$@"') -> Path:
    """An archive laid out as those of python-build-standalone; its interpreter calls the running one."""
    interpreter = path.parent / "python3"
    interpreter.write_text(f"#!/bin/sh\n{script}\n")
    interpreter.chmod(0o755)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(interpreter, "python/bin/python3")
    interpreter.unlink()
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_archive_is_unpacked_once_and_gone_when_it_is_needed_no_more(
    old: Board, quick_kit: Kit, tmp_path: Path
) -> None:
    archive = standalone(tmp_path / "cpython-3.12.tar.gz")
    done = old.install(quick_kit, "--python", str(archive))
    assert done.returncode == 0, done.stderr
    assert (old.root / FOLDER / digest(archive)[:12] / "bin" / "python3").exists()
    again = old.run(quick_kit, "--python", str(archive))
    assert again.stdout.count("unchanged") == 4
    old.provide("python3", f'exec {Path(sys.executable).resolve()} "$@"')
    assert old.run(quick_kit).returncode == 0
    assert list((old.root / FOLDER).iterdir()) == []


def test_the_archive_of_the_kit_is_taken(old: Board, quick_kit: Kit, tmp_path: Path) -> None:
    kit = quick_kit.copy(tmp_path / "kit")
    standalone(kit.folder / "cpython-3.12.tar.gz")
    done = old.install(kit, *STOPS_THERE)
    assert "unpacked from" in done.stdout


def test_the_boards_own_comes_first(board: Board, quick_kit: Kit, tmp_path: Path) -> None:
    kit = quick_kit.copy(tmp_path / "kit")
    standalone(kit.folder / "cpython-3.12.tar.gz")
    done = board.install(kit, *STOPS_THERE)
    assert "the board's own" in done.stdout
    assert not (board.root / FOLDER).exists() or list((board.root / FOLDER).iterdir()) == []


def test_it_may_have_another_name(old: Board, quick_kit: Kit) -> None:
    old.provide("python3.12", f'exec {Path(sys.executable).resolve()} "$@"')
    assert "the board's own" in old.install(quick_kit, *STOPS_THERE).stdout


def test_without_any_it_is_fetched_and_its_digest_checked(old: Board, quick_kit: Kit, tmp_path: Path) -> None:
    archive = standalone(tmp_path / "there.tar.gz")
    kit = quick_kit.copy(tmp_path / "kit")
    table = kit.folder / "standalone-pythons.txt"
    [line] = [line for line in table.read_text().splitlines() if line.startswith("x86_64 ")]
    machine, _, address = line.split()
    old.provide("uname", f'[ "$1" = -m ] && echo {machine} || exec /usr/bin/uname "$@"')
    old.provide("curl", f'for last; do :; done; [ "$last" = "{address}" ] && cp {archive} "$6"')
    done = old.install(kit, *STOPS_THERE)
    assert "is not what it was: its sha256 is not" in done.stderr
    table.write_text(f"{machine} {digest(archive)} {address}\n")
    done = old.install(kit, *STOPS_THERE)
    assert f"fetching {address}" in done.stdout
    assert "unpacked from" in done.stdout
    old.provide("curl", "exit 6")
    assert "unchanged" in old.install(kit, *STOPS_THERE).stdout  # it is not fetched again


def test_without_the_internet_it_says_where_one_is(old: Board, quick_kit: Kit) -> None:
    done = old.install(quick_kit)
    assert done.returncode == 1
    assert "https://github.com/astral-sh/python-build-standalone/" in done.stderr
    assert "copy it beside install.sh" in done.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"half of an archive", "cannot be unpacked"), (None, "does not run here, or is not 3.11 to 3.13")],
)
def test_an_archive_that_is_none_or_of_another_machine(
    old: Board, quick_kit: Kit, tmp_path: Path, content: bytes | None, message: str
) -> None:
    archive = standalone(tmp_path / "python.tar.gz", "exit 126")
    if content:
        archive.write_bytes(content)
    done = old.install(quick_kit, "--python", str(archive))
    assert done.returncode == 1
    assert message in done.stderr
    assert list((old.root / FOLDER).iterdir()) == []


def test_a_damaged_archive_is_known_by_its_name(old: Board, quick_kit: Kit, tmp_path: Path) -> None:
    table = (ROOT / "deploy" / "standalone-pythons.txt").read_text()
    archive = standalone(tmp_path / table.split("/")[-1].strip())
    done = old.install(quick_kit, "--python", str(archive))
    assert done.returncode == 1
    assert f"{archive} is damaged" in done.stderr
    assert PROFILE not in done.stdout
