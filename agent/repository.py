"""Bundles and models on disk: whole or absent, after a kill at any moment.

DATA/incoming/ID.json          the manifest of a bundle whose files are still arriving (blobs.py)
DATA/bundles/ID/               a complete bundle: manifest.json and its files, hard links to DATA/blobs
DATA/models/NAME.json          which bundle the model is, and which it was before
DATA/lock                      held by the one agent that uses the directory
"""

import os
import shutil
import time
from pathlib import Path

from pydantic import ValidationError

from agent import disk
from agent.blobs import Blobs
from agent.errors import CorruptUploadError, IncompleteBundleError, NotFoundError, StartError
from agent.supervisor import Deployment
from contract.api import BundleStatus
from contract.base import Contract
from contract.manifest import MANIFEST_FILE, Manifest, ModelName, Sha256

_KEPT_UNUSED_S = 3600.0


class Record(Contract):
    """models/NAME.json."""

    active: Sha256
    previous: Sha256 | None = None


class Repository:
    """One data directory, held by this process. StartError where another agent has it."""

    def __init__(self, data_dir: Path, max_file_bytes: int) -> None:
        self._incoming = data_dir / "incoming"
        self._bundles = data_dir / "bundles"
        self._models = data_dir / "models"
        for folder in (self._incoming, self._bundles, self._models):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not disk.lock(self._lock):
            os.close(self._lock)
            raise StartError(f"another agent uses the data directory {data_dir}", "stop it, or give another --data-dir")
        self.blobs = Blobs(data_dir, max_file_bytes)

    def close(self) -> None:
        """Lets another agent have the directory."""
        os.close(self._lock)

    def offer(self, manifest: Manifest) -> BundleStatus:
        """Takes a manifest and says which of its files are missing; with none missing the bundle is there."""
        bundle = manifest.bundle_id
        if (self._bundles / bundle).is_dir():
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
        folder = self._bundles / bundle
        if not folder.is_dir():
            self._complete(bundle)
        content = (folder / MANIFEST_FILE).read_bytes()
        return Deployment(name, bundle, Manifest.model_validate_json(content), folder)

    def _complete(self, bundle: str) -> None:
        incoming = self._incoming / f"{bundle}.json"
        if not incoming.exists():
            raise NotFoundError(f"there is no bundle {bundle}", "push it first: `host deploy` does", "unknown_bundle")
        missing = self.offer(Manifest.model_validate_json(incoming.read_bytes())).missing
        if missing:
            raise IncompleteBundleError(
                f"{len(missing)} files of the bundle {bundle} are missing, the first is {missing[0].sha256}",
                "PUT them to /v1/blobs/SHA256: `host deploy` does",
            )

    def _assemble(self, bundle: str, manifest: Manifest) -> None:
        unfinished = self._bundles / f".{bundle}"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        with disk.full_disk_told():
            for name, entry in manifest.files.items():
                blob = self.blobs.path(entry.sha256)
                if blob.stat().st_size != entry.size_bytes:
                    raise CorruptUploadError(
                        f"{name!r} has {blob.stat().st_size} bytes, its manifest says {entry.size_bytes}",
                        "make the bundle again",
                    )
                target = unfinished / name
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(blob, target)
            disk.replace(unfinished / MANIFEST_FILE, manifest.canonical_json())
            unfinished.rename(self._bundles / bundle)
            disk.sync_folder(self._bundles)
        (self._incoming / f"{bundle}.json").unlink(missing_ok=True)

    def records(self) -> dict[ModelName, Record]:
        """What is to be served, by name."""
        return {path.stem: _read(path) for path in sorted(self._models.glob("[!.]*.json"))}

    def record(self, name: str) -> Record:
        """NotFoundError names the nearest model."""
        records = self.records()
        if name not in records:
            raise NotFoundError.nearest("model", name, records)
        return records[name]

    def set_record(self, name: str, record: Record) -> None:
        """The switch: from here on, also after a kill, this is what is served."""
        disk.replace(self._models / f"{name}.json", record.model_dump_json().encode())

    def remove_record(self, name: str) -> None:
        (self._models / f"{name}.json").unlink(missing_ok=True)
        disk.sync_folder(self._models)
        self.remove_unused()

    def remove_unused(self) -> None:
        """Removes bundles that no model is or was, once they are an hour old: a deploy may be under way."""
        kept = {bundle for record in self.records().values() for bundle in (record.active, record.previous)}
        before = time.time() - _KEPT_UNUSED_S
        for folder in self._bundles.iterdir():
            if folder.name not in kept and folder.stat().st_mtime < before:
                shutil.rmtree(folder)
        for manifest in self._incoming.iterdir():
            if manifest.stat().st_mtime < before:
                manifest.unlink()
        self.blobs.remove_unused()


def _read(path: Path) -> Record:
    try:
        return Record.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise StartError(f"{path} is not a model record: {error}", "remove it, and deploy the model again") from error
