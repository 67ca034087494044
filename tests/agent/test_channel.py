"""The agent's end of a worker's socket; the other end is the test."""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import pytest
import running

from agent.channel import Channel
from agent.errors import WorkerCrashedError, WorkerRefusedError, WorkerTimeoutError
from agent.worker import wire

INFER = {"op": "infer", "slot": 0}
DONE = {"run_ns": 5, "accelerator_ns": None, "convert_ns": None}

Talk = Callable[[Channel, socket.socket], Coroutine[Any, Any, None]]


def talk(conversation: Talk) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.setblocking(False)
            channel = await Channel.over(ours)
            await conversation(channel, theirs)
            channel.close("the test is over")
            await asyncio.sleep(0)

    running.run(main())


async def received(theirs: socket.socket) -> wire.Message:
    loop = asyncio.get_running_loop()
    (length,) = struct.unpack("<I", await loop.sock_recv(theirs, 4))
    message: wire.Message = json.loads(await loop.sock_recv(theirs, length))
    return message


async def failure(reply: Awaitable[object]) -> str:
    """What a request is told whose worker is not to be trusted any more."""
    with pytest.raises(WorkerCrashedError) as told:
        await reply
    return told.value.message


def test_replies_are_matched_by_id_in_any_order() -> None:
    async def conversation(channel: Channel, theirs: socket.socket) -> None:
        replies = [asyncio.ensure_future(channel.request(INFER, 5)) for _ in range(3)]
        ids = [(await received(theirs))["id"] for _ in replies]
        assert len(set(ids)) == 3
        for number in reversed(ids):
            theirs.send(wire.pack({"id": number, "ok": {**DONE, "run_ns": number}}))
        assert [(await reply)["run_ns"] for reply in replies] == ids

    talk(conversation)


def test_a_reply_may_come_in_pieces() -> None:
    async def conversation(channel: Channel, theirs: socket.socket) -> None:
        reply = asyncio.ensure_future(channel.request(INFER, 5))
        frame = wire.pack({"id": (await received(theirs))["id"], "ok": DONE})
        for start in range(0, len(frame), 7):
            theirs.send(frame[start : start + 7])
            await asyncio.sleep(0.001)
        assert await reply == DONE

    talk(conversation)


def test_the_workers_own_error_is_passed_on_and_a_bugs_traceback_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def conversation(channel: Channel, theirs: socket.socket) -> None:
        for told in ({}, {"traceback": "line 1\nline 2"}):
            reply = asyncio.ensure_future(channel.request(INFER, 5))
            error = {"code": "run_failed", "message": "no", "hint": "yes", **told}
            theirs.send(wire.pack({"id": (await received(theirs))["id"], "error": error}))
            with pytest.raises(WorkerRefusedError) as refused:
                await reply
            assert (refused.value.code, refused.value.message, refused.value.hint) == ("run_failed", "no", "yes")
        assert not channel.closed.done()

    talk(conversation)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "line 1\nline 2" in caplog.text


def test_a_deadline_is_told_with_its_request_and_a_late_reply_disturbs_nobody() -> None:
    async def conversation(channel: Channel, theirs: socket.socket) -> None:
        with pytest.raises(WorkerTimeoutError, match=r"did not answer 'infer' within 0.05 s"):
            await channel.request(INFER, 0.05)
        late = (await received(theirs))["id"]
        reply = asyncio.ensure_future(channel.request(INFER, 5))
        theirs.send(wire.pack({"id": late, "ok": {**DONE, "run_ns": 1}}))
        theirs.send(wire.pack({"id": (await received(theirs))["id"], "ok": {**DONE, "run_ns": 2}}))
        assert (await reply)["run_ns"] == 2

    talk(conversation)


def test_progress_is_passed_on_and_gives_more_time() -> None:
    async def conversation(channel: Channel, theirs: socket.socket) -> None:
        seen: list[tuple[int, int]] = []
        bench = {"op": "bench", "runs": 9, "slots": 1, "samples": 0}
        reply = asyncio.ensure_future(channel.request(bench, 0.2, lambda done, total: seen.append((done, total))))
        number = (await received(theirs))["id"]
        for done in range(4):  # 0.4 s in all: twice the deadline
            await asyncio.sleep(0.1)
            theirs.send(wire.pack({"id": number, "progress": {"done": done, "total": 9}}))
        figures = {
            "run_peak_bytes": 1,
            "accelerator_ns": None,
            "convert_ns": None,
            "accelerator_bytes": 5,
            "unmet": {},
        }
        theirs.send(wire.pack({"id": number, "ok": figures}))
        assert await reply == figures
        assert seen == [(0, 9), (1, 9), (2, 9), (3, 9)]

    talk(conversation)


def test_so_are_a_builders_lines_and_nobody_need_hear_them() -> None:
    async def conversation(channel: Channel, theirs: socket.socket) -> None:
        seen: list[str] = []
        for on_line in (seen.append, None):
            build = {"op": "build", "runtime": "null", "options": {}, "order": {}}
            reply = asyncio.ensure_future(channel.request(build, 0.2, on_line=on_line))
            number = (await received(theirs))["id"]
            for line in ("Layer 1", "é", ""):  # 0.3 s in all
                await asyncio.sleep(0.1)
                theirs.send(wire.pack({"id": number, "line": line}))
            figures = {"engine_bytes": 1, "build_peak_bytes": None, "unmet": {}}
            theirs.send(wire.pack({"id": number, "ok": figures}))
            assert await reply == figures
        assert seen == ["Layer 1", "é", ""]

    talk(conversation)


