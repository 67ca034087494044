"""Bundles and models on disk: whole or absent, after a kill at any moment.

DATA/incoming/ID.json          the manifest of a bundle whose files are still arriving (blobs.py)
DATA/bundles/ID/               a complete bundle: manifest.json and its files, hard links to DATA/blobs
DATA/bundles/.ID/              one that is being made or removed
DATA/models/NAME.json          which bundle the model is, and which it was before; the threshold found for it here.
                               Of a temporary model there is none: it ends with the agent
DATA/engines/                  what this board has built of them (engines.py)
DATA/lock                      held by the one agent that uses the directory

Methods that write sync what they wrote: call them off the event loop.
"""

import hashlib
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from agent import disk
from agent.blobs import KEPT_UNUSED_S, Blobs, checked_sha256
from agent.errors import BadQueryError, CorruptUploadError, IncompleteBundleError, NotFoundError, StartError
from agent.loading import Deployment
from contract.api import BundleStatus
from contract.base import Contract
from contract.manifest import MANIFEST_FILE, MODEL_NAME, FileEntry, Manifest, ModelName, Sha256


class Record(Contract):
    """models/NAME.json. `threshold`: of the active version on this board; None where it has no good images.

    A `temporary` one is kept in memory alone, and the key is never written.
    """

    active: Sha256
    previous: Sha256 | None = None
    threshold: float | None = None
    temporary: Annotated[bool, Field(exclude=True)] = False


