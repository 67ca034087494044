"""An agent of the profile desktop-tensorrt, and models on it, by the way every user takes."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from PIL import Image

from benchmarks.agents import Quiet
from contract.api import Activation, BenchRequest, Measurement
from contract.profile import read_profile
from host.bundle import Bundle
from host.client import AgentClient
from host.converting import Request, make
from host.deploying import deploy
from host.errors import HostError
from host.facts import on_board
from host.store import Store

PROFILE = "desktop-tensorrt"

_STARTS_WITHIN_S = 60.0
_ANY_DB = 1.0
"""Of random weights the distance to ONNX Runtime says nothing about a precision; that it is no rubbish, it does."""


@dataclass(frozen=True)
class Deployed:
    """A model on the board: how it got there, and the engine that was built of it."""

    name: str
    bundle: Bundle
    activation: Activation
    engine: Path


@dataclass(frozen=True)
class Board:
    """A running agent over `data_dir`, on this machine. `variables`: what a process needs to find its TensorRT."""

    client: AgentClient
    data_dir: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def put(self, name: str, model: onnx.ModelProto, folder: Path, precision: str) -> Deployed:
        """Converts the model, which is written into `folder`, and deploys it."""
        path = folder / f"{name}.onnx"
        path.write_bytes(model.SerializeToString())
        calibrate = _images(folder) if precision == "int8" else None
        request = Request(path, {}, precision=precision, calibrate=calibrate, tolerance_db=_ANY_DB)
        bundle = make(request, on_board(read_profile(PROFILE), self.client), Quiet().stage)
        activation = deploy(self.client, name, bundle, Quiet(), lambda: Store.open(folder / "failures.sqlite"))
        assert activation.build is not None, "a board with TensorRT builds what it loads"
        return Deployed(name, bundle, activation, self.data_dir / "engines" / activation.build.key / "model.engine")

    def measured(self, name: str, runs: int) -> tuple[Measurement, NDArray[np.int64]]:
        """One trial of `host bench`: what it says, and the nanoseconds of all runs but the first."""
        request = BenchRequest(model=name, runs=runs, interrupt=True)
        job = self.client.wait(self.client.bench(request), lambda _job: None)
        assert job.measurement is not None
        return job.measurement, np.frombuffer(self.client.samples_ns(job), "<i8")[1:].astype(np.int64)


@contextmanager
def running(folder: Path) -> Iterator[Board]:
    """An agent on loopback, ended afterwards. RuntimeError, with what it said, where it does not start."""
    ready, data_dir = folder / "ready.json", folder / "data"
    command = [sys.executable, "-m", "agent", "serve", "--port=0", f"--profile={PROFILE}"]
    with (folder / "agent.log").open("w+") as log:
        process = subprocess.Popen([*command, f"--data-dir={data_dir}", f"--ready-file={ready}"], stderr=log)
        try:
            deadline = time.monotonic() + _STARTS_WITHIN_S
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the agent did not start: {(folder / 'agent.log').read_text()}")
                time.sleep(0.005)
            port = json.loads(ready.read_text())["port"]
            with AgentClient.connect(PROFILE, f"http://127.0.0.1:{port}", None) as client:
                yield Board(client, data_dir)
        finally:
            process.terminate()
            process.wait()


def device(board: Board, name: str) -> str:
    """The GPU and the TensorRT that serve this model, in one line, after a few runs of it."""
    environment = board.measured(name, 2)[0].environment
    return f"{environment.runtime_details['device']}, TensorRT {environment.runtime_version}"


def tell_refusal(error: HostError) -> None:
    print(f"{error.message}\n  {error.hint}", file=sys.stderr)


def _images(folder: Path) -> Path:
    """Noise to calibrate with: how long a model takes does not depend on the ranges that are found."""
    made = folder / "noise"
    if not made.exists():
        made.mkdir()
        for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (4, 128, 128, 3), np.uint8)):
            Image.fromarray(pixels).save(made / f"{number}.png")
    return made
