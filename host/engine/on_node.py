"""What a Ray cluster is given to run: a task in a temporary folder of a node, with what it reads from afar.

This module travels by value, so that a node without boardfit can say so: it imports nothing of ours before that.
"""

import fcntl
import io
import json
import shutil
import socket
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

POLL_EVERY_S = 0.2
BAD_INPUT = 3  # host.errors.InputError.exit_code: another try ends the same way
_PREFIX, _HELD = "boardfit-node-", ".held"


def packed(path: Path, name: str) -> bytes:
    """A file or a folder, what links point at in it, to be `unpacked` under `name`."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", dereference=True) as archive:
        archive.add(path, name)
    return content.getvalue()


def unpacked(content: bytes, folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(folder, filter="data")


def run(version: str, fields: Mapping[str, Any], *reads: bytes) -> tuple[int, dict[str, bytes]]:
    """The exit status of a task's process, and its files by their names: what it writes, its log, its failure.

    `version`: boardfit's, where the task comes from. `fields`: the task's. `reads`: as `packed`.
    """
    if refused := _refused(version):
        failure = json.dumps(dict(zip(("message", "hint", "code"), refused, strict=True))).encode()
        return BAD_INPUT, {f".{fields['name']}.failure": failure}
    from host.engine.child import failure_file
    from host.engine.local import LocalWork
    from host.engine.task import Task

    task = Task(**fields)
    with _own_folder() as folder:
        for each in reads:
            unpacked(each, folder)
        work = LocalWork(folder, task)
        try:
            while not work.has_ended():
                time.sleep(POLL_EVERY_S)
        finally:  # an interrupt is how Ray cancels
            work.ask_to_end()
            status = work.status()
        written = [task.log(folder), failure_file(folder, task.name), *(folder / path for path in task.writes)]
        return status, {str(path.relative_to(folder)): path.read_bytes() for path in written if path.is_file()}


@contextmanager
def _own_folder() -> Iterator[Path]:
    """A temporary one. Those that killed tasks have left on this node go first: nobody holds the lock in them."""
    for other in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if _is_abandoned(other / _HELD):
            shutil.rmtree(other, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name:
        new = Path(name) / f"{_HELD}.new"
        with new.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            new.rename(new.with_name(_HELD))  # only now: none of that name is ever seen unlocked while it is needed
            yield Path(name)


def _is_abandoned(held: Path) -> bool:
    try:
        with held.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # it is locked, or not there yet, or another user's
        return False
    return True


def _refused(version: str) -> tuple[str, str, str] | None:
    node, hint = socket.gethostname(), f"install boardfit {version} on every node of the cluster"
    try:
        from contract.version import __version__
    except ImportError:
        return f"node {node} of the Ray cluster has no boardfit", hint, "no_boardfit_there"
    if __version__ == version:
        return None
    return (
        f"node {node} of the Ray cluster has boardfit {__version__}, this machine {version}",
        hint,
        "other_version_there",
    )
