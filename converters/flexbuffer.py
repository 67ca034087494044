"""The strings in a FlexBuffer map of unknown origin: just as much of the format as that needs, every offset checked.

Format: https://flatbuffers.dev/internals/#flexbuffers. An offset leads backwards from where it stands; a vector's
length, and before that a map's keys, lie in front of its elements; a byte per element behind them tells its type.
"""

from dataclasses import dataclass

from converters.flatbuffer import BrokenFlatbufferError

_STRING, _MAP, _VECTOR, _BLOB = 5, 9, 10, 25
_MOST_ELEMENTS = 64
"""Of a map that is read: libedgetpu's has seven at most."""
_UNSIGNED = (1, 2, 4, 8)


@dataclass(frozen=True)
class _Value:
    """A value's place; `width` is that of its own offset, `inner` that of the numbers where it leads."""

    content: memoryview
    at: int
    width: int
    kind: int
    inner: int

    def target(self) -> int:
        return self.at - _number(self.content, self.at, self.width)

    def elements(self, *, typed: int | None = None) -> "list[_Value]":
        start = self.target()
        count = _number(self.content, start - self.inner, self.inner)
        if count > _MOST_ELEMENTS:
            raise BrokenFlatbufferError(f"a map has {count:,} elements")
        types = [typed or _number(self.content, start + count * self.inner + index, 1) for index in range(count)]
        return [
            _Value(self.content, start + index * self.inner, self.inner, kind >> 2, _UNSIGNED[kind & 3])
            for index, kind in enumerate(types)
        ]

    def text(self) -> memoryview:
        start = self.target()
        size = _number(self.content, start - self.inner, self.inner)
        if start + size > len(self.content):
            raise BrokenFlatbufferError(f"{size:,} bytes at {start:,} are asked for, it has {len(self.content):,}")
        return self.content[start : start + size]


def strings_of_map(content: memoryview) -> dict[str, memoryview]:
    """The strings and blobs by their keys, not copied; what else the map holds is left out.

    BrokenFlatbufferError where this is no map.
    """
    root_width, kind = _number(content, len(content) - 1, 1), _number(content, len(content) - 2, 1)
    if root_width not in _UNSIGNED or kind >> 2 != _MAP:
        raise BrokenFlatbufferError("it is no map")
    root = _Value(content, len(content) - 2 - root_width, root_width, _MAP, _UNSIGNED[kind & 3])
    keys, values = _keys(root), root.elements()
    if len(keys) != len(values):
        raise BrokenFlatbufferError(f"it has {len(keys)} keys and {len(values)} values")
    return {key: value.text() for key, value in zip(keys, values, strict=True) if value.kind in (_STRING, _BLOB)}


def _keys(root: _Value) -> list[str]:
    start = root.target()
    place, width = start - 3 * root.inner, _number(root.content, start - 2 * root.inner, root.inner)
    if width not in _UNSIGNED:
        raise BrokenFlatbufferError(f"its keys are {width} bytes wide")
    keys = _Value(root.content, place, root.inner, _VECTOR, width)
    return [_key(key) for key in keys.elements(typed=_STRING << 2)]


def _key(key: _Value) -> str:
    """Up to its NUL; a key of ours is one character long."""
    start = key.target()
    _number(key.content, start, 1)
    return str(bytes(key.content[start : start + 16]).partition(b"\0")[0], "utf-8", "replace")


def _number(content: memoryview, at: int, width: int) -> int:
    if at < 0 or at + width > len(content):
        raise BrokenFlatbufferError(f"{width} bytes at {at:,} are asked for, it has {len(content):,}")
    return int.from_bytes(content[at : at + width], "little")
