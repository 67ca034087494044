"""The worker's code where the board's own Python can run it: a copy named by its content, and a clean environment."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

PACKAGE = "boardfit_worker"
_SOURCE = Path(__file__).parent / "worker"
# They would make another Python load this one's packages.
_REMOVED = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "PYTHONPLATLIBDIR", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")


def install(data_dir: Path) -> Path:
    """The folder to start a worker in (its package is `boardfit_worker`), copied there if this version is not yet."""
    sources = sorted(path for path in _SOURCE.rglob("*.py"))
    digest = hashlib.sha256()
    for path in sources:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(_SOURCE).as_posix()}\0{len(content)}\0".encode() + content)
    folder = data_dir / "worker" / digest.hexdigest()[:16]
    if not folder.exists():
        _copy(sources, folder)
    return folder


def _copy(sources: list[Path], folder: Path) -> None:
    """By rename: another agent, or this one killed here, never sees half of it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder.parent))
    for path in sources:
        target = unfinished / PACKAGE / path.relative_to(_SOURCE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    unfinished.chmod(0o755)
    try:
        unfinished.rename(folder)
    except OSError:
        if not folder.exists():
            raise
        shutil.rmtree(unfinished)  # somebody else was quicker


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The agent's environment without what binds it to the agent's Python, plus `extra`."""
    kept = {name: value for name, value in os.environ.items() if name not in _REMOVED}
    return {**kept, "PYTHONUNBUFFERED": "1", **extra}
