"""Bundles for the `null` and `ort` runtimes, and whatever serves them: workers are real, under the running Python.

bundles.null(crash_on_run=2)                a model that dies in its second run (agent/worker/runtimes/null.py)
bundles.null(wrong=True)                    1 - x, with golden outputs that say so; golden="wrong" for ones that lie
bundles.ort(zoo.autoencoder())              an ONNX model, golden outputs by ONNX Runtime
bundles.inspector().with_score(Score(), good_images=[...])      decides otherwise
bundles.null().to_build(precision="fp16")  the same, of which the board makes what it loads: build=bundles.BUILDS
bundles.put(repository, bundle)             into a Repository, the way a push takes; its id
bundles.deployment(folder, bundle)          on disk without a Repository, for a Supervisor
bundles.service(data_dir, queue_length=2)   an agent without HTTP and without the probe of Pythons
async with bundles.supervised(folder, bundle) as supervisor:            READY
async with bundles.serving(data_dir, {"m": bundle}) as service:         every model READY, ended afterwards
"""

import hashlib
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, helper

from agent import worker_folder
from agent.loading import Deployment, Limits
from agent.process import Launch
from agent.pythons import Pythons
from agent.repository import Repository
from agent.service import Service
from agent.settings import Settings
from agent.supervisor import FindLaunch, RunTimes, Supervisor
from contract.api import Activation, RuntimeInfo
from contract.manifest import Build, FileEntry, Golden, Manifest, Preprocessing, Provenance, RuntimeSpec, Score
from contract.profile import BuildFacts, Profile, read_profile
from contract.tensors import Signature, TensorSpec

BUILDS = BuildFacts(workspace_mib=16, alone=False, timeout_s=30.0)
LIMITS = Limits(queue_length=4, start_timeout_s=30.0, request_timeout_s=10.0)
IMAGE = Preprocessing(height=8, width=8)
Tensors = list[NDArray[Any]]


@dataclass(frozen=True)
class Bundle:
    """A manifest and the bytes of the files it names."""

    manifest: Manifest
    files: Mapping[str, bytes]

    @property
    def id(self) -> str:
        return self.manifest.bundle_id

    def with_file(self, path: str, content: bytes) -> "Bundle":
        """The same with other bytes in one file, its size and sha256 in the manifest right."""
        files = {**self.files, path: content}
        return Bundle(self.manifest.model_copy(update={"files": _entries(files)}), files)

    def with_score(
        self, score: Score, *, training_error: NDArray[np.float32] | None = None, good_images: Sequence[bytes] = ()
    ) -> "Bundle":
        """The same with another score, and the files that one needs."""
        maps = {} if training_error is None else {"training_error.bin": training_error.astype("<f4").tobytes()}
        good = {f"good/{number:03d}.png": content for number, content in enumerate(good_images)}
        files = {**self.files, **maps, **good}
        changes = {
            "score": score,
            "files": _entries(files),
            "training_error": next(iter(maps), None),
            "good_images": tuple(good),
        }
        return Bundle(Manifest.model_validate({**dict(self.manifest), **changes}), files)

    def for_runtime(self, key: str) -> "Bundle":
        """The same for another runtime, which need not be there, without options."""
        runtime = self.manifest.runtime.model_copy(update={"key": key, "options": {}})
        return Bundle(self.manifest.model_copy(update={"runtime": runtime}), self.files)

    def to_build(self, **build: Any) -> "Bundle":
        """The same with a board-site step, by default in fp32."""
        step = Build(**{"precision": "fp32", **build})
        return Bundle(self.manifest.model_copy(update={"build": step}), self.files)

    def golden_inputs(self) -> list[bytes]:
        """Each golden case's inputs."""
        size, content = self.manifest.signature.input_bytes, self.files["golden/inputs.bin"]
        return [content[start : start + size] for start in range(0, len(content), size)]


