"""Tasks on a Ray cluster that is there already; what belongs to a board, or measures this machine, stays here.

The cluster is trusted as this machine is: what its nodes give back comes through Ray's own protocol, which is pickle.
"""

import importlib
import logging
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

from contract.version import __version__
from host import disk
from host.engine import on_node
from host.engine.child import END_WITHIN_S
from host.engine.engine import Work
from host.engine.local import Local, settled
from host.engine.task import HOST, Failure, Task
from host.errors import HostError, InputError

CONNECT_WITHIN_S = 5.0
NODE_DEATHS = 3
"""So many nodes may die under one try of a task."""
_LOOK_EVERY_S = 2.0


@contextmanager
def connected(address: str) -> Iterator["OnRay"]:
    """An engine for as long as the block lasts. `address`: HOST:PORT of a cluster of which this machine is a node, or
    "auto", whichever that is. InputError where Ray is not installed here, HostError where no cluster there fits.
    """
    ray = _imported()
    _check(address)
    _join(ray, address)
    try:
        yield OnRay(ray, address)
    finally:
        ray.shutdown()


class OnRay:
    """The lane of the host is as wide as the cluster has processors, each task one of them and its GPUs."""

    def __init__(self, ray: ModuleType, address: str) -> None:
        self._ray, self._address = ray, address
        self._local = Local(processes=1)
        ray.cloudpickle.register_pickle_by_value(on_node)
        self._run = ray.remote(on_node.run)
        self._sent: dict[tuple[Path, int, int], Any] = {}
        self._looked_at = -_LOOK_EVERY_S
        self._resources: dict[str, float] = {}
        self._is_worker = False

    def has_room_for(self, task: Task, running: Sequence[Task]) -> bool:
        if _stays(task):
            return True
        self._look()
        width = max(1, int(self._resources.get("CPU", 0)))  # without any, Ray waits for a node
        return sum(not _stays(other) for other in running) < width

    def is_here(self, task: Task) -> bool:
        self._look()
        return _stays(task) or self._is_worker

    def start(self, folder: Path, task: Task) -> Work:
        if _stays(task):
            return self._local.start(folder, task)
        self._look()
        there = int(self._resources.get("GPU", 0))
        if task.gpus > there:
            raise HostError(
                f"{task.name} needs {task.gpus} GPUs, and the Ray cluster at {self._address} has {there}",
                "start its nodes with --num-gpus, or train on the CPU",
                "no_gpu_there",
            )
        reads = [self._put(folder, path) for path in task.reads]
        given = self._run.options(num_cpus=1, num_gpus=task.gpus, max_retries=NODE_DEATHS, name=task.name)
        return _RayWork(self._ray, given.remote(__version__, asdict(task), *reads), folder, task)

    def _put(self, folder: Path, name: str) -> Any:
        """Sent once, as long as it is the same."""
        path = folder / name
        facts = path.stat()
        key = path, facts.st_mtime_ns, facts.st_size
        if key not in self._sent:
            self._sent[key] = self._ray.put(on_node.packed(path, name))
        return self._sent[key]

    def _look(self) -> None:
        """At the cluster, whose nodes come and go; not at each question."""
        if time.monotonic() - self._looked_at < _LOOK_EVERY_S:
            return
        self._resources = self._ray.cluster_resources()
        address = self._ray.util.get_node_ip_address()
        self._is_worker = any(
            node["Alive"] and node["NodeManagerAddress"] == address and node["Resources"].get("CPU", 0)
            for node in self._ray.nodes()
        )
        self._looked_at = time.monotonic()


class _RayWork:
    def __init__(self, ray: ModuleType, reply: Any, folder: Path, task: Task) -> None:
        self._ray, self._reply, self._folder, self._task = ray, reply, folder, task

    def has_ended(self) -> bool:
        return self._has_ended_within(0.0)

    def failure(self) -> Failure | None:
        errors = self._ray.exceptions
        try:
            status, files = self._ray.get(self._reply)
        except errors.RayTaskError as error:
            return Failure(f"failed on its node: {error.cause!r}", "mend that node", "task_failed", str(error))
        except errors.RayError as error:
            first, *_ = str(error).strip().splitlines() or [type(error).__name__]
            hint = "look at `ray status`; what is done is kept"
            return Failure(f"Ray has given it up: {first}", hint, "cluster_failed", str(error))
        try:
            for name, content in files.items():  # what says that it is done is the last one
                disk.replace(self._folder / name, content)
        except OSError as error:
            raise InputError(
                f"{self._folder} cannot be written: {error.strerror}", "make room there, and start again"
            ) from error
        return settled(self._folder, self._task, status)

    def ask_to_end(self) -> None:
        self._ray.cancel(self._reply)

    def end(self) -> None:
        if not self._has_ended_within(2 * END_WITHIN_S):  # its node waits for END_WITHIN_S itself
            self._ray.cancel(self._reply, force=True)

    def _has_ended_within(self, timeout_s: float) -> bool:
        ready, _ = self._ray.wait([self._reply], timeout=timeout_s)
        return bool(ready)


def _stays(task: Task) -> bool:
    return task.lane != HOST or task.alone


def _imported() -> ModuleType:
    try:
        return importlib.import_module("ray")
    except ModuleNotFoundError as error:
        raise InputError(
            "--ray needs Ray, which is not installed here", "pip install 'boardfit[ray]', in a checkout '.[ray]'"
        ) from error


def _check(address: str) -> None:
    """At once, what Ray itself would take two minutes for."""
    if address == "auto":
        return
    parts = re.fullmatch(r"(\S+):(\d{1,5})", address)
    if parts is None or "//" in address:
        raise InputError(
            f"{address!r} is no address of a Ray cluster",
            "give HOST:PORT of its head, or auto; this machine has to be a node of it: ray start --address=HOST:PORT, "
            "with --num-cpus=0 where it is not to train",
            "bad_ray_address",
        )
    try:
        socket.create_connection((parts[1].strip("[]"), int(parts[2])), CONNECT_WITHIN_S).close()
    except (OSError, OverflowError) as error:
        raise HostError(f"no Ray cluster answers at {address}: {error}", _START_HINT, "ray_unreachable") from error


_START_HINT = "start its head there: ray start --head"


def _join(ray: ModuleType, address: str) -> None:
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        # What its nodes say of themselves goes to stdout, whatever `log_to_driver` is: pages where one dies.
        vars(importlib.import_module("ray._private.worker"))["_worker_logs_enabled"] = False
    except (ConnectionError, RuntimeError, ValueError) as error:
        because = " ".join(str(error.__cause__ or error).split())
        if "Version mismatch" in because:
            hint = "install the same Python and the same Ray here and on the nodes"
            raise HostError(
                f"the Ray cluster at {address} does not fit: {because}", hint, "other_ray_version"
            ) from error
        raise HostError(f"no Ray cluster answers at {address}: {because}", _START_HINT, "ray_unreachable") from error
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, handler)  # Ray has taken it
