"""What this board has built, kept on its disk by all that it depends on: what has changed since is built anew.

DATA/engines/KEY/model.engine      what the runtime loads, and tiny.engine beside it (agent/worker/runtimes/_trt)
DATA/engines/KEY/made.json         of what it was made; written last: what has one is whole
DATA/engines/timing-KEY.cache      what a builder has measured: of one runtime version on one device

An engine is executable code: only this agent writes here, and nothing that was built elsewhere is taken.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from agent import disk
from contract.api import Build
from contract.base import Contract
from contract.manifest import Sha256

ENGINE = "model.engine"
_MADE = "made.json"
_FORM = 2
"""Of how we build: raised where the same ingredients give another engine."""


class Ingredients(Contract):
    """All that an engine depends on. Its fields, in words, are what a rebuild gives as its reason."""

    model: Sha256
    runtime: str
    runtime_version: str
    architecture: str
    release: str
    precision: str
    typed: bool
    workspace_bytes: int
    form: int = _FORM

    @property
    def key(self) -> str:
        return _digest(self.model_dump(mode="json"))

    @property
    def timing_key(self) -> str:
        return _digest([self.runtime, self.runtime_version, self.architecture])


class _Made(Contract):
    """made.json"""

    ingredients: Ingredients
    build: Build


@dataclass(frozen=True)
class Engine:
    """One that is whole."""

    path: Path
    build: Build

    def found(self) -> "Engine":
        """The same, to whoever did not have to build it."""
        return replace(self, build=self.build.model_copy(update={"reason": None}))


class Engines:
    """The engines of one data directory. Methods that write sync what they wrote: call them off the event loop."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "engines"
        self._folder.mkdir(parents=True, exist_ok=True)

    def find(self, ingredients: Ingredients) -> Engine | None:
        folder = self._folder / ingredients.key
        made = _read(folder)
        path = folder / ENGINE
        # Its size, too: a power cut can leave a name without its content.
        if made is None or not path.is_file() or path.stat().st_size != made.build.engine_bytes:
            return None
        return Engine(path, made.build).found()

    def why(self, ingredients: Ingredients) -> str:
        """The reason to build: what differs from the last engine of the same model here, or that there was none."""
        earlier = [made for made in self._all() if made.ingredients.model == ingredients.model]
        if not earlier:
            return "the board has none of this model yet"
        now = ingredients.model_dump()
        differences = [
            {name: (then, now[name]) for name, then in made.ingredients.model_dump().items() if then != now[name]}
            for made in earlier
        ]
        nearest = min(differences, key=len)
        if not nearest:
            return "the one that was there is damaged"
        return ", ".join(f"{name.replace('_', ' ')} is {new}, it was {old}" for name, (old, new) in nearest.items())

    def prepare(self, ingredients: Ingredients) -> Path:
        """Where to write the engine; whatever was there is gone."""
        folder = self._folder / ingredients.key
        with disk.refusals_told():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        return folder / ENGINE

    def timing_cache(self, ingredients: Ingredients) -> Path:
        return self._folder / f"timing-{ingredients.timing_key}.cache"

    def keep(self, ingredients: Ingredients, build: Build) -> Engine:
        """It is whole from here on, also after a kill."""
        folder = self._folder / ingredients.key
        made = _Made(ingredients=ingredients, build=build)
        with disk.refusals_told():
            disk.replace(folder / _MADE, made.model_dump_json().encode())
        return Engine(folder / ENGINE, build)

    def reject(self, engine: Engine) -> None:
        """The runtime does not take it, whatever its size says: the next deploy builds it anew."""
        with disk.refusals_told():
            engine.path.unlink(missing_ok=True)

    def remove_unused(self, models: set[str]) -> None:
        """Removes engines that are of none of these models (their files' sha256), and what a kill left unfinished."""
        for folder in self._folder.iterdir():
            made = _read(folder)
            if folder.is_dir() and (made is None or made.ingredients.model not in models):
                shutil.rmtree(folder, ignore_errors=True)

    def _all(self) -> Iterator[_Made]:
        """The newest first."""
        folders = sorted(self._folder.iterdir(), key=lambda folder: folder.stat().st_mtime, reverse=True)
        return (made for folder in folders if (made := _read(folder)))


def _read(folder: Path) -> _Made | None:
    try:
        return _Made.model_validate_json((folder / _MADE).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
