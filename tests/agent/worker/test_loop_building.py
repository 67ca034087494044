"""The loop of a worker that builds: what is asked before there is anything to load."""

import errno
import mmap
import threading
from collections.abc import Callable, Sequence

import pytest
from looping import LOAD, Made, serve

from agent.worker import memory
from agent.worker.runtimes.base import Options, Order, Problem

IDENTIFY = {"op": "identify", "runtime": "made", "options": {}}
PARSE = {"op": "parse", "runtime": "made", "options": {}, "source": "/source"}
BUILD = {
    "op": "build",
    "runtime": "made",
    "options": {},
    "order": {
        "source": "/source",
        "target": "/dev/null",
        "cache": "/cache",
        "precision": "int8",
        "typed": True,
        "workspace_bytes": 9,
    },
}


def test_a_runtime_that_tells_no_layers_and_builds_nothing_says_so(
    monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap
) -> None:
    asked = [{"op": "profile", "slot": 0, "runs": 3}, IDENTIFY, PARSE, BUILD]
    replies = serve(monkeypatch, arena, Made(), LOAD, *asked)
    assert [reply["error"]["code"] for reply in replies[1:]] == ["unsupported"] * 4
    assert all(reply["error"]["hint"] for reply in replies[1:])


class Builder(Made):
    """Says `lines` from a thread each, and keeps its order."""

    def __init__(self, lines: Sequence[str] = ()) -> None:
        super().__init__()
        self.opened = 0
        self.order: Order | None = None
        self._lines = lines

    def _open(self, options: Options) -> str:
        self.opened += 1
        return super()._open(options)

    def architecture(self) -> str:
        return "sm_87"

    def parse(self, source: str) -> list[Problem]:
        return [Problem("node", "Fancy", f"not in {source}"), Problem("", "", "more")]

    def build(self, order: Order, say: Callable[[str], None]) -> None:
        self.order = order
        threads = [threading.Thread(target=say, args=(line,)) for line in self._lines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def test_one_runtime_is_asked_what_it_is_what_it_refuses_and_to_build(
    monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap
) -> None:
    runtime = Builder()
    identified, parsed, built = serve(monkeypatch, arena, runtime, IDENTIFY, PARSE, BUILD)
    assert identified == {"id": 1, "ok": {"runtime_version": "7", "architecture": "sm_87"}}
    assert parsed["ok"] == {"problems": [["node", "Fancy", "not in /source"], ["", "", "more"]]}
    assert runtime.order == Order("/source", "/dev/null", "/cache", "int8", True, 9)
    assert set(built["ok"]) == {"engine_bytes", "build_peak_bytes", "unmet"}
    assert built["ok"]["engine_bytes"] == 0
    assert built["ok"]["build_peak_bytes"] > 1_000_000
    assert built["ok"]["unmet"] == {}
    assert runtime.opened == 1


def test_the_peak_of_a_build_that_cannot_be_read_has_its_reason(
    monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap
) -> None:
    def unknown() -> int:
        raise ValueError("no VmHWM")

    monkeypatch.setattr(memory, "peak_bytes", unknown)
    (built,) = serve(monkeypatch, arena, Builder(), BUILD)
    assert built["ok"]["build_peak_bytes"] is None
    assert built["ok"]["unmet"] == {"build_peak_bytes": "no VmHWM"}


def test_a_full_disk_is_no_fault_of_ours(monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap) -> None:
    class Full(Builder):
        def build(self, order: Order, say: Callable[[str], None]) -> None:
            raise OSError(errno.ENOSPC, "No space left on device", order.target)

    (refused,) = serve(monkeypatch, arena, Full(), BUILD)
    assert refused["error"] == {
        "code": "disk_failed",
        "message": "what was built cannot be kept: [Errno 28] No space left on device: '/dev/null'",
        "hint": "free some of the board's disk",
    }


def test_what_a_builder_says_from_any_thread_comes_in_whole_frames_and_before_the_reply(
    monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap
) -> None:
    lines = [f"{number} " + "\U0001d6fc" * 400 for number in range(50)]  # 12 bytes each in a frame
    *said, reply = serve(monkeypatch, arena, Builder(lines), BUILD)
    assert sorted(message["line"] for message in said) == sorted(lines)
    assert {message["id"] for message in said} == {1}
    assert "ok" in reply


def test_a_line_of_any_length_fits_a_frame(monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap) -> None:
    said, reply = serve(monkeypatch, arena, Builder(["é" * 3_000_000]), BUILD)
    assert 100 < len(said["line"]) < 1000
    assert "ok" in reply
