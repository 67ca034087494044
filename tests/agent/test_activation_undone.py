"""New versions that fail, are cancelled or meet a full disk: what was served still is."""

import asyncio
import contextlib
import errno
import os
from pathlib import Path

import bundles
import pytest
import running
from bundles import activate
from running import outcome
from versions import NEW, OLD, Stages, is_as_it_was, new, old, serving

from agent.errors import (
    DiskFailedError,
    DiskFullError,
    WorkerCrashedError,
    WorkerRefusedError,
)
from contract.api import ModelState

BAD = {
    "golden_mismatch": new(golden="wrong"),
    "worker_crashed": new(crash_on_load=True),
    "worker_crashed ": new(crash_on_run=2),
    "worker_timeout": new(load_delay_ms=60_000),
}


@pytest.mark.parametrize("stop_first", [False, True])
@pytest.mark.parametrize("code", BAD)
def test_a_version_that_is_no_good_leaves_what_was(tmp_path: Path, code: str, stop_first: bool) -> None:
    async def main() -> None:
        async with serving(tmp_path, stop_first=stop_first, start_timeout_s=1.0) as service:
            pid = service.dataplane.pick("m").supervisor.pid
            assert await outcome(activate(service, BAD[code])) == code.strip()
            await is_as_it_was(service, old())
            assert (service.dataplane.pick("m").supervisor.pid == pid) is not stop_first
            assert service.dataplane.pick("m").supervisor.restarts == 0

    running.run(main())


def test_a_model_file_that_the_runtime_refuses_says_why(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(tmp_path, {"m": old()}) as service:
            with pytest.raises(WorkerRefusedError, match="not a null model") as told:
                await activate(service, new().with_file("model.json", b"\x08\x07"))
            assert told.value.code == "load_failed"
            await is_as_it_was(service, old())

    running.run(main())


def test_an_old_version_that_does_not_come_back_is_failed_with_its_reason(tmp_path: Path) -> None:
    """Its golden outputs are not what they were: it is not served again unproven."""

    async def main() -> None:
        async with serving(tmp_path, stop_first=True) as service:
            outputs = service.dataplane.pick("m").supervisor.deployment.folder / "golden/outputs.bin"
            outputs.unlink()
            outputs.write_bytes(bytes(8))
            with pytest.raises(WorkerCrashedError):  # of the new one: the error that matters
                await activate(service, new(crash_on_load=True))
            supervisor = service.dataplane.pick("m").supervisor
            assert supervisor.state is ModelState.FAILED
            assert "golden case 0" in str(supervisor.reason)
            assert supervisor.pid is None

    running.run(main())


@pytest.mark.parametrize("stop_first", [False, True])
def test_a_failed_old_version_is_replaced_and_is_not_started_where_the_new_one_fails(
    tmp_path: Path, stop_first: bool
) -> None:
    async def main() -> None:
        async with serving(tmp_path, stop_first=stop_first) as service:
            await service.dataplane.pick("m").supervisor.fail("five crashes")
            assert await outcome(activate(service, new(golden="wrong"))) == "golden_mismatch"
            assert service.dataplane.pick("m").supervisor.reason == "five crashes"
            assert await outcome(activate(service, new())) == "done"
            await is_as_it_was(service, new(), NEW)

    running.run(main())


def test_a_removal_that_is_cancelled_is_whole(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path) as service:
            removing = asyncio.create_task(service.activator.remove("m"))
            await running.until(lambda: not service.dataplane.models)
            removing.cancel()
            await asyncio.wait({removing})
            assert service.repository.records() == {}
            assert not running.children()

    running.run(main())


@pytest.mark.parametrize(
    ("stop_first", "stage", "left"),
    [
        (False, "waiting for somebody", OLD),
        (False, "loading", OLD),
        (False, "running the golden inputs", OLD),
        (False, "ending the old version", NEW),
        (True, "stopping the old version", OLD),
        (True, "loading", OLD),
        (True, "running the golden inputs", OLD),
        (True, "ending the old version", NEW),
    ],
)
def test_cancelled_in_every_stage_it_leaves_what_was(tmp_path: Path, stop_first: bool, stage: str, left: str) -> None:
    """After the switch it is too late: the job is done, and not half done."""

    async def main() -> None:
        async with serving(tmp_path, stop_first=stop_first) as service:
            stages = Stages(cancel_in=stage)
            bundle = bundles.put(service.repository, new())
            switching = asyncio.create_task(outcome(stages.of(service.activator.activate("m", bundle, stages))))
            if stage == "waiting for somebody":
                async with service.dataplane.board.turn("somebody", print):
                    await running.until(lambda: stages.seen)
            assert await switching == ("cancelled" if left is OLD else "done")
            assert stage in stages.seen
            await is_as_it_was(service, {OLD: old(), NEW: new()}[left], left)

    running.run(main())


def test_cancelled_while_it_brings_the_old_version_back_it_brings_it_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, stop_first=True) as service:
            stages = Stages(cancel_in="bringing the old version back")
            bundle = bundles.put(service.repository, new(golden="wrong"))
            assert await outcome(stages.of(service.activator.activate("m", bundle, stages))) == "cancelled"
            await is_as_it_was(service, old())

    running.run(main())


