"""Files by their sha256, as they arrive."""

import hashlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent import blobs as module
from agent.blobs import Blobs
from agent.errors import (
    BadQueryError,
    CorruptUploadError,
    DiskFullError,
    NotFoundError,
    TooLargeError,
    UploadConflictError,
)

CONTENT = bytes(range(256)) * 40
SIZE = len(CONTENT)
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path, 1 << 20)


def send(blobs: Blobs, content: bytes, sha256: str, size: int, offset: int = 0) -> bool:
    """One PUT: whether the file is complete afterwards."""
    with blobs.upload(sha256, size, offset) as upload:
        for start in range(0, len(content), 1000):
            upload.write(content[start : start + 1000])
    return blobs.finish(sha256, size).complete


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives(blobs: Blobs, tmp_path: Path) -> None:
    assert blobs.status(SHA).model_dump() == {"sha256": SHA, "received_bytes": 0, "complete": False}
    assert not blobs.has(SHA)
    with pytest.raises(NotFoundError, match=SHA) as told:
        blobs.path(SHA)
    assert told.value.code == "unknown_blob"
    assert send(blobs, CONTENT, SHA, SIZE)
    assert blobs.path(SHA).read_bytes() == CONTENT
    assert blobs.status(SHA).model_dump() == {"sha256": SHA, "received_bytes": SIZE, "complete": True}
    assert names(tmp_path / "uploads") == []


def test_an_empty_file_arrives(blobs: Blobs) -> None:
    nothing = hashlib.sha256(b"").hexdigest()
    assert send(blobs, b"", nothing, 0)
    assert blobs.path(nothing).read_bytes() == b""


@pytest.mark.parametrize("cut", [0, 1, 999, 1000, 5000, SIZE - 1, SIZE])
def test_an_upload_goes_on_where_it_was_cut(blobs: Blobs, tmp_path: Path, cut: int) -> None:
    with blobs.upload(SHA, SIZE, 0) as upload:
        upload.write(CONTENT[:cut])
    after_a_restart = Blobs(tmp_path, 1 << 20)
    assert after_a_restart.status(SHA).received_bytes == cut
    assert send(after_a_restart, CONTENT[cut:], SHA, SIZE, cut)
    assert after_a_restart.path(SHA).read_bytes() == CONTENT


@pytest.mark.parametrize("offset", [0, 99, 101, SIZE])
def test_a_wrong_offset_is_refused_with_the_right_one(blobs: Blobs, offset: int) -> None:
    with blobs.upload(SHA, SIZE, 0) as upload:
        upload.write(CONTENT[:100])
    with pytest.raises(UploadConflictError, match=f"stands at 100 bytes, .* go on at {offset}"):
        send(blobs, CONTENT[offset:], SHA, SIZE, offset)
    assert blobs.status(SHA).received_bytes == 100
    assert send(blobs, CONTENT[100:], SHA, SIZE, 100)


def test_more_bytes_than_announced_are_refused_and_the_upload_can_be_repeated(blobs: Blobs) -> None:
    with pytest.raises(TooLargeError, match="more bytes came"):
        send(blobs, CONTENT + b"x", SHA, SIZE)
    stands_at = blobs.status(SHA).received_bytes
    assert stands_at <= SIZE
    assert send(blobs, CONTENT[stands_at:], SHA, SIZE, stands_at)


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"x", CONTENT[:-1], CONTENT + b"x"])
def test_bytes_that_are_not_what_their_sha256_says_start_from_0_again(blobs: Blobs, content: bytes) -> None:
    with pytest.raises(CorruptUploadError, match=hashlib.sha256(content).hexdigest()):
        send(blobs, content, SHA, len(content))
    assert blobs.status(SHA).received_bytes == 0
    assert not blobs.has(SHA)
    assert send(blobs, CONTENT, SHA, SIZE)


def test_a_complete_file_takes_no_more(blobs: Blobs) -> None:
    send(blobs, CONTENT, SHA, SIZE)
    with pytest.raises(UploadConflictError, match="is complete"):
        send(blobs, CONTENT, SHA, SIZE)
    assert blobs.finish(SHA, SIZE).complete
    assert blobs.path(SHA).read_bytes() == CONTENT


def test_two_at_one_file_do_not_mix(blobs: Blobs) -> None:
    with blobs.upload(SHA, SIZE, 0) as first:
        first.write(CONTENT[:100])
        with pytest.raises(UploadConflictError, match="somebody else is sending"):
            send(blobs, CONTENT, SHA, SIZE)
        first.write(CONTENT[100:])
    assert blobs.finish(SHA, SIZE).complete