def null(
    *specs: TensorSpec,
    golden: Literal["right", "wrong"] = "right",
    cases: int = 2,
    tolerance_db: float = 60.0,
    preprocessing: Preprocessing | None = None,
    score: Score | None = None,
    source_name: str = "null.json",
    nodes: Sequence[tuple[str, str]] = (),
    **faults: int | bool,
) -> Bundle:
    """An echo of `specs` (x float32 [1, 4] where there are none), with the faults that null.py lists.

    `nodes`: (name, operator) of what a board's parser refuses in it.
    """
    inputs = specs or (TensorSpec(name="x", dtype="float32", shape=(1, 4)),)
    outputs = tuple(spec.model_copy(update={"name": f"{spec.name}_out"}) for spec in inputs)
    signature = Signature(inputs=inputs, outputs=outputs)
    declared: dict[str, Any] = {
        kind: [[spec.name, spec.dtype, list(spec.shape)] for spec in tensors]
        for kind, tensors in (("inputs", inputs), ("outputs", outputs))
    }
    if nodes:
        declared["nodes"] = list(nodes)
    given = noise(signature, cases)
    expected = [[1 - tensor if faults.get("wrong") else tensor for tensor in case] for case in given]
    return make(
        RuntimeSpec(key="null", file="model.json", options=dict(faults)),
        json.dumps(declared).encode(),
        signature,
        given,
        expected if golden == "right" else [[tensor * 3 + 1 for tensor in case] for case in expected],
        tolerance_db=tolerance_db,
        preprocessing=preprocessing,
        score=score,
        source_name=source_name,
    )


def inspector(*, threshold: float | None = 0.5, **options: Any) -> Bundle:
    """An echo that takes images of 8 x 8 and decides: of a perfect reconstruction every score is 0."""
    spec = TensorSpec(name="image", dtype="float32", shape=(1, 3, 8, 8))
    return null(spec, preprocessing=IMAGE, score=Score(threshold=threshold), **options)


def ort(
    model: ModelProto,
    *,
    golden: Literal["right", "wrong"] = "right",
    cases: int = 2,
    tolerance_db: float = 60.0,
    preprocessing: Preprocessing | None = None,
    score: Score | None = None,
    source_name: str = "model.onnx",
    **options: str | int,
) -> Bundle:
    """An ONNX model of static shapes, with golden outputs as ONNX Runtime gives them here."""
    import onnxruntime

    content = model.SerializeToString(deterministic=True)
    signature = Signature(inputs=_declared(model.graph.input), outputs=_declared(model.graph.output))
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [spec.name for spec in signature.inputs]
    given = noise(signature, cases)
    expected: list[Tensors] = [session.run(None, dict(zip(names, case, strict=True))) for case in given]
    return make(
        RuntimeSpec(key="ort", file="model.onnx", options={"threads": 1, **options}),
        content,
        signature,
        given,
        expected if golden == "right" else [[tensor * 3 + 1 for tensor in case] for case in expected],
        tolerance_db=tolerance_db,
        preprocessing=preprocessing,
        score=score,
        source_name=source_name,
    )


def make(
    runtime: RuntimeSpec,
    model: bytes,
    signature: Signature,
    inputs: list[Tensors],
    outputs: list[Tensors],
    *,
    tolerance_db: float = 60.0,
    preprocessing: Preprocessing | None = None,
    score: Score | None = None,
    source_name: str = "model",
) -> Bundle:
    """A bundle of `model` under `runtime`, with these golden cases."""
    files = {
        runtime.file: model,
        "golden/inputs.bin": b"".join(tensor.tobytes() for case in inputs for tensor in case),
        "golden/outputs.bin": b"".join(tensor.tobytes() for case in outputs for tensor in case),
    }
    manifest = Manifest(
        runtime=runtime,
        files=_entries(files),
        signature=signature,
        preprocessing=preprocessing,
        score=score,
        golden=Golden(
            count=len(inputs),
            source="noise",
            inputs="golden/inputs.bin",
            outputs="golden/outputs.bin",
            tolerance_db=tolerance_db,
        ),
        weights=4,
        provenance=Provenance(
            source_name=source_name,
            source_sha256=hashlib.sha256(model).hexdigest(),
            boardfit_version="0.1.0",
            precision="fp32",
            steps=("load_onnx",),
        ),
    )
    return Bundle(manifest, files)


def noise(signature: Signature, cases: int, seed: int = 0) -> list[Tensors]:
    """Seeded values of every input: floats in 0..1, whole numbers in 0..1 or 0..100."""
    random = np.random.default_rng(seed)
    return [
        [
            np.asarray(random.random(spec.shape) * (1 if spec.dtype.startswith(("float", "bool")) else 100), spec.dtype)
            for spec in signature.inputs
        ]
        for _ in range(cases)
    ]


