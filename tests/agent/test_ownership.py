"""An accelerator that one model has at a time: who gets it, who keeps it, who comes back."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import bundles
import owning
import pytest
import running
from measuring import Bench
from owning import needing, sysfs, without
from running import outcome
from versions import NEW, OLD, Stages, ask, new

from agent import ownership
from agent.errors import AcceleratorHeldError, AcceleratorTakenError, ModelNotReadyError, RootWorkerError
from agent.service import Service
from contract.api import Activation, ModelState
from contract.profile import profile_names, read_profile

READY, STOPPED, FAILED = ModelState.READY, ModelState.STOPPED, ModelState.FAILED


@pytest.fixture(autouse=True)
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    owning.as_user(monkeypatch)


def states(service: Service) -> dict[str, ModelState]:
    return {name: served.supervisor.state for name, served in sorted(service.dataplane.models.items())}


async def deployed(service: Service, bundle: bundles.Bundle, name: str, **flags: Any) -> Activation:
    wanted = bundles.put(service.repository, bundle)
    return await service.activator.activate(name, wanted, flags.pop("on_stage", Stages()), **flags)


def test_the_second_model_is_refused_by_the_name_of_the_first(tmp_path: Path) -> None:
    async def main() -> None:
        async with owning.serving(tmp_path, {"a": needing()}) as service:
            pid = service.dataplane.pick("a").supervisor.pid
            with pytest.raises(AcceleratorTakenError, match=r"'b' needs .* and 'a' has it") as told:
                await deployed(service, needing(NEW), "b")
            assert "--replace" in told.value.hint
            assert states(service) == {"a": READY}
            assert service.dataplane.pick("a").supervisor.pid == pid

    running.run(main())


def test_a_model_that_does_without_is_served_beside_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with owning.serving(tmp_path, {"a": needing(), "cpu": without()}) as service:
            assert (await deployed(service, without(wrong=True), "other")).replaced == ()
            assert states(service) == {"a": READY, "cpu": READY, "other": READY}

    running.run(main())


def test_one_that_replaces_it_has_it_alone_and_the_other_stays_on_the_board(tmp_path: Path) -> None:
    async def main() -> None:
        async with owning.serving(tmp_path, {"a": needing(), "cpu": without()}) as service:
            stages = Stages()
            slow = needing(NEW, load_delay_ms=100)
            activation = await deployed(service, slow, "b", replace=True, on_stage=stages)
            assert stages.seen == ["stopping 'a'", "loading", "running the golden inputs"]
            assert activation.replaced == ("a",)
            assert activation.outage_s >= activation.load_s > 0
            assert await ask(service, "b") == NEW
            assert states(service) == {"a": STOPPED, "b": READY, "cpu": READY}
            with pytest.raises(ModelNotReadyError, match="'a' is stopped: it gave way to 'b'") as told:
                await ask(service, "a")
            assert told.value.hint == "deploy it again with --replace, or POST /v1/models/NAME/load"
            with pytest.raises(AcceleratorTakenError, match=r"'a' needs .* and 'b' has it"):
                await service.activator.load("a", print)
            assert (await service.activator.load("a", print, replace=True)).replaced == ("b",)
            assert states(service) == {"a": READY, "b": STOPPED, "cpu": READY}
            assert await ask(service, "a") == OLD

    running.run(main())


def test_requests_that_the_replaced_one_has_begun_are_served(tmp_path: Path) -> None:
    async def main() -> None:
        slow = needing(delay_ms=50)
        async with owning.serving(tmp_path, {"a": slow}) as service:
            asked = [asyncio.create_task(ask(service, "a")) for _ in range(3)]
            await running.until(lambda: service.dataplane.pick("a").supervisor.in_flight == 3)
            await deployed(service, needing(NEW), "b", replace=True)
            assert await asyncio.gather(*asked) == [OLD] * 3

    running.run(main())


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ({"golden": "wrong"}, "golden_mismatch"),
        ({"crash_on_load": True}, "worker_crashed"),
        ({"load_delay_ms": 60_000}, "worker_timeout"),
    ],
)
def test_where_the_new_one_is_no_good_the_other_is_back_and_the_outage_is_told(
    tmp_path: Path, bad: dict[str, Any], code: str
) -> None:
    async def main() -> None:
        async with owning.serving(tmp_path, {"a": needing()}, start_timeout_s=1.0) as service:
            stages = Stages()
            replacing = deployed(service, needing(NEW, **bad), "b", replace=True, on_stage=stages)
            with pytest.raises(Exception, match=r"'a' was without service for \d+\.\d s") as told:
                await replacing
            assert getattr(told.value, "code", None) == code
            assert stages.seen[-1] == "bringing 'a' back"
            assert states(service) == {"a": READY}
            assert await ask(service, "a") == OLD
            assert service.repository.records().keys() == {"a"}

    running.run(main())


@pytest.mark.parametrize("stage", ["stopping 'a'", "loading", "running the golden inputs", "bringing 'a' back"])
def test_cancelled_in_every_stage_the_other_is_back(tmp_path: Path, stage: str) -> None:
    async def main() -> None:
        async with owning.serving(tmp_path, {"a": needing()}) as service:
            stages = Stages(cancel_in=stage)
            bundle = bundles.put(service.repository, needing(NEW, golden="wrong"))
            replacing = service.activator.activate("b", bundle, stages, replace=True)
            assert await outcome(stages.of(replacing)) == "cancelled"
            assert states(service) == {"a": READY}
            assert await ask(service, "a") == OLD

    running.run(main())


def test_a_new_version_of_its_own_and_a_rollback_need_nobody_s_leave(tmp_path: Path) -> None:
    async def main() -> None:
        async with owning.serving(tmp_path, {"a": needing()}) as service:
            await deployed(service, needing(NEW), "a")
            await service.activator.rollback("a", print)
            assert await ask(service, "a") == OLD

    running.run(main())


def test_a_rollback_to_a_version_that_needs_it_is_asked_too(tmp_path: Path) -> None:
    async def main() -> None:
        async with owning.serving(tmp_path, {"m": needing()}) as service:
            await deployed(service, new(), "m")  # for the CPU
            await deployed(service, needing(), "b")
            assert await outcome(service.activator.rollback("m", print)) == "accelerator_taken"
            assert (await service.activator.rollback("m", print, replace=True)).replaced == ("b",)
            assert states(service) == {"b": STOPPED, "m": READY}

    running.run(main())


def test_a_model_that_failed_or_was_removed_is_in_nobody_s_way(tmp_path: Path) -> None:
    async def main() -> None:
        async with owning.serving(tmp_path, {"a": needing()}) as service:
            await service.dataplane.pick("a").supervisor.fail("five crashes")
            assert (await deployed(service, needing(NEW), "b")).replaced == ()
            await service.activator.remove("b")
            assert (await service.activator.load("a", print)).replaced == ()

    running.run(main())


def test_one_that_is_about_to_start_again_after_a_crash_has_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with owning.serving(tmp_path, {"a": needing()}) as service:
            supervisor = service.dataplane.pick("a").supervisor
            assert supervisor.pid
            os.kill(supervisor.pid, signal.SIGKILL)
            await running.until(lambda: supervisor.state is ModelState.BACKOFF)
            assert await outcome(deployed(service, needing(NEW), "b")) == "accelerator_taken"
            await deployed(service, needing(NEW), "b", replace=True)
            await asyncio.sleep(0.3)  # longer than the first back-off: it is not started again by itself
            assert states(service) == {"a": STOPPED, "b": READY}

    running.run(main())


@pytest.mark.parametrize("last", ["a", "b"])
def test_after_a_restart_of_the_agent_the_one_that_had_it_last_starts_alone(tmp_path: Path, last: str) -> None:
    async def main() -> None:
        async with owning.serving(tmp_path, {"a": needing(), "cpu": without()}) as service:
            await deployed(service, needing(NEW), "b", replace=True)
            if last == "a":
                await service.activator.load("a", print, replace=True)
        async with owning.serving(tmp_path) as service:
            other = {"a": "b", "b": "a"}[last]
            assert states(service) == {last: READY, other: STOPPED, "cpu": READY}
            with pytest.raises(ModelNotReadyError, match=f"gave way to '{last}'"):
                await ask(service, other)

    running.run(main())


def test_after_a_restart_a_temporary_one_is_gone_and_the_one_it_replaced_serves(tmp_path: Path) -> None:
    async def main() -> None:
        async with owning.serving(tmp_path, {"z": needing()}) as service:
            await deployed(service, needing(NEW), "a", replace=True)
            await service.activator.load("z", print, replace=True)
            await deployed(service, needing(NEW), "t", replace=True, temporary=True)
        async with owning.serving(tmp_path) as service:
            assert states(service) == {"a": STOPPED, "z": READY}

    running.run(main())


def test_once_a_temporary_one_has_gone_the_one_it_replaced_serves_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with owning.serving(tmp_path, {"z": needing()}) as service:
            await deployed(service, needing(NEW), "a", replace=True)
            await deployed(service, needing(), "t", replace=True, temporary=True)
            await deployed(service, without(), "cpu", temporary=True)
            await service.activator.remove("cpu")
            assert states(service) == {"a": STOPPED, "t": READY, "z": STOPPED}
            await service.activator.remove("t")
            assert states(service) == {"a": READY, "z": STOPPED}
            assert await ask(service, "a") == NEW

    running.run(main())


def test_a_temporary_one_that_goes_after_it_was_replaced_itself_changes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with owning.serving(tmp_path, {"a": needing()}) as service:
            await deployed(service, needing(NEW), "t", replace=True, temporary=True)
            await deployed(service, needing(NEW), "b", replace=True)
            await service.activator.remove("t")
            assert states(service) == {"a": STOPPED, "b": READY}

    running.run(main())


@pytest.mark.parametrize("content", [None, b"", b"gone", b"\xff"])
def test_where_the_note_of_the_last_one_says_nothing_the_first_starts(tmp_path: Path, content: bytes | None) -> None:
    async def main() -> None:
        async with owning.serving(tmp_path, {"a": needing()}) as service:
            await deployed(service, needing(NEW), "b", replace=True)
        note = tmp_path / "accelerator"
        assert note.read_bytes() == b"b"
        note.unlink()
        if content is not None:
            note.write_bytes(content)
        async with owning.serving(tmp_path) as service:
            assert states(service) == {"a": READY, "b": STOPPED}

    running.run(main())


def test_a_note_that_cannot_be_written_undoes_no_switch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with owning.serving(tmp_path) as service:
            (tmp_path / "accelerator").mkdir()
            await deployed(service, needing(), "a")
            assert states(service) == {"a": READY}

    running.run(main())
    assert "it may not be a that starts" in caplog.text


def test_root_starts_no_worker_that_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owning.as_user(monkeypatch, 0)

    async def main() -> None:
        async with owning.serving(tmp_path, {"cpu": without()}) as service:
            with pytest.raises(RootWorkerError, match=r"the agent runs as root.*'a' is not started") as told:
                await deployed(service, needing(), "a")
            assert "--user" in told.value.hint
            assert states(service) == {"cpu": READY}

    running.run(main())


def test_a_stranger_that_has_it_is_named_by_its_command(tmp_path: Path) -> None:
    sysfs(tmp_path, "1", "4906")
    (tmp_path / "proc/4906").mkdir(parents=True)
    (tmp_path / "proc/4906/cmdline").write_bytes(b"python3\0classify.py\0--model\0x_edgetpu.tflite\0")

    async def main() -> None:
        async with owning.serving(tmp_path) as service:
            with pytest.raises(AcceleratorHeldError, match=r": 4906, python3 classify.py --model x_edgetpu") as told:
                await deployed(service, needing(), "a")
            assert "kill 4906" in told.value.hint
            assert await outcome(deployed(service, without(), "cpu")) == "done"
            (tmp_path / "proc/4906/cmdline").unlink()  # hidepid, or a thread of the kernel
            with pytest.raises(AcceleratorHeldError, match="4906, which does not say what it is"):
                await deployed(service, needing(), "a")

    running.run(main())


@pytest.mark.parametrize(("owned", "owner"), [("0", "0"), ("0", "4906"), ("1", "4906"), ("1", "?"), ("", "")], ids=str)
def test_nobody_and_whoever_has_just_ended_is_in_nobody_s_way(tmp_path: Path, owned: str, owner: str) -> None:
    """4906 has no folder in /proc."""
    sysfs(tmp_path, owned, owner)

    async def main() -> None:
        async with owning.serving(tmp_path, {"a": needing()}) as service:
            assert states(service) == {"a": READY}

    running.run(main())


def test_what_the_driver_says(tmp_path: Path) -> None:
    assert ownership.read_owner(sysfs(tmp_path, "1", "77")) == 77
    assert ownership.read_owner(sysfs(tmp_path, "0", "77")) is None
    assert ownership.read_owner(tmp_path / "no/such/device") is None


def test_a_stranger_that_takes_it_after_a_crash_is_the_reason_of_the_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.crashes.FIRST_BACKOFF_S", 0.001)

    async def main() -> None:
        async with owning.serving(tmp_path, {"a": needing()}) as service:
            supervisor = service.dataplane.pick("a").supervisor
            sysfs(tmp_path, "1", str(os.getpid()))
            (tmp_path / f"proc/{os.getpid()}").mkdir(parents=True)
            assert supervisor.pid
            os.kill(supervisor.pid, signal.SIGKILL)
            await running.until(lambda: "another process has" in str(supervisor.reason))
            (tmp_path / owning.DEVICE / "is_device_owned").write_text("0\n")
            await running.until(lambda: supervisor.state is READY)

    running.run(main())


@pytest.mark.parametrize("subject", ["a", "b"])
def test_a_bench_stops_whoever_has_it_and_starts_that_again(tmp_path: Path, subject: str) -> None:
    """Of the one that has it, and of one that gave way to it."""

    async def main() -> None:
        start = bundles.launch(tmp_path)
        async with owning.serving(tmp_path, {"a": needing()}, start=start) as service:
            await deployed(service, needing(NEW), "b", replace=True)
            measurement = await Bench(service, model=subject, runs=3, interrupt=True).measured()
            assert measurement.stopped_models == ("b",)
            assert states(service) == {"a": STOPPED, "b": READY}
            assert await ask(service, "b") == NEW

    running.run(main())


def test_a_profile_with_one_owner_makes_room_first_and_empties_the_board_for_a_bench() -> None:
    boards = [read_profile(name) for name in profile_names()]
    found = [board for board in boards if board.one_owner]
    assert [board.name for board in found] == ["coral"]
    for board in found:
        assert (board.switching, board.shares_memory) == ("stop-first", True)
        assert board.one_owner
        assert board.runtime_options[board.one_owner.option] == board.one_owner.value
