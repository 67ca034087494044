"""Writing so that a kill or a power cut at any moment leaves the old content or the new, never half of it."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from agent.errors import DiskFailedError, DiskFullError

_FREE_SOME = "remove a model: `host remove`"


def replace(path: Path, content: bytes) -> None:
    """Written under another name, synced, renamed. DiskFullError and DiskFailedError leave the old content."""
    with refusals_told():
        unfinished = path.with_name(f".{path.name}")
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """A rename is on disk once its folder is (fsync(2))."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def lock(fd: int) -> bool:
    """Holds the open file for this process until it is closed; False where somebody else does."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def check_room(fd: int, size_bytes: int) -> None:
    """DiskFullError where the file system of `fd` has no `size_bytes` left: better now than half-way."""
    state = os.fstatvfs(fd)
    free = state.f_bavail * state.f_frsize
    if size_bytes > free:
        raise DiskFullError(f"{size_bytes} bytes are to come, the board's disk has {free} left", _FREE_SOME)


@contextlib.contextmanager
def refusals_told() -> Iterator[None]:
    """Turns what a disk says that takes no more into a DiskFullError or a DiskFailedError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"the board's disk is full: {error}", _FREE_SOME) from error
        if error.errno in (errno.EROFS, errno.EIO):  # how a worn-out SD card ends
            raise DiskFailedError(
                f"the board's disk cannot be written: {error}", "look at `dmesg` on the board; a card wears out"
            ) from error
        raise
