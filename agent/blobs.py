"""Files by their sha256, as they arrive and once they are verified.

DATA/uploads/SHA256   the bytes that have come so far; their number is where an upload goes on
DATA/blobs/SHA256     a verified file
"""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from agent import disk
from agent.errors import CorruptUploadError, NotFoundError, TooLargeError, UploadConflictError
from contract.api import UploadStatus

_READ_BYTES = 1 << 20
_KEPT_UNUSED_S = 3600.0


class Blobs:
    """The files of one data directory."""

    def __init__(self, data_dir: Path, max_file_bytes: int) -> None:
        self.max_file_bytes = max_file_bytes
        self._uploads = data_dir / "uploads"
        self._blobs = data_dir / "blobs"
        for folder in (self._uploads, self._blobs):
            folder.mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        """The verified file; NotFoundError."""
        path = self._blobs / sha256
        if not path.exists():
            raise NotFoundError(f"there is no file {sha256}", "PUT it to /v1/blobs/SHA256 first", "unknown_blob")
        return path

    def has(self, sha256: str) -> bool:
        return (self._blobs / sha256).exists()

    def status(self, sha256: str) -> UploadStatus:
        """How much of the file is here."""
        complete = self.has(sha256)
        path = (self._blobs if complete else self._uploads) / sha256
        received = path.stat().st_size if path.exists() else 0
        return UploadStatus(sha256=sha256, received_bytes=received, complete=complete)

    def check_size(self, name: str, size_bytes: int) -> None:
        """TooLargeError above the agent's limit."""
        if size_bytes > self.max_file_bytes:
            raise TooLargeError(
                f"{name} has {size_bytes} bytes, this agent takes at most {self.max_file_bytes}",
                "start the agent with a larger --max-file-mib",
            )

    @contextmanager
    def upload(self, sha256: str, size_bytes: int, offset: int) -> Iterator["Upload"]:
        """Takes bytes from `offset` on. UploadConflictError unless it stands there and nobody else is at it."""
        self.check_size(sha256, size_bytes)
        if self.has(sha256):
            raise UploadConflictError(f"{sha256} is complete", "go on with the next file")
        with disk.full_disk_told(), (self._uploads / sha256).open("ab") as file:
            if not disk.lock(file.fileno()):
                raise UploadConflictError(f"somebody else is sending {sha256}", "ask again when they are done")
            stands_at = file.seek(0, os.SEEK_END)
            if stands_at != offset:
                raise UploadConflictError(
                    f"{sha256} stands at {stands_at} bytes, the upload wants to go on at {offset}",
                    f"GET /v1/blobs/{sha256} says where to go on",
                )
            disk.check_room(file.fileno(), size_bytes - offset)
            yield Upload(file, sha256, size_bytes - offset)

    def finish(self, sha256: str, size_bytes: int) -> UploadStatus:
        """Verifies an upload that has all its bytes. CorruptUploadError: it starts from 0 again."""
        part = self._uploads / sha256
        if not part.exists() or part.stat().st_size < size_bytes:
            return self.status(sha256)
        found = _sha256_of(part)
        if found != sha256:
            part.unlink()
            raise CorruptUploadError(f"the bytes sent as {sha256} have the sha256 {found}", "send the file again")
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.rename(self._blobs / sha256)
        disk.sync_folder(self._blobs)
        return self.status(sha256)

    def remove_unused(self) -> None:
        """Removes what no bundle links to and nobody has touched for an hour: a push may be under way."""
        before = time.time() - _KEPT_UNUSED_S
        for path in (*self._blobs.iterdir(), *self._uploads.iterdir()):
            state = path.stat()
            if state.st_nlink == 1 and state.st_mtime < before:
                path.unlink()


class Upload:
    """An open upload: takes the next bytes."""

    def __init__(self, file: BinaryIO, sha256: str, left_bytes: int) -> None:
        self._file = file
        self._sha256 = sha256
        self._left_bytes = left_bytes

    def write(self, chunk: bytes) -> None:
        self._left_bytes -= len(chunk)
        if self._left_bytes < 0:
            raise TooLargeError(f"more bytes came for {self._sha256} than were announced", "check the parameter `size`")
        self._file.write(chunk)


def _sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
