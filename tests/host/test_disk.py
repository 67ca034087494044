import errno
import os
from pathlib import Path

import pytest

from host import disk


@pytest.mark.parametrize("durable", [True, False])
def test_makes_folders_and_replaces(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "a" / "b" / "file"
    disk.replace(path, b"old", durable=durable)
    disk.replace(path, b"new", durable=durable)
    assert path.read_bytes() == b"new"
    assert [*path.parent.iterdir()] == [path]


def test_a_full_disk_leaves_the_old_content_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    disk.replace(path, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        disk.replace(path, b"new")
    assert path.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    link = tmp_path / "boards.toml"
    link.symlink_to(tmp_path / "dotfiles" / "boards.toml")
    disk.replace(link, b"new")
    assert link.is_symlink()
    assert (tmp_path / "dotfiles" / "boards.toml").read_bytes() == b"new"


def test_is_as_open_to_others_as_the_user_has_it(tmp_path: Path) -> None:
    disk.replace(tmp_path / "file", b"")
    (tmp_path / "other").touch()
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode
