"""Old content or new, never half."""

import os
import subprocess
from pathlib import Path

import pytest

from agent import disk
from agent.errors import DiskFailedError, DiskFullError


def test_content_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    for content in (b"one", b"", b"three"):
        disk.replace(path, content)
        assert path.read_bytes() == content
        assert list(tmp_path.iterdir()) == [path]


def test_content_and_rename_are_synced_in_this_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rename that reaches the disk before the bytes do leaves an empty file after a power cut."""
    path, steps = tmp_path / "state.json", []
    sync, rename = os.fsync, Path.rename

    def fsync(fd: int) -> None:
        steps.append(f"sync {Path(f'/proc/self/fd/{fd}').readlink().name}")
        sync(fd)

    def renamed(self: Path, target: Path) -> Path:
        steps.append(f"rename {self.name}")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", renamed)
    disk.replace(path, b"new")
    assert steps == ["sync .state.json", "rename .state.json", f"sync {tmp_path.name}"]


def test_a_leftover_of_a_kill_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / ".state.json").write_bytes(b"half of a much longer conte")
    disk.replace(tmp_path / "state.json", b"new")
    assert (tmp_path / "state.json").read_bytes() == b"new"
    assert not (tmp_path / ".state.json").exists()


def test_a_full_disk_is_told_and_keeps_the_old_content(small_disk: Path) -> None:
    path = small_disk / "state.json"
    disk.replace(path, b"old")
    with pytest.raises(DiskFullError, match="the board's disk is full") as told:
        disk.replace(path, bytes(600 << 10))
    assert told.value.hint
    assert path.read_bytes() == b"old"


def test_a_disk_that_turns_read_only_is_told_and_keeps_the_old_content(small_disk: Path) -> None:
    """How a worn-out SD card ends."""
    path = small_disk / "state.json"
    disk.replace(path, b"old")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(DiskFailedError, match=r"cannot be written: .*Read-only file system"):
        disk.replace(path, b"new")
    assert path.read_bytes() == b"old"


def test_other_errors_of_the_system_are_not_called_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        disk.replace(tmp_path / "missing" / "state.json", b"")


def test_room_is_known_before_it_is_needed(small_disk: Path) -> None:
    with (small_disk / "file").open("wb") as file:
        disk.check_room(file.fileno(), 100 << 10)
        with pytest.raises(DiskFullError, match=r"614400 bytes are to come, the board's disk has \d+ left"):
            disk.check_room(file.fileno(), 600 << 10)


def test_a_lock_is_one_open_files_alone(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("wb") as first, (tmp_path / "lock").open("wb") as second:
        assert disk.lock(first.fileno())
        assert not disk.lock(second.fileno())
        first.close()
        assert disk.lock(second.fileno())
