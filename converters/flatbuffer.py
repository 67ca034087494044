"""FlatBuffers of unknown origin, read by the numbers of their schema's fields: nothing is trusted.

The package `flatbuffers` follows any offset: a damaged file gives a struct.error deep in a loop, or a loop of four
thousand million rounds. Here every offset is checked, and how much is read altogether is bounded.

Format: https://flatbuffers.dev/internals/
"""

import struct
from collections.abc import Iterator

_READS_PER_TABLE = 16
_BYTES_PER_READ = 8
"""A read is one number, or so many bytes of a text or of a vector of numbers; a table is some, for what is made of it.
Bytes that stay where they lie are one, however many: they are not looked at.
"""
_READS_PER_BYTE = 4
_READS_AT_LEAST = 4096
_READS_AT_MOST = 2**22
"""How much may be read. An honest file asks for about one read per byte, less with weights; one of tens of thousands of
tensors for some two million. One whose offsets all lead to one place asks for any number.
"""


class BrokenFlatbufferError(ValueError):
    """An offset or a length leads outside of the bytes."""


class Flatbuffer:
    """The bytes of one buffer; `root` is its table."""

    def __init__(self, content: bytes | memoryview, identifier: bytes | None = None) -> None:
        self.content = memoryview(content)
        self._left = min(_READS_PER_BYTE * len(content) + _READS_AT_LEAST, _READS_AT_MOST)
        if identifier is not None and bytes(self.content[4:8]) != identifier:
            raise BrokenFlatbufferError(f"it has no {identifier.decode()} at its byte 4")

    @property
    def root(self) -> "Table":
        return Table(self, self.offset(0))

    def number(self, form: str, at: int) -> int | float:
        """The number of struct's format `form` at a byte."""
        self._check(1, at, struct.calcsize(form))
        value: int | float = struct.unpack_from(f"<{form}", self.content, at)[0]
        return value

    def whole(self, form: str, at: int) -> int:
        return int(self.number(form, at))

    def offset(self, at: int) -> int:
        """Where the offset at a byte leads."""
        return at + self.whole("I", at)

    def span(self, at: int, size: int) -> memoryview:
        """Bytes as they lie, not copied."""
        self._check(1, at, size)
        return self.content[at : at + size]

    def numbers(self, form: str, at: int, count: int) -> tuple[int | float, ...]:
        size = struct.calcsize(form) * count
        self._check(1 + size // _BYTES_PER_READ, at, size)
        return struct.unpack_from(f"<{count}{form}", self.content, at)

    def text(self, at: int, size: int) -> str:
        self._check(1 + size // _BYTES_PER_READ, at, size)
        return str(self.content[at : at + size], "utf-8", "replace")

    def spend(self, reads: int) -> None:
        """BrokenFlatbufferError where none are left."""
        self._left -= reads
        if self._left < 0:
            raise BrokenFlatbufferError("it has too much to read, or its offsets lead to one place over and over")

    def _check(self, reads: int, at: int, size: int) -> None:
        self.spend(reads)
        if at < 0 or at + size > len(self.content):
            raise BrokenFlatbufferError(f"{size:,} bytes at {at:,} are asked for, it has {len(self.content):,}")


class Table:
    """A table in a buffer: fields by number; what is not there is its default, or nothing."""

    def __init__(self, buffer: Flatbuffer, at: int) -> None:
        buffer.spend(_READS_PER_TABLE)
        self._buffer = buffer
        self._at = at
        self._vtable = at - buffer.whole("i", at)
        self._vtable_bytes = buffer.whole("H", self._vtable)

    def whole(self, field: int, form: str, default: int = 0) -> int:
        """A whole number of struct's format `form`."""
        at = self._field(field)
        return default if at is None else self._buffer.whole(form, at)

    def blob(self, field: int) -> memoryview:
        """A vector of bytes, or a string: not copied."""
        found = self._vector(field)
        return memoryview(b"") if found is None else self._buffer.span(*found)

    def text(self, field: int) -> str:
        found = self._vector(field)
        return "" if found is None else self._buffer.text(*found)

    def wholes(self, field: int, form: str) -> tuple[int, ...]:
        """A vector of whole numbers."""
        return tuple(int(number) for number in self.numbers(field, form))

    def numbers(self, field: int, form: str) -> tuple[int | float, ...]:
        """A vector of numbers."""
        found = self._vector(field)
        return () if found is None else self._buffer.numbers(form, *found)

    def table(self, field: int) -> "Table | None":
        at = self._field(field)
        return None if at is None else Table(self._buffer, self._buffer.offset(at))

    def tables(self, field: int) -> "Iterator[Table]":
        """A vector of tables."""
        return (Table(self._buffer, at) for at in self._elements(field))

    def spans(self, field: int) -> Iterator[memoryview]:
        """A vector of strings or of vectors of bytes."""
        return (self._buffer.span(at + 4, self._buffer.whole("I", at)) for at in self._elements(field))

    def _elements(self, field: int) -> Iterator[int]:
        """Where each offset of a vector leads."""
        start, count = self._vector(field) or (0, 0)
        self._buffer.span(start, 4 * count)
        return (self._buffer.offset(start + 4 * index) for index in range(count))

    def _vector(self, field: int) -> tuple[int, int] | None:
        """Where a vector's first element is, and how many there are."""
        at = self._field(field)
        if at is None:
            return None
        start = self._buffer.offset(at)
        return start + 4, self._buffer.whole("I", start)

    def _field(self, field: int) -> int | None:
        slot = 4 + 2 * field
        if slot + 2 > self._vtable_bytes:
            return None
        distance = self._buffer.whole("H", self._vtable + slot)
        return self._at + distance if distance else None