def put(repository: Repository, bundle: Bundle) -> str:
    """Pushes a bundle, only what is missing of it; its id."""
    contents = {hashlib.sha256(content).hexdigest(): content for content in bundle.files.values()}
    for entry in repository.offer(bundle.manifest).missing:
        stands_at = repository.blobs.status(entry.sha256).received_bytes
        with repository.blobs.upload(entry.sha256, entry.size_bytes, stands_at) as upload:
            upload.write(contents[entry.sha256][stands_at:])
        repository.blobs.finish(entry.sha256, entry.size_bytes)
    return repository.offer(bundle.manifest).bundle


def deployment(folder: Path, bundle: Bundle, name: str = "m") -> Deployment:
    """The bundle's files under `folder`, without a Repository."""
    home = folder / bundle.id[:16]
    for path, content in bundle.files.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_bytes(content)
    return Deployment(name, bundle.id, bundle.manifest, home)


def launch(folder: Path) -> Launch:
    """How a worker is started under this Python."""
    return Launch(sys.executable, worker_folder.install(folder), worker_folder.environment({}))


def finds(launch: Launch) -> FindLaunch:
    """For every runtime the same."""

    async def find(_runtime: str) -> Launch:
        return launch

    return find


class KnownPythons(Pythons):
    """The running Python offers `null` and `ort`; nothing is probed, which would take a second of every test."""

    def __init__(self, profile: Profile, data_dir: Path, start: Launch | None = None) -> None:
        super().__init__(profile, data_dir)
        self._start = start

    async def runtimes(self) -> tuple[RuntimeInfo, ...]:
        return tuple(RuntimeInfo(key=key, python=sys.executable, version="1") for key in ("null", "ort"))

    async def launch(self, runtime: str) -> Launch:
        return self._start or await super().launch(runtime)


def service(
    data_dir: Path,
    settings: Settings | None = None,
    *,
    start: Launch | None = None,
    probed: bool = False,
    **profile: Any,
) -> Service:
    """An agent over `data_dir` that is not started yet; `profile` changes keys of the settings' profile.

    `start`: how workers of every runtime are started; `probed`: as the Pythons of the profile say when they are asked.
    """
    settings = settings or Settings(host="127.0.0.1", port=0, data_dir=data_dir, profile="desktop")
    board = read_profile(settings.profile).model_copy(update={"queue_length": 4, "request_timeout_s": 10.0} | profile)
    pythons = Pythons(board, data_dir) if probed else KnownPythons(board, data_dir, start)
    return Service.over(replace(settings, data_dir=data_dir), board, pythons)


@asynccontextmanager
async def serving(
    data_dir: Path,
    models: Mapping[str, Bundle] | None = None,
    settings: Settings | None = None,
    *,
    start: Launch | None = None,
    **profile: Any,
) -> AsyncIterator[Service]:
    """The same, started, with `models` deployed and proven; closed afterwards."""
    running = service(data_dir, settings, start=start, **profile)
    running.start()
    try:
        await running.restored.wait()
        for name, bundle in (models or {}).items():
            await activate(running, bundle, name)
        yield running
    finally:
        await running.close()


async def activate(running: Service, bundle: Bundle, name: str = "m") -> Activation:
    """Pushes and activates."""
    return await running.activator.activate(name, put(running.repository, bundle), lambda _stage: None)


@asynccontextmanager
async def supervised(
    folder: Path, bundle: Bundle, limits: Limits = LIMITS, name: str = "m", start: Launch | None = None
) -> AsyncIterator[Supervisor]:
    """A supervisor that is READY; stopped and closed afterwards. `start`: how its workers are started."""
    supervisor = Supervisor(deployment(folder, bundle, name), finds(start or launch(folder)), limits)
    try:
        await supervisor.start()
        yield supervisor
    finally:
        await supervisor.stop()
        supervisor.close()


async def ask(supervisor: Supervisor, content: bytes | None = None) -> tuple[RunTimes, bytes]:
    """One request with `content` as all its inputs (zeros where None), and all its outputs."""
    slot = supervisor.take_slot()
    try:
        rest = content if content is not None else bytes(supervisor.arena.signature.input_bytes)
        for view in supervisor.arena.inputs(slot):
            view[:] = rest[: len(view)]
            rest = rest[len(view) :]
        times = await supervisor.run(slot)
        return times, b"".join(supervisor.arena.outputs(slot))
    finally:
        supervisor.give_slot(slot)


def _entries(files: Mapping[str, bytes]) -> dict[str, FileEntry]:
    return {
        path: FileEntry(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
        for path, content in files.items()
    }


def _declared(values: Any) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(
            name=value.name,
            dtype=helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name,
            shape=tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim),
        )
        for value in values
    )
