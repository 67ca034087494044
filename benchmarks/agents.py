"""An agent of its own for a benchmark, and models on it, by the way every user takes."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from contract.profile import read_profile
from host.bundle import Bundle
from host.client import AgentClient
from host.converting import Request, make
from host.deploying import deploy
from host.progress import Progress

IMAGE = (1, 3, 256, 256)


class Quiet(Progress):
    """Tells nothing."""

    def stage(self, text: str) -> None: ...

    def note(self, text: str) -> None: ...

    def advance(self, done: int, total: int, detail: str = "") -> None: ...

    def aside(self) -> AbstractContextManager[None]:
        return nullcontext()


@dataclass(frozen=True)
class Agent:
    """A running agent."""

    client: AgentClient
    pid: int
    port: int


@contextmanager
def running(folder: Path, memory_bytes: int | None = None) -> Iterator[Agent]:
    """An agent on loopback, ended afterwards; with `memory_bytes` no process of it may have more data than that."""

    def limit() -> None:
        if memory_bytes is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))

    ready = folder / "ready.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "agent", "serve", "--port=0", f"--data-dir={folder / 'data'}", f"--ready-file={ready}"],
        stderr=subprocess.DEVNULL,
        preexec_fn=limit,  # it has one thread as yet
    )
    try:
        while not ready.exists():
            if process.poll() is not None:
                raise RuntimeError(f"the agent ended with {process.returncode} before it answered")
            time.sleep(0.005)
        port = json.loads(ready.read_text())["port"]
        with AgentClient.connect("desktop", f"http://127.0.0.1:{port}", None) as client:
            yield Agent(client, process.pid, port)
    finally:
        process.terminate()
        process.wait()


def converted(name: str, model: onnx.ModelProto, folder: Path, options: dict[str, Any]) -> Bundle:
    """`model`, which is written into the folder, for a desktop."""
    path = folder / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())
    return make(Request(path, {}, options=options), read_profile("desktop"), Quiet().stage)


def put(agent: Agent, name: str, model: onnx.ModelProto, folder: Path, options: dict[str, Any]) -> Bundle:
    """Converts and deploys `model`."""
    bundle = converted(name, model, folder, options)
    deploy(agent.client, name, bundle, Quiet(), _no_store)
    return bundle


def noise(size: int) -> NDArray[np.float32]:
    """Two images, for the mean image of a model that nobody trains."""
    return np.random.default_rng(0).uniform(0, 1, (2, 3, size, size)).astype(np.float32)


def identity_model() -> onnx.ModelProto:
    """y = x of an image, 768 KB: nothing but the way to it and back."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, IMAGE) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", [x], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="boardfit-bench-") as folder:
        yield Path(folder)


def _no_store() -> Any:
    raise AssertionError("a benchmark's model must run")
