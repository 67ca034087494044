"""The worker's code where the board's own Python can run it: a copy named by its content, and a clean environment."""

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from agent.disk import refusals_told
from agent.errors import StartError

PACKAGE = "boardfit_worker"
_SOURCE = Path(__file__).parent / "worker"
_USER_SITE = "PYTHONUSERBASE"


def install(data_dir: Path) -> Path:
    """The folder to start a worker in (its package is `boardfit_worker`), copied there unless it is there already.

    StartError, DiskFullError where it cannot be written.
    """
    wanted = _read(_SOURCE)
    folder = data_dir / "worker" / _digest(wanted)
    # Read, not only looked for: a power cut can leave a file's name without its content.
    if _read(folder / PACKAGE) != wanted:
        try:
            with refusals_told(), _turn(folder.parent):
                if _read(folder / PACKAGE) != wanted:  # nobody was quicker
                    _write(folder, wanted)
        except OSError as error:
            raise StartError(
                f"the worker's code cannot be written to {folder}: {error}", "choose another --data-dir"
            ) from error
    return folder


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The agent's environment without what is meant for the agent's own Python, plus `extra`.

    Every PYTHON... goes but PYTHONUSERBASE: PyCUDA may live in the user site.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON") or name == _USER_SITE}
    kept.pop("__PYVENV_LAUNCHER__", None)
    virtual_env = kept.pop("VIRTUAL_ENV", None)
    if virtual_env and "PATH" in kept:  # or `python3` would be the agent's
        folders = kept["PATH"].split(os.pathsep)
        kept["PATH"] = os.pathsep.join(folder for folder in folders if Path(folder) != Path(virtual_env, "bin"))
    # No .pyc: they save nothing here that can be measured, and one torn by a power cut would end every worker.
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", **extra}


def _read(folder: Path) -> dict[str, bytes]:
    """Each module's content by its path in `folder`; none where there is no folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.py")}


def _digest(contents: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for path, content in sorted(contents.items()):
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """One at a time, over all processes."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write(folder: Path, contents: Mapping[str, bytes]) -> None:
    """By rename: whoever is killed here leaves no half of it under that name."""
    unfinished = folder.with_name(".unfinished")
    for leftover in (unfinished, folder):
        if leftover.exists():
            shutil.rmtree(leftover)
    for path, content in contents.items():
        target = unfinished / PACKAGE / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    unfinished.rename(folder)