@pytest.mark.parametrize("stop_first", [False, True])
def test_cancelled_at_any_moment_it_is_the_one_or_the_other(tmp_path: Path, stop_first: bool) -> None:
    async def main() -> None:
        async with serving(tmp_path, stop_first=stop_first) as service:
            versions = {OLD: old(), NEW: new()}
            for bundle in versions.values():
                bundles.put(service.repository, bundle)
            served = OLD
            for number in range(10):
                wanted = NEW if served is OLD else OLD
                task = asyncio.create_task(service.activator.activate("m", versions[wanted].id, print))
                await asyncio.sleep(number * 0.01)
                task.cancel()
                await asyncio.wait({task})
                served = served if task.cancelled() else wanted
                await is_as_it_was(service, versions[served], served)

    running.run(main())


@pytest.mark.parametrize("stop_first", [False, True])
def test_a_disk_that_is_full_at_the_switch_leaves_what_was(small_disk: Path, stop_first: bool) -> None:
    async def main() -> None:
        async with serving(small_disk, stop_first=stop_first) as service:
            bundle = bundles.put(service.repository, new())
            fill(small_disk)
            with pytest.raises(DiskFullError):
                await service.activator.activate("m", bundle, print)
            await is_as_it_was(service, old())
            (small_disk / "log").unlink()
            assert await outcome(service.activator.activate("m", bundle, print)) == "done"

    running.run(main())


def test_a_disk_that_breaks_takes_no_new_version_and_goes_on_serving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    async def main() -> None:
        async with serving(tmp_path) as service:
            bundle = bundles.put(service.repository, new())
            monkeypatch.setattr(os, "fsync", broken)
            with pytest.raises(DiskFailedError, match="cannot be written"):
                await service.activator.activate("m", bundle, print)
            await is_as_it_was(service, old())
            with pytest.raises(DiskFailedError, match="cannot be written"):
                await service.activator.remove("m")
            await is_as_it_was(service, old())

    running.run(main())


def fill(folder: Path) -> None:
    with (folder / "log").open("wb", buffering=0) as log, contextlib.suppress(OSError):
        while True:
            log.write(bytes(1024))


def test_removing_what_is_unused_cannot_spoil_a_switch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with serving(tmp_path) as service:

            def read_only() -> None:
                raise PermissionError("read-only file system")

            monkeypatch.setattr(service.repository, "remove_unused", read_only)
            await activate(service, new())
            await is_as_it_was(service, new(), NEW)

    running.run(main())
    assert "read-only file system" in caplog.text
