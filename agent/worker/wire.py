"""Frames between agent and worker: u32 little-endian length, then UTF-8 JSON. Tensors travel in the arena instead.

The one file of this folder that the agent imports. Python 3.6: the keys below are the contract, in words.

worker -> agent
    {"hello": WIRE_VERSION, "python": "3.6.9", "numpy": "1.13.3"}                first frame, once
    {"id": n, "ok": {...}}                                                       reply to request n
    {"id": n, "error": {"code": ..., "message": ..., "hint": ..., "traceback"?}} reply to request n
    {"id": n, "progress": {"done": k, "total": m}}                               before a reply, at most 4 a second
    {"id": n, "line": text}                                                      before a reply: as a builder says it
agent -> worker
    {"id": n, "op": "load", "runtime": key, "path": ..., "options": {...},
     "inputs": [tensor, ...], "outputs": [tensor, ...], "slots": [slot, ...], "artifact": artifact or null}
        tensor = {"name": ..., "dtype": numpy name, "shape": [..]}; slot = {"inputs": [offset, ..], "outputs": [..]}
        artifact = {"inputs": [contract.tensors.ArtifactTensor, ...], "outputs": [...]}: what the file takes and gives;
        the slots hold the tensors of the signature all the same
        -> {"runtime_version": ..., "baseline_bytes": .., "available_bytes": of the board at the baseline,
            "load_peak_bytes": .., "details": {name: text}, "unmet": {key: reason}}
        a worker that refused may be asked again
    {"id": n, "op": "infer", "slot": i}
        -> {"run_ns": .., "accelerator_ns": .. or null, "convert_ns": .. or null}
    {"id": n, "op": "bench", "runs": r, "slots": k, "samples": offset}
        runs r times over the inputs of slots 0..k-1 in turn and writes r int64 nanoseconds at `samples`
        -> {"run_peak_bytes": .., "accelerator_ns": mean of all but the first or null,
            "convert_ns": likewise, of what is between the slots and the file's own tensors,
            "accelerator_bytes": held or null, "unmet": {key: reason}}
    {"id": n, "op": "profile", "slot": i, "runs": r}   -> {"layers": [[name, mean_ms], ...]}
    {"id": n, "op": "identify", "runtime": key, "options": {...}}
        -> {"runtime_version": .., "architecture": ..}: what a built file depends on
    {"id": n, "op": "parse", "runtime": key, "options": {...}, "source": path}
        -> {"problems": [[node, operator, reason], ...]}
    {"id": n, "op": "build", "runtime": key, "options": {...}, "order": base.Order by its names}
        -> {"engine_bytes": .., "build_peak_bytes": .., "unmet": {key: reason}}
    end of stream                                  the worker leaves; one that is busy is killed instead
"""

import json
import struct
from typing import Any, Dict, Iterator

WIRE_VERSION = 1
MAX_FRAME_BYTES = 1 << 20

_LENGTH = struct.Struct("<I")

Message = Dict[str, Any]


class BrokenFrameError(ValueError):
    """What came is not a frame: the other side is not to be trusted with another byte."""


def pack(message: Message) -> bytes:
    """One frame."""
    body = json.dumps(message, separators=(",", ":")).encode("utf-8")
    if len(body) > MAX_FRAME_BYTES:
        raise BrokenFrameError("a message of %d bytes is above the limit of %d" % (len(body), MAX_FRAME_BYTES))
    return _LENGTH.pack(len(body)) + body


class Unpacker:
    """Bytes in any portions -> messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages completed by `data`. BrokenFrameError: over-long, not UTF-8, not JSON, or not an object."""
        buffer = self._buffer
        buffer += data
        while len(buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer)
            if length > MAX_FRAME_BYTES:
                raise BrokenFrameError("a frame announces %d bytes, the limit is %d" % (length, MAX_FRAME_BYTES))
            end = _LENGTH.size + length
            if len(buffer) < end:
                return
            body = bytes(buffer[_LENGTH.size : end])
            del buffer[:end]
            yield _message(body)


def _message(body: bytes) -> Message:
    try:
        message = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise BrokenFrameError("a frame is not JSON: %s" % error) from error
    if not isinstance(message, dict):
        raise BrokenFrameError("a frame holds a %s, not an object" % type(message).__name__)
    return message
