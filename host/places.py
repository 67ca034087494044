"""Where the user's things are: boards, tokens, state, results. ``BOARDFIT_HOME`` puts all of it into one folder."""

import os
from pathlib import Path

from platformdirs import PlatformDirs

_DIRS = PlatformDirs("boardfit", appauthor=False)


def config_dir() -> Path:
    """boards.toml."""
    return _under_home("config") or _DIRS.user_config_path


def state_dir() -> Path:
    """The local agent, and what was deployed last."""
    return _under_home("state") or _DIRS.user_state_path


def data_dir() -> Path:
    """Results, and the local agent's bundles."""
    return _under_home("data") or _DIRS.user_data_path


def results() -> str | Path:
    """The results database: ``BOARDFIT_RESULTS``, a path or an SQLAlchemy URL, else one SQLite file."""
    return os.environ.get("BOARDFIT_RESULTS") or data_dir() / "results.sqlite"


def _under_home(name: str) -> Path | None:
    home = os.environ.get("BOARDFIT_HOME")
    return Path(home).expanduser().absolute() / name if home else None
