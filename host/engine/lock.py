"""A run's hold on its folder: one at a time, and who it is."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host import disk
from host.errors import InputError


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """InputError where another process holds it: its message has the process's id."""
    from filelock import FileLock, Timeout

    from host.local_agent import start_of

    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
        disk.replace(_holder_file(folder), f"{os.getpid()} {start_of(os.getpid())}".encode(), durable=False)
    except Timeout as error:
        pid = holder(folder)
        process = "another process" if pid is None else f"another process ({pid})"
        raise InputError(f"{process} is at work in {folder}", "wait for it, or end it") from error
    except OSError as error:
        lock.release()
        raise InputError(f"{folder} cannot be written: {error.strerror}", "make room there, and start again") from error
    try:
        yield
    finally:
        _holder_file(folder).unlink(missing_ok=True)
        lock.release()


def holder(folder: Path) -> int | None:
    """The id of the process that holds it, if any does; nothing is taken by looking."""
    from host.local_agent import start_of

    try:
        pid, start = _holder_file(folder).read_text(encoding="ascii").split(maxsplit=1)
    except (OSError, ValueError):
        return None
    return int(pid) if start == start_of(int(pid)) else None


def _holder_file(folder: Path) -> Path:
    return folder / ".holder"