class Repository:
    """One data directory, held by this process. StartError where another agent has it, or where it is damaged."""

    def __init__(self, data_dir: Path, max_file_bytes: int) -> None:
        self._incoming = data_dir / "incoming"
        self._bundles = data_dir / "bundles"
        self._models = data_dir / "models"
        self._changing = threading.RLock()  # bundles are made and removed by one thread at a time
        self._kept: list[str] = []
        try:
            for folder in (self._incoming, self._bundles, self._models):
                folder.mkdir(parents=True, exist_ok=True)
            self.blobs = Blobs(data_dir, max_file_bytes)
            self._lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartError(
                f"the data directory {data_dir} cannot be used: {error}", "give another --data-dir"
            ) from error
        try:
            if not disk.lock(self._lock):
                raise StartError(
                    f"another agent uses the data directory {data_dir}", "stop it, or give another --data-dir"
                )
            self._records = {path.stem: _read(path) for path in sorted(self._models.glob("[!.]*.json"))}
        except StartError:
            self.close()
            raise

    def close(self) -> None:
        """Lets another agent have the directory."""
        os.close(self._lock)

    def offer(self, manifest: Manifest) -> BundleStatus:
        """Takes a manifest and says which of its files are missing; with none missing the bundle is there."""
        bundle = manifest.bundle_id
        with self._changing:
            if self._has(bundle):
                return BundleStatus(bundle=bundle, missing=())
            for path, entry in manifest.files.items():
                self.blobs.check_size(repr(path), entry.size_bytes)
            missing = {entry.sha256: entry for entry in manifest.files.values() if not self.blobs.has(entry.sha256)}
            if missing:
                disk.replace(self._incoming / f"{bundle}.json", manifest.canonical_json())
            else:
                self._assemble(bundle, manifest)
        return BundleStatus(bundle=bundle, missing=tuple(missing.values()))

    def deployment(self, name: str, bundle: str) -> Deployment:
        """The complete bundle, to be served as `name`. NotFoundError, IncompleteBundleError."""
        with self._changing:
            if not self._has(bundle):
                self._complete(bundle)
            folder = self._bundles / bundle
            if not _is_intact(folder):
                self._remove(bundle)
                raise IncompleteBundleError(f"the bundle {bundle} was damaged on this board", "deploy it again")
            return Deployment(_checked_name(name), bundle, _manifest(folder / MANIFEST_FILE), folder)

    @contextmanager
    def keeping(self, bundle: str) -> Iterator[None]:
        """A deploy of `bundle`, during which `remove_unused` leaves it alone."""
        self._kept.append(bundle)
        try:
            yield
        finally:
            self._kept.remove(bundle)

    def records(self) -> dict[ModelName, Record]:
        """What is to be served, by name."""
        return dict(self._records)

    def record(self, name: str) -> Record:
        """NotFoundError names the nearest model."""
        if name not in self._records:
            raise NotFoundError.nearest("model", name, self._records)
        return self._records[name]

    def set_record(self, name: str, record: Record) -> None:
        """The switch: from here on, also after a kill, this is what is served; a temporary one until the agent ends."""
        if not record.temporary:
            disk.replace(self._models / f"{_checked_name(name)}.json", record.model_dump_json().encode())
        self._records[name] = record

    def remove_record(self, name: str) -> None:
        with disk.refusals_told():
            (self._models / f"{_checked_name(name)}.json").unlink(missing_ok=True)
            disk.sync_folder(self._models)
        self._records.pop(name, None)

    def remove_unused(self) -> None:
        """Removes bundles that no model is or was, once nobody has asked for them in an hour: a push may go on."""
        before = time.time() - KEPT_UNUSED_S
        with self._changing:
            kept = {*self._kept}
            kept.update(
                bundle for record in self.records().values() for bundle in (record.active, record.previous or "")
            )
            for folder in list(self._bundles.iterdir()):
                if folder.name not in kept and folder.stat().st_mtime < before:
                    self._remove(folder.name)
            for manifest in list(self._incoming.iterdir()):
                if manifest.stat().st_mtime < before:
                    manifest.unlink()
            self.blobs.remove_unused()

    def models(self) -> set[str]:
        """The sha256 of every model's file in the bundles that are here, but for those we could not serve."""
        found = set()
        with self._changing:
            for folder in filter(_is_intact, self._bundles.iterdir()):
                with suppress(IncompleteBundleError):  # of another version of boardfit: it has to come again
                    manifest = _manifest(folder / MANIFEST_FILE)
                    found.add(manifest.files[manifest.runtime.file].sha256)
        return found

    def _has(self, bundle: str) -> bool:
        """Whether the bundle is here. Who asks needs it: it stays for another hour."""
        try:
            with disk.refusals_told():
                os.utime(self._bundles / checked_sha256(bundle))
        except FileNotFoundError:
            return False
        return True

    def _complete(self, bundle: str) -> None:
        incoming = self._incoming / f"{bundle}.json"
        if not incoming.exists():
            raise NotFoundError(f"there is no bundle {bundle}", "push it first: `host deploy` does", "unknown_bundle")
        missing = self.offer(_manifest(incoming)).missing
        if missing:
            raise IncompleteBundleError(
                f"{len(missing)} files of the bundle {bundle} are missing, the first is {missing[0].sha256}",
                "PUT them to /v1/blobs/SHA256: `host deploy` does",
            )

    def _assemble(self, bundle: str, manifest: Manifest) -> None:
        unfinished = self._bundles / f".{bundle}"
        shutil.rmtree(unfinished, ignore_errors=True)  # of an agent that was killed here
        try:
            with disk.refusals_told():
                unfinished.mkdir()
                for path, entry in manifest.files.items():
                    self._link(path, entry, unfinished)
                disk.replace(unfinished / MANIFEST_FILE, manifest.canonical_json())
                for folder in unfinished.rglob("*/"):
                    disk.sync_folder(folder)
                unfinished.rename(self._bundles / bundle)
                disk.sync_folder(self._bundles)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        (self._incoming / f"{bundle}.json").unlink(missing_ok=True)

    def _link(self, path: str, entry: FileEntry, folder: Path) -> None:
        blob = self.blobs.path(entry.sha256)
        if blob.stat().st_size != entry.size_bytes:
            raise CorruptUploadError(
                f"{path!r} has {blob.stat().st_size} bytes, its manifest says {entry.size_bytes}",
                "make the bundle again",
            )
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(blob, target)

    def _remove(self, name: str) -> None:
        """By its hidden name, so that a kill leaves no half bundle under its own."""
        doomed = self._bundles / f".{name.lstrip('.')}"
        if name != doomed.name:
            shutil.rmtree(doomed, ignore_errors=True)
            (self._bundles / name).rename(doomed)
            disk.sync_folder(self._bundles)
        shutil.rmtree(doomed)


def _read(path: Path) -> Record:
    try:
        return Record.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise StartError(f"{path} is not a model record: {error}", "remove it, and deploy the model again") from error


def _manifest(path: Path) -> Manifest:
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise IncompleteBundleError(
            f"{path} is of another version of boardfit: {error}", "deploy the model again"
        ) from error


def _is_intact(folder: Path) -> bool:
    """Whether the manifest is the one the bundle is named after, and all files have their sizes.

    Their bytes were verified when they came (blobs.py); this finds what a power cut or a person took away.
    """
    try:
        content = (folder / MANIFEST_FILE).read_bytes()
        return hashlib.sha256(content).hexdigest() == folder.name and all(
            (folder / path).stat().st_size == entry["size_bytes"]
            for path, entry in json.loads(content)["files"].items()
        )
    except FileNotFoundError:
        return False


def _checked_name(name: str) -> str:
    """Itself. BadQueryError where it is none: it becomes a file's name."""
    if not re.fullmatch(MODEL_NAME, name):
        raise BadQueryError(f"{name!r:.100} is no name of a model", f"a name matches {MODEL_NAME}")
    return name