def test_two_that_finish_one_file_at_once(blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is told to ask again, or that it is complete; the file is never a half one."""
    with blobs.upload(SHA, SIZE, 0) as upload:
        upload.write(CONTENT)
    hashing, go_on, real = threading.Event(), threading.Event(), module._sha256_of

    def slow(path: Path) -> str:
        hashing.set()
        assert go_on.wait(10)
        return real(path)

    monkeypatch.setattr(module, "_sha256_of", slow)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(blobs.finish, SHA, SIZE)
        assert hashing.wait(10)
        with pytest.raises(UploadConflictError, match="somebody else is sending"):
            blobs.finish(SHA, SIZE)
        with pytest.raises(UploadConflictError, match="somebody else is sending"):
            send(blobs, b"", SHA, SIZE, SIZE)
        go_on.set()
        assert first.result().complete
    assert blobs.finish(SHA, SIZE).complete
    assert blobs.path(SHA).read_bytes() == CONTENT


def test_many_that_send_one_file_at_once_end_with_it_whole(blobs: Blobs, tmp_path: Path) -> None:
    def sender(_number: int) -> None:
        for _ in range(200):
            try:
                status = blobs.status(SHA)
                if status.complete:
                    return
                send(blobs, CONTENT[status.received_bytes :], SHA, SIZE, status.received_bytes)
            except UploadConflictError:
                time.sleep(0.001)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(sender, range(8)))
    assert blobs.path(SHA).read_bytes() == CONTENT
    assert all((tmp_path / "uploads" / name).stat().st_size == 0 for name in names(tmp_path / "uploads"))


def test_a_file_above_the_limit_is_refused_before_it_is_sent(blobs: Blobs) -> None:
    with pytest.raises(TooLargeError, match=r"has 1048577 bytes, this agent takes at most 1048576"):
        send(blobs, b"", SHA, (1 << 20) + 1)


NO_SHA256 = ["", "..", "../" * 21 + "x", "A" * 64, SHA + "\n", SHA[:-1], f"/{SHA[1:]}", "0" * 63 + "\0"]


@pytest.mark.parametrize("name", NO_SHA256)
@pytest.mark.parametrize("method", ["status", "has", "path", "upload", "finish"])
def test_a_name_that_is_no_sha256_reaches_no_file(blobs: Blobs, tmp_path: Path, method: str, name: str) -> None:
    more = {"upload": (1, 0), "finish": (1,)}.get(method, ())
    with pytest.raises(BadQueryError, match="is no sha256"):
        getattr(blobs, method)(name, *more).__enter__()
    assert names(tmp_path / "uploads") == names(tmp_path / "blobs") == []


def test_a_disk_without_room_refuses_before_the_first_byte(small_disk: Path) -> None:
    blobs = Blobs(small_disk, 1 << 30)
    with pytest.raises(DiskFullError, match="bytes are to come"):
        send(blobs, b"x" * 1000, SHA, 1 << 20)
    assert blobs.status(SHA).received_bytes == 0


def test_a_disk_that_fills_up_under_an_upload_keeps_what_came(small_disk: Path) -> None:
    """Somebody else writes too. Once there is room again, the upload goes on."""
    blobs = Blobs(small_disk, 1 << 30)
    content = os.urandom(120 << 10)
    sha256 = hashlib.sha256(content).hexdigest()

    def send_while_it_fills_up() -> None:
        with blobs.upload(sha256, len(content), 0) as upload:
            upload.write(content[: 20 << 10])
            (small_disk / "log").write_bytes(bytes(450 << 10))
            for start in range(20 << 10, len(content), 1 << 10):
                upload.write(content[start : start + (1 << 10)])

    with pytest.raises(DiskFullError, match="disk is full") as told:
        send_while_it_fills_up()
    assert "host remove" in told.value.hint
    (small_disk / "log").unlink()
    stands_at = blobs.status(sha256).received_bytes
    assert 20 << 10 <= stands_at < len(content)
    assert send(blobs, content[stands_at:], sha256, len(content), stands_at)
    assert blobs.path(sha256).read_bytes() == content


def age(path: Path, hours: float = 2) -> None:
    then = time.time() - hours * 3600
    os.utime(path, (then, then))


def test_what_nobody_uses_goes_after_an_hour_and_not_before(blobs: Blobs, tmp_path: Path) -> None:
    contents = [b"linked", b"old", b"new", b"part"]
    shas = [hashlib.sha256(content).hexdigest() for content in contents]
    linked, old, new, part = shas
    for sha256, content in zip(shas[:3], contents, strict=False):
        send(blobs, content, sha256, len(content))
    with blobs.upload(part, 4, 0) as upload:
        upload.write(b"pa")
    os.link(blobs.path(linked), tmp_path / "in a bundle")
    for sha256 in (linked, old):
        age(tmp_path / "blobs" / sha256)
    blobs.remove_unused()
    assert names(tmp_path / "blobs") == sorted([linked, new])
    assert names(tmp_path / "uploads") == [part]
    age(tmp_path / "uploads" / part)
    blobs.remove_unused()
    assert names(tmp_path / "uploads") == []


def test_who_asks_for_an_old_file_or_goes_on_with_an_old_upload_keeps_it(blobs: Blobs, tmp_path: Path) -> None:
    send(blobs, CONTENT, SHA, SIZE)
    age(tmp_path / "blobs" / SHA)
    assert blobs.status(SHA).complete
    other = hashlib.sha256(b"other").hexdigest()
    with blobs.upload(other, 5, 0) as upload:
        upload.write(b"oth")
    age(tmp_path / "uploads" / other)
    with blobs.upload(other, 5, 3) as upload:
        blobs.remove_unused()
        upload.write(b"er")
    assert blobs.finish(other, 5).complete
    assert blobs.path(SHA).read_bytes() == CONTENT
