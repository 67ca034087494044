"""The Edge TPU over a stand-in for its library: it is had by one, given back, and each reason why it is not is told."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import bundles
import environments
import numpy as np
import pytest
import tflite_models
import tflite_stand_in
from bundles import Bundle
from environments import Environment
from tflite_models import T
from tflite_stand_in import Apex

from agent import worker_folder
from agent.arena import Arena
from agent.errors import WorkerCrashedError, WorkerRefusedError
from agent.loading import start_worker
from agent.process import Launch, WorkerProcess
from agent.worker.errors import AcceleratorError, LoadFailedError, RunFailedError, WorkerError
from agent.worker.runtimes import create
from agent.worker.runtimes._tflite import edgetpu
from agent.worker.runtimes.base import Runtime
from contract.manifest import Manifest, RuntimeSpec
from contract.tensors import Artifact, ArtifactTensor, Quantisation, Signature, TensorSpec

COMPILED = tflite_models.for_edge_tpu(T("x", "int8", (1, 4), (0.5, 3)))
WITH_TFLITE = [each for each in (*environments.WORKERS, environments.TFLITE) if "tflite" in each.runtimes]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return tflite_stand_in.library(tmp_path_factory.mktemp("edgetpu"))
    except tflite_stand_in.NoCompilerError as error:
        pytest.skip(str(error))


@pytest.fixture
def apex(tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch) -> Apex:
    """A board with an Edge TPU, and this process as a user of its own there."""
    made = Apex(tmp_path / "board")
    (tmp_path / "board" / "proc" / "self").mkdir(parents=True)
    (tmp_path / "board" / "proc" / "self" / "status").write_text("Name:\tpython3\nCapEff:\t0000000000000000\n")
    monkeypatch.setattr(edgetpu, "LIBRARY", str(library))
    monkeypatch.setattr(edgetpu, "DEVICES", str(made.device.with_name("apex_*")))
    monkeypatch.setattr(edgetpu, "SYSFS", str(made.sysfs.parent))
    monkeypatch.setattr(edgetpu, "PROC", str(tmp_path / "board" / "proc"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for name, value in made.variables().items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "model.tflite"
    path.write_bytes(COMPILED)
    return str(path)


@pytest.fixture
def opened() -> Iterator[Callable[[], Runtime]]:
    """Opens with the Edge TPU; given back afterwards, as a delegate is this process's until then."""
    made = []

    def open_one() -> Runtime:
        runtime = create("tflite")
        runtime.open({"delegate": "edgetpu"})
        made.append(runtime)
        return runtime

    yield open_one
    for runtime in made:
        runtime.close()


def refused() -> WorkerError:
    with pytest.raises(AcceleratorError) as refusal:
        create("tflite").open({"delegate": "edgetpu"})
    assert refusal.value.code == "accelerator_failed"
    assert refusal.value.hint
    return refusal.value


def test_it_runs_and_is_given_back(apex: Apex, model: str) -> None:
    runtime = create("tflite")
    assert runtime.open({"delegate": "edgetpu"}).endswith(", Edge TPU runtime 14")
    assert apex.owner == os.getpid()
    inputs, outputs = runtime.load(model)
    assert (inputs[0].name, outputs[0].name) == ("x", "y")
    assert runtime.quantisation() == ([(0.5, 3)], [(0.5, 3)])
    assert runtime.details()["delegate"] == "edgetpu"
    assert "RuntimeVersion(14)" in runtime.details()["libedgetpu"]
    x, y = np.array([[1, -2, 3, -4]], np.int8), np.zeros((1, 4), np.int8)
    binding = runtime.bind([x], [y])
    assert runtime.run(binding) is None
    np.testing.assert_array_equal(x, y)
    del binding
    runtime.close()
    assert apex.owner is None


def test_a_probe_leaves_it_alone(apex: Apex) -> None:
    create("tflite").open({})
    assert apex.owner is None


