"""The worker's loop over a real socket, with a runtime made for the question."""

import mmap
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from agent.worker import runtimes, wire
from agent.worker.loop import Channel, Loop
from agent.worker.runtimes.base import Options, Runtime, Tensor

X = {"name": "x", "dtype": "float32", "shape": [1, 4]}
Y = {**X, "name": "y"}
LOAD = {
    "op": "load",
    "runtime": "made",
    "path": "/model",
    "options": {},
    "inputs": [X],
    "outputs": [Y],
    "slots": [{"inputs": [0], "outputs": [64]}, {"inputs": [128], "outputs": [192]}],
}


class Made(Runtime):
    """y = 2 x. `accelerator_s` is taken from run to run; an exception there is raised."""

    def __init__(
        self,
        accelerator_s: Sequence[float | Exception | None] = (),
        inputs: Sequence[Tensor] = (Tensor("x", "float32", (1, 4)),),
    ) -> None:
        self._accelerator_s = iter(accelerator_s)
        self._inputs = list(inputs)

    def _open(self, options: Options) -> str:
        return "7"

    def load(self, path: str) -> tuple[list[Tensor], list[Tensor]]:
        return self._inputs, [Tensor("y", "float32", (1, 4))]

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        return inputs[0], outputs[0]

    def run(self, binding: Any) -> float | None:
        source, target = binding
        target[...] = 2 * source
        said = next(self._accelerator_s, None)
        if isinstance(said, Exception):
            raise said
        return said


def serve(
    monkeypatch: pytest.MonkeyPatch, arena: mmap.mmap, runtime: Runtime, *messages: wire.Message
) -> list[wire.Message]:
    """What a worker with `runtime` answers to these messages, all waiting from the start, and nothing after them."""
    monkeypatch.setattr(runtimes, "create", lambda _key: runtime)
    ours, theirs = socket.socketpair()
    with ours, theirs, ThreadPoolExecutor(1) as reader:
        for number, message in enumerate(messages, start=1):
            ours.sendall(wire.pack({**message, "id": number}))
        ours.shutdown(socket.SHUT_WR)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the least there is: a longer frame goes in parts
        replies = reader.submit(_received, ours)
        try:
            served = Loop(Channel(theirs), arena)
            served.serve()
            del served  # its views of the arena
        finally:
            theirs.shutdown(socket.SHUT_WR)
        return replies.result()


def _received(ours: socket.socket) -> list[wire.Message]:
    unpacker = wire.Unpacker()
    messages: list[wire.Message] = []
    while data := ours.recv(1 << 16):
        messages += unpacker.feed(data)
    return messages
