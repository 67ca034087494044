"""Files by their sha256, as they arrive and once they are verified.

DATA/uploads/SHA256   the bytes that have come so far; their number is where an upload goes on
DATA/blobs/SHA256     a verified file
"""

import contextlib
import hashlib
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from agent import disk
from agent.errors import BadQueryError, CorruptUploadError, NotFoundError, TooLargeError, UploadConflictError
from contract.api import UploadStatus

KEPT_UNUSED_S = 3600.0
_READ_BYTES = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """The files of one data directory."""

    def __init__(self, data_dir: Path, max_file_bytes: int) -> None:
        self.max_file_bytes = max_file_bytes
        self._uploads = data_dir / "uploads"
        self._blobs = data_dir / "blobs"
        self._changing = (
            threading.Lock()
        )  # held for a moment: what is opened is not removed, nor what is removed opened
        for folder in (self._uploads, self._blobs):
            folder.mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        """The verified file; NotFoundError."""
        if not self.has(sha256):
            raise NotFoundError(f"there is no file {sha256}", "PUT it to /v1/blobs/SHA256 first", "unknown_blob")
        return self._blobs / sha256

    def has(self, sha256: str) -> bool:
        """Whether the verified file is here. Who asks needs it: it stays for another hour."""
        try:
            with disk.refusals_told():
                os.utime(self._blobs / checked_sha256(sha256))
        except FileNotFoundError:
            return False
        return True

    def status(self, sha256: str) -> UploadStatus:
        """How much of the file is here."""
        complete = self.has(sha256)
        received_bytes = 0
        with contextlib.suppress(FileNotFoundError):
            received_bytes = ((self._blobs if complete else self._uploads) / sha256).stat().st_size
        return UploadStatus(sha256=sha256, received_bytes=received_bytes, complete=complete)

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
        with disk.refusals_told(), self._open_part(sha256) as file:
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
        status = self.status(sha256)
        if status.complete or status.received_bytes < size_bytes:
            return status
        part = self._uploads / sha256
        with disk.refusals_told(), self._open_part(sha256) as file:
            if self.has(sha256):  # somebody else has finished it since: what was opened is a new, empty file
                part.unlink()
                return self.status(sha256)
            found = _sha256_of(part)
            if found != sha256:
                part.unlink()
                raise CorruptUploadError(f"the bytes sent as {sha256} have the sha256 {found}", "send the file again")
            os.fsync(file.fileno())
            part.rename(self._blobs / sha256)
            disk.sync_folder(self._blobs)
        return self.status(sha256)

    def remove_unused(self) -> None:
        """Removes what no bundle links to and nobody has asked for in an hour: a push may be under way."""
        before = time.time() - KEPT_UNUSED_S
        for path in (*self._blobs.iterdir(), *self._uploads.iterdir()):
            with self._changing, contextlib.suppress(FileNotFoundError):  # an upload that has just been finished
                state = path.stat()
                if state.st_nlink == 1 and state.st_mtime < before:
                    path.unlink()

    def _open_part(self, sha256: str) -> BinaryIO:
        """For this caller alone. UploadConflictError."""
        with self._changing:
            file = (self._uploads / sha256).open("ab")
            if disk.lock(file.fileno()):
                os.utime(file.fileno())
                return file
        file.close()
        raise UploadConflictError(f"somebody else is sending {sha256}", "ask again when they are done")


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


def checked_sha256(text: str) -> str:
    """Itself. BadQueryError where it is none: it becomes a file's name."""
    if not _SHA256.fullmatch(text):
        raise BadQueryError(f"{text!r:.100} is no sha256", "64 hexadecimal digits in lower case")
    return text


def _sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
