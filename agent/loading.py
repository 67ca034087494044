"""From a deployment to a fresh worker that has its model loaded."""

import re
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from agent.arena import Arena
from agent.crashes import while_loading
from agent.engines import Engine
from agent.errors import WorkerCrashedError, WorkerFailedError, WorkerRefusedError
from agent.process import Launch, WorkerProcess
from agent.worker import wire
from contract.manifest import Manifest, Score

if TYPE_CHECKING:
    from inspection.score import FloatMap


_OUT_OF_NVMAP = re.compile(r"NvMapMemAlloc\w*: \d+ error 12.*")
"""What Jetsons print where the GPU's memory is used up."""

_LESS_MEMORY = "stop other models, other programs and the desktop"


@dataclass(frozen=True)
class Deployment:
    """A version of a model on this disk.

    `threshold` was found on this board (calibration.py); None where it was not: the model's own counts, if it has one.
    `temporary`: see `contract.api.ActivateRequest`. `engine`: what this board has built of the model's file and loads
    instead; None where it loads the file itself.
    """

    name: str
    bundle: str
    manifest: Manifest
    folder: Path
    threshold: float | None = None
    temporary: bool = False
    engine: Engine | None = None

    @property
    def artifact(self) -> Path:
        """What the runtime loads."""
        return self.engine.path if self.engine else self.folder / self.manifest.runtime.file

    @property
    def score(self) -> Score | None:
        """How it decides, with the threshold that counts here."""
        score = self.manifest.score
        if score is None or self.threshold is None:
            return score
        return score.model_copy(update={"threshold": self.threshold})

    @cached_property
    def training_error(self) -> "FloatMap | None":
        """What its score divides by, float32 (H,W); None where it divides by nothing. Read at the first decision."""
        manifest = self.manifest
        if not (manifest.score and manifest.score.needs_training_error):
            return None
        assert manifest.preprocessing, "a manifest with a score has a preprocessing"
        assert manifest.training_error, "a manifest with such a score has a training error map"
        import numpy as np

        size = manifest.preprocessing.height, manifest.preprocessing.width
        return np.fromfile(self.folder / manifest.training_error, "<f4").reshape(size)


@dataclass(frozen=True)
class Limits:
    """From the board's profile."""

    queue_length: int
    start_timeout_s: float
    request_timeout_s: float


@dataclass(frozen=True)
class Loaded:
    """What a worker says once it has loaded its model; `unmet` has the reason of a figure that is None.

    `available_bytes`: MemAvailable of the board when the runtime was initialised, as `baseline_bytes` is of the worker.
    """

    runtime_version: str
    python_version: str
    baseline_bytes: int | None
    available_bytes: int | None
    load_peak_bytes: int | None
    load_s: float
    details: dict[str, str]
    unmet: dict[str, str]


async def start_worker(
    deployment: Deployment, launch: Launch, arena: Arena, limits: Limits
) -> tuple[WorkerProcess, Loaded]:
    """A fresh worker with the model loaded over `arena`. Raises WorkerFailedError; nothing is then left running."""
    began = time.monotonic()
    worker = await WorkerProcess.spawn(launch, arena)
    try:
        reply = await worker.request(_load_message(deployment, arena), limits.start_timeout_s)
    except WorkerCrashedError as error:
        await worker.kill()
        raise while_loading(error, deployment.manifest.runtime) from error
    except WorkerRefusedError as error:
        await worker.kill()
        raise as_the_driver_says(error, worker, _LESS_MEMORY) from error
    except BaseException:
        await worker.kill()
        raise
    return worker, Loaded(
        runtime_version=reply["runtime_version"],
        python_version=worker.python_version,
        baseline_bytes=reply["baseline_bytes"],
        available_bytes=reply["available_bytes"],
        load_peak_bytes=reply["load_peak_bytes"],
        load_s=time.monotonic() - began,
        details={str(name): str(text) for name, text in reply["details"].items()},
        unmet=reply["unmet"],
    )


def as_the_driver_says(error: WorkerFailedError, worker: WorkerProcess, hint: str) -> WorkerFailedError:
    """With what only a Jetson's driver has printed: TensorRT itself does not say that the GPU's memory is used up."""
    line = worker.printed(_OUT_OF_NVMAP)
    if line is None or not isinstance(error, WorkerRefusedError):
        return error
    return WorkerRefusedError(f"{error.message}; the driver printed: {line}", hint, "out_of_memory")


def _load_message(deployment: Deployment, arena: Arena) -> wire.Message:
    runtime, signature = deployment.manifest.runtime, deployment.manifest.signature
    tensors = deployment.manifest.artifact
    return {
        "op": "load",
        "runtime": runtime.key,
        "path": str(deployment.artifact),
        "options": dict(runtime.options),
        "inputs": [spec.model_dump(mode="json") for spec in signature.inputs],
        "outputs": [spec.model_dump(mode="json") for spec in signature.outputs],
        "artifact": tensors and tensors.model_dump(mode="json"),
        "slots": [{"inputs": list(slot.inputs), "outputs": list(slot.outputs)} for slot in arena.slots],
    }
