"""A converted model as files: what a deploy pushes. The same on every machine, byte for byte."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import ValidationError

from contract.manifest import MANIFEST_FILE, FileEntry, Manifest
from host import images, preprocessing
from host.errors import InputError

CONVERT_AGAIN = "convert the model again: host convert"


@dataclass(frozen=True)
class Bundle:
    """A manifest, the content of its files, and what was decided on the way, one sentence each."""

    manifest: Manifest
    files: Mapping[str, bytes]
    notices: tuple[str, ...] = ()

    def write(self, folder: Path) -> None:
        """Into a folder, made where there is none. InputError where it cannot be written, or has other things in it.

        An earlier bundle is replaced once the new one is whole; the manifest comes last: what has one is a bundle.
        """
        earlier = _earlier_files(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(prefix=".", dir=folder) as scratch:
                new = Path(scratch)
                for name, content in (*self.files.items(), (MANIFEST_FILE, self.manifest.canonical_json())):
                    (new / name).parent.mkdir(parents=True, exist_ok=True)
                    (new / name).write_bytes(content)
                for name in (MANIFEST_FILE, *earlier):
                    (folder / name).unlink(missing_ok=True)
                for name in (*self.files, MANIFEST_FILE):
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (new / name).rename(folder / name)
        except OSError as error:
            raise _cannot_write(folder, error) from error

    @classmethod
    def read(cls, folder: Path) -> "Bundle":
        """What `write` wrote, its hashes checked. InputError."""
        manifest = read_manifest(folder)
        files = {name: images.read(folder / name) for name in manifest.files}
        for name, content in files.items():
            if entry_of(content) != manifest.files[name]:
                raise InputError(f"{folder / name} is not the file that the manifest names", CONVERT_AGAIN)
        return cls(manifest, files)


def claim(folder: Path) -> None:
    """Before anything is converted: InputError where `Bundle.write` could not write there. Nothing is left there."""
    try:
        _earlier_files(folder)
        nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        with TemporaryDirectory(prefix=".", dir=nearest):
            pass
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _cannot_write(folder: Path, error: OSError) -> InputError:
    return InputError(f"{folder} cannot be written: {error.strerror}", "name another folder with -o")


def read_manifest(folder: Path) -> Manifest:
    """Of a folder that `Bundle.write` wrote. InputError."""
    path = folder / MANIFEST_FILE
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(
            f"{folder} is a folder without a converted model", "name an .onnx file, or convert one: host convert -o DIR"
        ) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", CONVERT_AGAIN) from error
    except ValidationError as error:
        raise InputError(f"{path} is no manifest: {preprocessing.first_problem(error)}", CONVERT_AGAIN) from error


def _earlier_files(folder: Path) -> set[str]:
    """The files of an earlier bundle there. InputError where there is anything else, which would be lost."""
    another = "name a new folder with -o"
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is no folder", another)
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    if not there:
        return set()
    if MANIFEST_FILE not in there:
        raise InputError(f"{folder} has something else in it: {min(there)}", another)
    earlier = set(read_manifest(folder).files)
    if strange := there - earlier - {MANIFEST_FILE}:
        raise InputError(f"{folder} has more in it than a converted model: {min(strange)}", another)
    return earlier


def entry_of(content: bytes) -> FileEntry:
    """Of a file with this content."""
    return FileEntry(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
