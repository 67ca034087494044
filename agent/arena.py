"""Shared memory that holds a model's tensors: written by the agent, read and answered in place by its worker.

An unnamed file in /dev/shm (O_TMPFILE): it cannot outlive its users and has no name to clash or to clean up.
Not memfd_create (Python 3.8) nor multiprocessing.shared_memory (3.8, and its tracker unlinks what others use:
python/cpython#82300).
"""

import contextlib
import errno
import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass

from agent.errors import BadTensorError, DiskFullError
from contract.tensors import Signature, TensorSpec

ALIGNMENT = 64  # a cache line, and what ONNX Runtime's own allocator gives
_FOLDER = "/dev/shm"
_MORE_ROOM = "remove a model, or give /dev/shm more room (in a container: --shm-size)"


@dataclass(frozen=True)
class Slot:
    """Where one request's tensors lie: an offset per input and per output, in order."""

    index: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class Arena:
    """`slot_count` slots for tensors of `signature`, and `extra_bytes` beyond them at `extra_offset`."""

    def __init__(self, signature: Signature, slot_count: int, extra_bytes: int = 0) -> None:
        self.signature = signature
        offset = 0
        slots = []
        for index in range(slot_count):
            inputs, offset = _lay_out(signature.inputs, offset)
            outputs, offset = _lay_out(signature.outputs, offset)
            slots.append(Slot(index, inputs, outputs))
        self.slots: tuple[Slot, ...] = tuple(slots)
        self.extra_offset = offset
        self.size_bytes = max(offset + extra_bytes, mmap.PAGESIZE)
        self.fd = _reserve(self.size_bytes)
        self._memory = _map(self.fd, self.size_bytes)
        self._view = memoryview(self._memory)

    def inputs(self, slot: Slot) -> list[memoryview]:
        """The bytes of each input of `slot`, writable."""
        return self._views(self.signature.inputs, slot.inputs)

    def outputs(self, slot: Slot) -> list[memoryview]:
        """The bytes of each output of `slot`. They are overwritten once the slot is given back: copy what stays."""
        return self._views(self.signature.outputs, slot.outputs)

    def extra(self, size_bytes: int) -> memoryview:
        return self._view[self.extra_offset : self.extra_offset + size_bytes]

    def _views(self, specs: Sequence[TensorSpec], offsets: Sequence[int]) -> list[memoryview]:
        return [self._view[start : start + spec.size_bytes] for spec, start in zip(specs, offsets, strict=True)]

    def close(self) -> None:
        """Gives the memory back, once. A view that is still held keeps the mapping until it goes."""
        os.close(self.fd)
        self._view.release()
        with contextlib.suppress(BufferError):
            self._memory.close()
        del self._view, self._memory  # what could not be closed goes with the last view


class InputWriter:
    """Fills a slot's inputs from a stream of bytes, all inputs one after the other: the only copy on the way in."""

    def __init__(self, views: Sequence[memoryview]) -> None:
        self._views = list(views)
        self._expected = sum(len(view) for view in views)
        self._written = 0
        self._current = 0
        self._position = 0

    def write(self, chunk: bytes | memoryview) -> None:
        """Takes the next bytes. BadTensorError once there are more than the inputs hold."""
        self._written += len(chunk)
        if self._written > self._expected:
            raise self._wrong_count(f"at least {self._written}")
        rest = memoryview(chunk)
        while rest:
            view = self._views[self._current]
            taken = min(len(rest), len(view) - self._position)
            view[self._position : self._position + taken] = rest[:taken]
            rest = rest[taken:]
            self._position += taken
            if self._position == len(view):
                self._current += 1
                self._position = 0

    def finish(self) -> None:
        """BadTensorError where bytes are missing."""
        if self._written != self._expected:
            raise self._wrong_count(str(self._written))

    def _wrong_count(self, got: str) -> BadTensorError:
        return BadTensorError(
            f"the body has {got} bytes, the model's inputs take {self._expected}",
            "send the input tensors in order, little-endian, row-major, without padding",
        )


def _lay_out(specs: Sequence[TensorSpec], offset: int) -> tuple[tuple[int, ...], int]:
    offsets = []
    for spec in specs:
        offsets.append(offset)
        offset += -(-spec.size_bytes // ALIGNMENT) * ALIGNMENT
    return tuple(offsets), offset


def _reserve(size_bytes: int) -> int:
    """An open file of so many bytes. DiskFullError."""
    fd = os.open(_FOLDER, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        # Reserved, not just sized: a write to a page that /dev/shm cannot give would be SIGBUS.
        os.posix_fallocate(fd, 0, size_bytes)
    except OSError as error:
        os.close(fd)
        if error.errno not in (errno.ENOSPC, errno.ENOMEM, errno.EFBIG):
            raise
        raise DiskFullError(f"{_FOLDER} has no {size_bytes} bytes left for the model's tensors", _MORE_ROOM) from error
    return fd


def _map(fd: int, size_bytes: int) -> mmap.mmap:
    try:
        return mmap.mmap(fd, size_bytes)
    except (OSError, OverflowError) as error:
        os.close(fd)
        raise DiskFullError(f"{size_bytes} bytes of {_FOLDER} cannot be mapped: {error}", _MORE_ROOM) from error