def test_a_file_that_is_not_compiled_would_run_on_the_cpu(
    apex: Apex, tmp_path: Path, opened: Callable[[], Runtime]
) -> None:
    path = tmp_path / "plain.tflite"
    path.write_bytes(tflite_models.pooled(T("x", "int8", (1, 4, 4, 1), (0.5, 3))))
    with pytest.raises(LoadFailedError, match="not compiled for the Edge TPU"):
        opened().load(str(path))


def test_root_is_refused_before_the_device_is_touched(apex: Apex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "runs as root" in refused().message
    assert apex.owner is None


def test_so_is_who_is_above_the_kernel_s_rule(apex: Apex, opened: Callable[[], Runtime]) -> None:
    (apex.folder / "proc" / "self" / "status").write_text("CapEff:\t0000000000200000\n")
    assert "has CAP_SYS_ADMIN" in refused().message
    (apex.folder / "proc" / "self" / "status").unlink()
    opened()  # no such file: the user alone tells


def test_without_the_library(apex: Apex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edgetpu, "LIBRARY", "libedgetpu-nowhere.so.1")
    refusal = refused()
    assert "is not here" in refusal.message
    assert "apt install libedgetpu1-std" in refusal.hint


def test_a_library_that_does_not_load_and_one_of_something_else(
    apex: Apex, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"\x7fELF and no more")
    monkeypatch.setattr(edgetpu, "LIBRARY", str(broken))
    assert "does not load" in refused().message
    monkeypatch.setattr(edgetpu, "LIBRARY", "libc.so.6")
    assert "is not the Edge TPU's library" in refused().message


def test_without_a_device(apex: Apex) -> None:
    apex.device.unlink()
    refusal = refused()
    assert "there is no Edge TPU here" in refusal.message
    assert "modprobe apex" in refusal.hint


def test_without_permission(apex: Apex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)  # root may do anything
    monkeypatch.setenv("BOARDFIT_APEX_FAIL", "open")
    refusal = refused()
    assert refusal.message == f"no permission to open {apex.device} as the user 1000"
    assert "usermod -aG apex" in refusal.hint


def test_taken_by_another(apex: Apex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOARDFIT_APEX_FAIL", "open")
    apex.own(4844)
    assert f"process 4844 has {apex.device}" in refused().message
    (apex.folder / "proc" / "4844").mkdir()
    (apex.folder / "proc" / "4844" / "comm").write_text("python3\n")
    assert f"the Edge TPU is taken: process 4844 (python3) has {apex.device}" in refused().message


def test_taken_by_a_model_of_this_worker(apex: Apex, opened: Callable[[], Runtime]) -> None:
    opened()
    assert f"process {os.getpid()} has" in refused().message


def test_for_a_reason_that_nothing_shows(apex: Apex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOARDFIT_APEX_FAIL", "open")
    refusal = refused()
    assert f"did not open {apex.device}: Failed to load delegate" in refusal.message
    assert "dmesg" in refusal.hint


@pytest.mark.parametrize(
    ("fail", "told", "hint"),
    [
        ("runtime", r"needs a newer library.*Package requires runtime version \(14\)", "--min_runtime_version"),
        ("datatype", r"do not match.*Unsupported data type in custom op handler", "libedgetpu1-std 16.0"),
    ],
)
def test_a_file_that_the_library_refuses(
    apex: Apex,
    model: str,
    opened: Callable[[], Runtime],
    monkeypatch: pytest.MonkeyPatch,
    fail: str,
    told: str,
    hint: str,
) -> None:
    runtime = opened()
    monkeypatch.setenv("BOARDFIT_APEX_FAIL", fail)
    with pytest.raises(LoadFailedError, match=told) as refusal:
        runtime.load(model)
    assert hint in refusal.value.hint


def test_a_run_that_the_device_fails(
    apex: Apex, model: str, opened: Callable[[], Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = opened()
    runtime.load(model)
    binding = runtime.bind([np.zeros((1, 4), np.int8)], [np.zeros((1, 4), np.int8)])
    runtime.run(binding)
    monkeypatch.setenv("BOARDFIT_APEX_FAIL", "run")
    with pytest.raises(RunFailedError, match="Deadline exceeded") as refusal:
        runtime.run(binding)
    assert "dmesg" in refusal.value.hint
    monkeypatch.setenv("BOARDFIT_APEX_FAIL", "")
    runtime.run(binding)


def bundle() -> Bundle:
    """y = x in float32 (1, 4), which the file has as int8."""
    signature = Signature(
        inputs=(TensorSpec(name="image", dtype="float32", shape=(1, 4)),),
        outputs=(TensorSpec(name="copy", dtype="float32", shape=(1, 4)),),
    )
    given = [[np.array([[0.5, -1, 2, 0]], np.float32)]]
    options = {"delegate": "edgetpu"}
    plain = bundles.make(RuntimeSpec(key="tflite", file="m.tflite", options=options), COMPILED, signature, given, given)
    by = Quantisation(scale=0.5, zero_point=3)
    x, y = (ArtifactTensor(name=name, dtype="int8", shape=(1, 4), quantisation=by) for name in "xy")
    return Bundle(
        Manifest.model_validate({**dict(plain.manifest), "artifact": Artifact(inputs=(x,), outputs=(y,))}), plain.files
    )


def board(folder: Path, fail: str = "", python: str = sys.executable) -> tuple[Apex, Launch]:
    """Workers there are real processes, each with the stand-in."""
    apex = Apex(folder / "board")
    try:
        variables = tflite_stand_in.place(folder, apex, fail)
    except tflite_stand_in.NoCompilerError as error:
        pytest.skip(str(error))
    return apex, Launch(python, worker_folder.install(folder / "data"), worker_folder.environment(variables))


@pytest.mark.parametrize("environment", [None, *WITH_TFLITE], ids=lambda each: each.name if each else "running")
def test_of_two_workers_one_has_it_until_it_is_gone(tmp_path: Path, environment: Environment | None) -> None:
    if environment and (reason := environments.missing(environment)):
        pytest.skip(f"Python {environment.name}: {reason}")
    apex, launch = board(tmp_path, python=str(environments.interpreter(environment)) if environment else sys.executable)
    deployment = bundles.deployment(tmp_path / "models", bundle())
    arena = Arena(deployment.manifest.signature, 1)
    slot = arena.slots[0]

    async def start() -> WorkerProcess:
        return (await start_worker(deployment, launch, arena, bundles.LIMITS))[0]

    async def play() -> None:
        first = await start()
        try:
            assert apex.owner == first.pid
            arena.inputs(slot)[0][:] = np.array([0.5, -1, 2, 0], np.float32).tobytes()
            said = await first.request({"op": "infer", "slot": 0}, 5)
            assert said["convert_ns"] > 0
            assert np.frombuffer(arena.outputs(slot)[0], np.float32).tolist() == [0.5, -1, 2, 0]
            with pytest.raises(WorkerRefusedError) as refusal:
                await start()
            assert refusal.value.code == "accelerator_failed"
        finally:
            os.kill(first.pid, signal.SIGKILL)
            await first.kill()
        second = await start()
        assert apex.owner == second.pid
        await second.leave()

    asyncio.run(play())
    arena.close()


def test_a_crash_as_the_model_is_loaded_is_a_mismatch(tmp_path: Path) -> None:
    _, launch = board(tmp_path, "crash")
    deployment = bundles.deployment(tmp_path / "models", bundle())
    arena = Arena(deployment.manifest.signature, 1)
    with pytest.raises(WorkerCrashedError, match=r"runtime and delegate do not match: the worker crashed \(SIGSEGV\)"):
        asyncio.run(start_worker(deployment, launch, arena, bundles.LIMITS))
    arena.close()


def test_a_worker_that_is_root_is_refused_by_itself(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("this is not root")
    apex, launch = board(tmp_path)
    as_root = replace(launch, environment={k: v for k, v in launch.environment.items() if k != "PYTHONPATH"})
    deployment = bundles.deployment(tmp_path / "models", bundle())
    arena = Arena(deployment.manifest.signature, 1)
    with pytest.raises(WorkerRefusedError, match="runs as root") as refusal:
        asyncio.run(start_worker(deployment, as_root, arena, bundles.LIMITS))
    assert refusal.value.code == "accelerator_failed"
    assert apex.owner is None
    arena.close()