REPLIES = {
    "load": {
        "runtime_version": "1",
        "baseline_bytes": None,
        "available_bytes": 5,
        "load_peak_bytes": 1,
        "details": {"host_buffers": "pinned"},
        "unmet": {},
    },
    "profile": {"layers": [["conv", 0.5]]},
    "identify": {"runtime_version": "1", "architecture": "sm_87"},
    "parse": {"problems": []},
    "build": {"engine_bytes": 5, "build_peak_bytes": None, "unmet": {}},
    "bench": {
        "run_peak_bytes": 1,
        "accelerator_ns": 2.5,
        "convert_ns": 1.5,
        "accelerator_bytes": None,
        "unmet": {},
    },
    "infer": DONE,
}


@pytest.mark.parametrize("operation", REPLIES)
def test_a_reply_holds_what_its_operation_promises_and_each_key_is_needed(operation: str) -> None:
    async def conversation(channel: Channel, theirs: socket.socket) -> None:
        reply = asyncio.ensure_future(channel.request({"op": operation}, 5))
        number = (await received(theirs))["id"]
        theirs.send(wire.pack({"id": number, "ok": REPLIES[operation] | {"more": 1}}))
        assert await reply == REPLIES[operation] | {"more": 1}

    async def without(key: str, channel: Channel, theirs: socket.socket) -> None:
        reply = asyncio.ensure_future(channel.request({"op": operation}, 5))
        number = (await received(theirs))["id"]
        theirs.send(wire.pack({"id": number, "ok": {k: v for k, v in REPLIES[operation].items() if k != key}}))
        assert (await failure(reply)).startswith("the worker sent garbage: ")

    talk(conversation)
    for key in REPLIES[operation]:
        talk(partial(without, key))


def test_all_requests_end_when_the_worker_goes_and_later_ones_at_once() -> None:
    async def conversation(channel: Channel, theirs: socket.socket) -> None:
        replies = [asyncio.ensure_future(channel.request(INFER, 5)) for _ in range(3)]
        await asyncio.sleep(0)
        theirs.close()
        assert [await failure(reply) for reply in replies] == ["the worker died"] * 3
        assert await failure(channel.request(INFER, 5)) == "the worker died"

    talk(conversation)


GARBAGE = {
    "an over-long frame": b"\xff\xff\xff\xff",
    "not JSON": struct.pack("<I", 4) + b"{{{{",
    "not UTF-8": struct.pack("<I", 2) + b"\xff\xfe",
    "not an object": struct.pack("<I", 2) + b"[]",
    "nested beyond reason": struct.pack("<I", 200_000) + b"[" * 200_000,
    "no id": wire.pack({"ok": DONE}),
    "an id that is a list": wire.pack({"id": [1], "ok": DONE}),
    "neither ok nor error": wire.pack({"id": 1}),
    "ok is a list": wire.pack({"id": 1, "ok": [1]}),
    "a figure is missing": wire.pack({"id": 1, "ok": {"run_ns": 1}}),
    "a figure is text": wire.pack({"id": 1, "ok": {**DONE, "run_ns": "1"}}),
    "an error is text": wire.pack({"id": 1, "error": "no"}),
    "progress is text": wire.pack({"id": 1, "progress": "half"}),
    "progress of nothing": wire.pack({"id": 1, "progress": {"done": 1}}),
    "a line is a number": wire.pack({"id": 1, "line": 5}),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_garbage_ends_the_channel_and_says_so(garbage: bytes) -> None:
    async def conversation(channel: Channel, theirs: socket.socket) -> None:
        replies = [asyncio.ensure_future(channel.request(INFER, 5)) for _ in range(2)]
        await received(theirs)
        await asyncio.get_running_loop().sock_sendall(theirs, garbage)
        for reply in replies:
            assert (await failure(reply)).startswith("the worker sent garbage: ")
        assert channel.closed.result().startswith("the worker sent garbage: ")

    talk(conversation)


def test_an_unknown_id_is_passed_over() -> None:
    async def conversation(channel: Channel, theirs: socket.socket) -> None:
        reply = asyncio.ensure_future(channel.request(INFER, 5))
        number = (await received(theirs))["id"]
        theirs.send(wire.pack({"id": number + 100, "ok": DONE}) + wire.pack({"id": number, "ok": DONE}))
        assert await reply == DONE

    talk(conversation)


def test_a_request_that_is_cancelled_leaves_the_channel_as_it_was() -> None:
    async def conversation(channel: Channel, theirs: socket.socket) -> None:
        reply = asyncio.ensure_future(channel.request(INFER, 5))
        number = (await received(theirs))["id"]
        reply.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reply
        theirs.send(wire.pack({"id": number, "ok": DONE}))
        reply = asyncio.ensure_future(channel.request(INFER, 5))
        theirs.send(wire.pack({"id": (await received(theirs))["id"], "ok": DONE}))
        assert await reply == DONE

    talk(conversation)


def test_closing_tells_the_other_end_and_whoever_waits_why() -> None:
    async def conversation(channel: Channel, theirs: socket.socket) -> None:
        reply = asyncio.ensure_future(channel.request(INFER, 5))
        await received(theirs)
        channel.close("enough")
        channel.close("again")
        assert await failure(reply) == "enough"
        assert await asyncio.get_running_loop().sock_recv(theirs, 1) == b""
        assert channel.closed.result() == "enough"

    talk(conversation)
