"""On a real cluster, of two nodes on this machine."""

import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_steps import PATH, pids, step
from processes import are_gone
from running import children
from told import Told

from benchmarks.ray_cluster import Cluster, cluster
from host.engine import on_node
from host.engine import ray as on_ray
from host.engine.ray import connected
from host.engine.running import run
from host.engine.task import Failure, Task
from host.errors import HostError, InputError

pytest.importorskip("ray", reason="of tasks on a Ray cluster: pip install '.[ray]'")
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Cluster]:
    """Two, which may be killed: the last test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(PATH))
        patch.setenv("RAY_health_check_initial_delay_ms", "500")  # a dead node is missed sooner than by default
        patch.setenv("RAY_health_check_period_ms", "500")
        with cluster(2) as found:
            yield found


def run_all(folder: Path, nodes: Cluster, *tasks: Task) -> dict[str, Failure]:
    with connected(nodes.address) as engine:
        return run(folder, tasks, engine, Told(), lambda task: None, lambda task, failure: None)


def test_a_node_is_given_what_a_task_reads_and_gives_back_what_it_writes(folder: Path, nodes: Cluster) -> None:
    handler, before = signal.getsignal(signal.SIGTERM), children()
    tasks = [step(folder, "a", "write"), step(folder, "b", "write", ("a",)), step(folder, "here", "write", alone=True)]
    failures = run_all(folder, nodes, *tasks, *(step(folder, how, how) for how in ("bug", "bad", "killed")))
    assert {name: failure.message for name, failure in failures.items()} == {
        "bug": "ended with 1: ZeroDivisionError: by nought",
        "bad": "no such rate",
        "killed": "ended by SIGKILL",
    }
    assert failures["bad"].code == "below_floor"
    assert "ZeroDivisionError" in (folder / "bug.log").read_text()
    assert str(folder / "bug.log") in failures["bug"].hint
    assert (folder / "b.txt").read_text() == "b of seven"
    assert (folder / "b.done").read_text() == "1"  # thread
    assert [path.name for path in folder.glob(".*.lock")] == [".here.lock"]  # the others had another folder
    assert not list(folder.glob(".*.failure"))
    assert signal.getsignal(signal.SIGTERM) == handler
    assert children() == before


RUN = """
import sys
from pathlib import Path
from host import interrupts
from host.engine.ray import connected
from host.engine.running import run
from engine_steps import step
from told import Told

address, folder = sys.argv[1], Path(sys.argv[2])
tasks = [step(folder, how, how) for how in ("idle", "put_back")]
with interrupts.listening(), connected(address) as engine:
    run(folder, tasks, engine, Told(), lambda task: None)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_ends_leaves_no_process_on_a_node(folder: Path, nodes: Cluster, number: int) -> None:
    driver = subprocess.Popen([sys.executable, "-P", "-c", RUN, nodes.address, str(folder)], stderr=subprocess.DEVNULL)
    found = [*pids(folder, "idle"), *pids(folder, "put_back")]
    driver.send_signal(number)
    driver.wait()
    assert are_gone(found, 15)
    assert number == signal.SIGKILL or (folder / "put_back.back").exists()


def test_no_address_no_cluster_and_no_gpu_are_told_at_once(folder: Path, nodes: Cluster) -> None:
    for address in ("ray://127.0.0.1:10001", "nonsense", "127.0.0.1:"):
        with pytest.raises(InputError, match=re.escape(repr(address))), connected(address):
            pass
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for address in (f"127.0.0.1:{port}", "127.0.0.1:99999"):
        with pytest.raises(HostError, match="no Ray cluster answers") as caught, connected(address):
            pass
        assert caught.value.code == "ray_unreachable"
    with pytest.raises(HostError, match=r"a needs 1 GPUs, and the Ray cluster at .* has 0"):
        run_all(folder, nodes, step(folder, "a", "write", gpus=1))


def test_another_boardfit_there_is_refused_with_both_versions(
    folder: Path, nodes: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_ray, "__version__", "0.0.7")
    failures = run_all(folder, nodes, step(folder, "a", "write", retries=2))
    assert failures["a"].code == "other_version_there"
    assert re.search(r"node .* has boardfit [0-9.]+, this machine 0\.0\.7", failures["a"].message)


def test_another_ray_there_is_told(monkeypatch: pytest.MonkeyPatch, nodes: Cluster) -> None:
    import ray._private.utils

    monkeypatch.setattr(ray._private.utils, "compute_version_info", lambda: ("1.0.0", "3.7.1"))
    with (
        pytest.raises(HostError, match=r"Version mismatch: .*Ray: 1\.0\.0 Python: 3\.7\.1") as caught,
        connected(nodes.address),
    ):
        pass
    assert caught.value.code == "other_ray_version"


def test_a_machine_that_is_no_node_has_no_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**options: object) -> None:
        assert options["address"] == "auto"
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr("ray.init", init)
    with pytest.raises(HostError, match="at auto: Could not find any running") as caught, connected("auto"):
        pass
    assert caught.value.code == "ray_unreachable"


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match="not installed") as caught, connected("auto"):
        pass
    assert "boardfit[ray]" in caught.value.hint


def test_what_killed_tasks_left_on_a_node_goes_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with on_node._own_folder() as at_work:
        left = tmp_path / "boardfit-node-left"
        shutil.copytree(at_work, left)
        with on_node._own_folder():
            assert at_work.exists()
            assert not left.exists()
    assert not list(tmp_path.iterdir())


def test_what_a_folder_points_at_travels(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"a")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "data").symlink_to(tmp_path / "images")
    on_node.unpacked(on_node.packed(tmp_path / "run" / "data", "data"), tmp_path / "there")
    assert (tmp_path / "there" / "data" / "a.png").read_bytes() == b"a"
    assert not (tmp_path / "there" / "data").is_symlink()


def test_a_task_whose_node_dies_is_done_on_another(
    folder: Path, nodes: Cluster, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two at once; the node of either is the one that dies."""
    tasks = [step(folder, name, "wait") for name in ("a", "b")]

    def kill() -> None:
        for task in tasks:
            pids(folder, task.name)
        nodes.kill_a_node()
        (folder / "go").touch()

    killing = threading.Thread(target=kill)
    killing.start()
    assert run_all(folder, nodes, *tasks) == {}
    killing.join()
    tries = sorted(len(pids(folder, task.name)) for task in tasks)
    assert tries == [1, 2]
    assert "aylet" not in capfd.readouterr().out
