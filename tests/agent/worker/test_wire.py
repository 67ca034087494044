"""Frames: what is packed comes out, however it is cut; what is no frame is refused, in bounded time and memory."""

import contextlib
import json
import struct
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.worker.wire import MAX_FRAME_BYTES, BrokenFrameError, Unpacker, pack

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
messages = st.dictionaries(st.text(), values, max_size=6)


def _frame(body: bytes) -> bytes:
    return struct.pack("<I", len(body)) + body


def _all(data: bytes) -> list[dict[str, Any]]:
    return list(Unpacker().feed(data))


@given(st.lists(messages, max_size=5), st.data())
def test_messages_come_out_however_the_bytes_are_cut(sent: list[dict[str, Any]], data: st.DataObject) -> None:
    stream = b"".join(pack(message) for message in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    unpacker = Unpacker()
    received: list[dict[str, Any]] = []
    for start, end in pairwise([0, *cuts, len(stream)]):
        received += unpacker.feed(stream[start:end])
    assert received == sent


@given(messages)
def test_a_frame_is_its_length_and_json_in_utf_8(message: dict[str, Any]) -> None:
    frame = pack(message)
    assert struct.unpack("<I", frame[:4]) == (len(frame) - 4,)
    assert json.loads(frame[4:].decode("utf-8")) == message


@given(st.binary(max_size=200))
@example(_frame(b'{"id": 1}'))
@example(_frame(b"\xff"))
@example(b"\x00\x00\x00\x00")
def test_of_any_bytes_come_objects_or_a_broken_frame(data: bytes) -> None:
    received: list[dict[str, Any]] = []
    with contextlib.suppress(BrokenFrameError):
        received += Unpacker().feed(data)
    assert all(isinstance(message, dict) for message in received)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"nonsense", "not JSON"),
        (b'{"id": 1', "not JSON"),
        (b'{"id": 1} {"id": 2}', "not JSON"),
        (b'{"a": "\xff"}', "not JSON"),
        (b'{"a": "\xc3"}', "not JSON"),
        ('{"a": 1}'.encode("utf-16"), "not JSON"),
        (b"[" * MAX_FRAME_BYTES, "not JSON"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"[1, 2]", "holds a list"),
        (b"null", "holds a NoneType"),
        (b'"hello"', "holds a str"),
        (b"17", "holds a int"),
    ],
)
def test_a_body_that_is_no_object(body: bytes, reason: str) -> None:
    with pytest.raises(BrokenFrameError, match=reason):
        _all(_frame(body))


def test_a_frame_that_announces_too_much_is_refused_before_it_comes() -> None:
    with pytest.raises(BrokenFrameError, match=f"announces {MAX_FRAME_BYTES + 1} bytes"):
        _all(struct.pack("<I", MAX_FRAME_BYTES + 1))
    assert _all(struct.pack("<I", MAX_FRAME_BYTES)) == []


def test_a_message_that_is_too_long_is_not_packed() -> None:
    longest = "x" * (MAX_FRAME_BYTES - len('{"a":""}'))
    assert _all(pack({"a": longest})) == [{"a": longest}]
    with pytest.raises(BrokenFrameError, match="above the limit"):
        pack({"a": longest + "x"})


def test_what_came_before_a_broken_frame_is_given_first() -> None:
    stream = Unpacker().feed(pack({"id": 1}) + _frame(b"?"))
    assert next(stream) == {"id": 1}
    with pytest.raises(BrokenFrameError):
        next(stream)


def test_half_a_frame_is_kept_for_later() -> None:
    frame = pack({"id": 1})
    unpacker = Unpacker()
    assert list(unpacker.feed(frame[:-1])) == []
    assert list(unpacker.feed(frame[-1:] + frame[:2])) == [{"id": 1}]
    assert list(unpacker.feed(frame[2:])) == [{"id": 1}]
