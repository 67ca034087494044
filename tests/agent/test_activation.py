"""New versions: proven before they serve."""

import asyncio
import os
import signal
from pathlib import Path

import bundles
import pytest
import rogue
import running
from bundles import Bundle, activate
from running import outcome
from versions import CONTENT, NEW, OLD, SPEC, Stages, ask, is_as_it_was, new, old, serving

from agent.errors import (
    BoardHeldError,
    GoldenMismatchError,
    IncompleteBundleError,
    ModelNotReadyError,
    NotFoundError,
    NothingToRollBackError,
)
from agent.repository import Record
from contract.api import ModelState


def test_the_first_version(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(tmp_path) as service:  # a real worker
            stages = Stages()
            bundle = bundles.put(service.repository, old(cases=3))
            activation = await service.activator.activate("m", bundle, stages)
            assert stages.seen == ["loading", "running the golden inputs"]
            assert activation.model_dump() == {
                "model": "m",
                "bundle": bundle,
                "previous": None,
                "sqnr_db": None,
                "tolerance_db": 60.0,
                "golden_count": 3,
                "golden_source": "noise",
                "load_s": activation.load_s,
                "outage_s": 0.0,
                "replaced": (),
                "unchanged": False,
                "score_method": None,
                "threshold_model": None,
                "threshold_board": None,
                "good_count": 0,
                "build": None,
            }
            assert 0 < activation.load_s < 30
            assert await ask(service) == OLD
            assert service.repository.record("m") == Record(active=bundle)

    running.run(main())


def test_twenty_switches_under_requests_without_an_error(tmp_path: Path) -> None:
    """Every answer is the old version's or the new one's; from the end of a switch on it is the new one's."""

    async def main() -> None:
        async with serving(tmp_path) as service:
            versions = {OLD: bundles.put(service.repository, old()), NEW: bundles.put(service.repository, new())}
            over = asyncio.Event()
            counts = {OLD: 0, NEW: 0}

            async def client() -> None:
                while not over.is_set():
                    counts[await ask(service)] += 1

            clients = [asyncio.create_task(client()) for _ in range(3)]
            for number in range(20):
                version = (NEW, OLD)[number % 2]
                activation = await service.activator.activate("m", versions[version], print)
                assert activation.outage_s == 0.0
                assert await ask(service) == version
            over.set()
            await asyncio.gather(*clients)
            assert min(counts.values()) > 20
            served = service.dataplane.pick("m")
            assert (served.failures, served.rejected) == (0, 0)
            assert served.requests == sum(counts.values()) + 20  # the counters outlive every switch
            assert len(running.children()) == 1

    running.run(main())


def test_a_request_that_the_old_version_has_begun_is_answered_by_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path) as service:
            with service.dataplane.admit(service.dataplane.pick("m")) as admission:
                switching = asyncio.create_task(activate(service, new()))
                await running.until(lambda: service.dataplane.pick("m").supervisor.deployment.bundle == new().id)
                assert await ask(service) == NEW
                assert not switching.done()
                admission.writer().write(CONTENT)
                await admission.run()
                assert b"".join(admission.outputs) == CONTENT
            await switching
            await is_as_it_was(service, new(), NEW)

    running.run(main())


def test_stop_first_has_one_worker_at_a_time_and_reports_the_outage(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, stop_first=True) as service:
            stages = Stages()
            refused = []

            def on_stage(stage: str) -> None:
                stages(stage)
                if stage == "loading":
                    assert running.children() == []
                    with pytest.raises(ModelNotReadyError, match="another version is being loaded") as told:
                        service.dataplane.pick("m").supervisor.take_slot()
                    refused.append(told.value.hint)

            bundle = bundles.put(service.repository, new(load_delay_ms=100))
            activation = await service.activator.activate("m", bundle, on_stage)
            assert stages.seen == [
                "stopping the old version",
                "loading",
                "running the golden inputs",
                "ending the old version",
            ]
            assert 0.1 < activation.outage_s < 30
            assert activation.outage_s >= activation.load_s
            assert refused == ["try again in a moment"]
            await is_as_it_was(service, new(load_delay_ms=100), NEW)

    running.run(main())


def test_stop_first_serves_what_is_in_flight(tmp_path: Path) -> None:
    async def main() -> None:
        slow = bundles.null(SPEC, source_name="slow", delay_ms=50)
        async with bundles.serving(
            tmp_path, {"m": slow}, start=rogue.obedient(tmp_path), switching="stop-first"
        ) as service:
            requests = [asyncio.create_task(ask(service)) for _ in range(3)]
            await asyncio.sleep(0)
            await activate(service, new())
            assert await asyncio.gather(*requests) == [OLD] * 3

    running.run(main())


def test_rollback_and_rollback_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path) as service:
            with pytest.raises(NothingToRollBackError, match="'m' has no version before this one"):
                await service.activator.rollback("m", print)
            with pytest.raises(NotFoundError, match="there is no model 'n'"):
                await service.activator.rollback("n", print)
            await activate(service, new())
            assert service.repository.record("m") == Record(active=new().id, previous=old().id)
            activation = await service.activator.rollback("m", print)
            assert (activation.bundle, activation.previous) == (old().id, new().id)
            await is_as_it_was(service, old())
            await service.activator.rollback("m", print)
            await is_as_it_was(service, new(), NEW)

    running.run(main())


def test_the_same_bundle_again_changes_nothing_and_is_proven_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path) as service:
            await activate(service, new())
            supervisor, stages = service.dataplane.pick("m").supervisor, Stages()
            activation = await service.activator.activate("m", new().id, stages)
            assert activation.unchanged
            assert activation.previous == old().id
            assert stages.seen == ["running the golden inputs"]
            assert service.dataplane.pick("m").supervisor is supervisor
            await is_as_it_was(service, new(), NEW)

    running.run(main())


def test_the_same_bundle_again_under_a_full_queue(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path) as service:
            over = asyncio.Event()

            async def client() -> None:
                while not over.is_set():
                    await outcome(ask(service))

            clients = [asyncio.create_task(client()) for _ in range(8)]  # twice the queue
            await asyncio.sleep(0.05)
            assert (await activate(service, old())).unchanged
            over.set()
            await asyncio.gather(*clients)
            assert service.dataplane.pick("m").rejected > 0

    running.run(main())


@pytest.mark.parametrize("stop_first", [False, True])
def test_loading_a_failed_model_again(tmp_path: Path, stop_first: bool) -> None:
    async def main() -> None:
        async with serving(tmp_path, stop_first=stop_first) as service:
            await activate(service, new())
            record = service.repository.record("m")
            await service.dataplane.pick("m").supervisor.fail("five crashes")
            activation = await service.activator.load("m", print)
            assert not activation.unchanged
            await is_as_it_was(service, new(), NEW)
            assert service.repository.record("m") == record

    running.run(main())


def test_a_crash_between_does_not_matter(tmp_path: Path) -> None:
    """The old version crashes while the new one loads: it is replaced all the same, and nothing of it comes back."""

    async def main() -> None:
        async with serving(tmp_path) as service:
            switching = asyncio.create_task(activate(service, new(load_delay_ms=100)))
            await running.until(lambda: len(running.children()) == 2)
            pid = service.dataplane.pick("m").supervisor.pid
            assert pid
            os.kill(pid, signal.SIGKILL)
            await switching
            await is_as_it_was(service, new(load_delay_ms=100), NEW)

    running.run(main())


def test_removing_serves_what_is_in_flight(tmp_path: Path) -> None:
    async def main() -> None:
        slow = bundles.null(SPEC, source_name="slow", delay_ms=50)
        async with bundles.serving(tmp_path, {"m": slow}, start=rogue.obedient(tmp_path)) as service:
            requests = [asyncio.create_task(ask(service)) for _ in range(3)]
            await asyncio.sleep(0)
            removing = asyncio.create_task(service.activator.remove("m"))
            second = asyncio.create_task(outcome(service.activator.remove("m")))
            await running.until(lambda: not service.dataplane.models)
            with pytest.raises(NotFoundError):
                await ask(service)
            assert await asyncio.gather(*requests) == [OLD] * 3
            await removing
            assert await second == "unknown_model"
            assert service.repository.records() == {}
            assert not running.children()
        async with bundles.serving(tmp_path) as again:
            assert again.dataplane.models == {}

    running.run(main())


def test_removing_what_is_not_there_and_what_a_bench_holds(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path) as service:
            with pytest.raises(NotFoundError, match="no model 'n'"):
                await service.activator.remove("n")
            async with service.dataplane.board.held("a bench of 'x'", print):
                with pytest.raises(BoardHeldError):
                    await service.activator.remove("m")
            await is_as_it_was(service, old())

    running.run(main())


def test_a_bundle_that_is_not_there_or_not_whole(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path) as service:
            with pytest.raises(NotFoundError, match="there is no bundle"):
                await service.activator.activate("m", "0" * 64, print)
            unsent = new().with_file("weights", b"not sent")
            service.repository.offer(unsent.manifest)
            with pytest.raises(IncompleteBundleError, match="files of the bundle"):
                await service.activator.activate("m", unsent.id, print)
            await is_as_it_was(service, old())

    running.run(main())


def test_two_models_take_turns_and_do_not_meet(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path) as service:
            stages = {name: Stages() for name in "mn"}
            bundle = bundles.put(service.repository, new())
            await asyncio.gather(*(service.activator.activate(name, bundle, stages[name]) for name in "mn"))
            assert await ask(service, "m") == await ask(service, "n") == NEW
            waited = [stages[name].seen[0] for name in "mn" if stages[name].seen[0].startswith("waiting")]
            assert waited in (["waiting for the deploy of 'm'"], ["waiting for the deploy of 'n'"])

    running.run(main())


def test_after_a_restart_the_same_models_are_served_and_a_broken_one_keeps_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    models = {"a": old(), "broken": new(cases=3), "dies": old(cases=3), "m": new(), "no-runtime": old(cases=4)}

    async def first() -> None:
        async with bundles.serving(tmp_path, models, start=rogue.obedient(tmp_path)) as service:
            assert sorted(service.dataplane.models) == sorted(models)

    async def second() -> None:
        async with bundles.serving(tmp_path) as service:
            states = {name: served.supervisor.state for name, served in service.dataplane.models.items()}
            assert states == {
                "a": ModelState.READY,
                "dies": ModelState.FAILED,
                "m": ModelState.READY,
                "no-runtime": ModelState.FAILED,
            }
            assert "there is no runtime 'trt'" in str(service.dataplane.pick("no-runtime").supervisor.reason)
            assert (await ask(service, "a"), await ask(service, "m")) == (OLD, NEW)

    running.run(first())
    (tmp_path / "bundles" / models["broken"].id / "manifest.json").unlink()
    model = tmp_path / "bundles" / models["dies"].id / "model.json"
    model.unlink()
    model.write_bytes(b"x" * len(models["dies"].files["model.json"]))
    _rewrite_runtime(tmp_path, "no-runtime", models["no-runtime"].for_runtime("trt"))
    running.run(second())
    assert "broken is not served: the bundle" in caplog.text


def _rewrite_runtime(data_dir: Path, name: str, bundle: Bundle) -> None:
    """As a board whose Python has lost its runtime."""
    service = bundles.service(data_dir)
    service.repository.set_record(name, Record(active=bundles.put(service.repository, bundle)))
    service.repository.close()


def test_a_deploy_waits_until_the_models_of_the_last_run_are_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(tmp_path, {"m": old(load_delay_ms=100)}, start=rogue.obedient(tmp_path)):
            pass
        service = bundles.service(tmp_path, start=rogue.obedient(tmp_path))
        service.start()
        stages = Stages()
        await service.activator.activate("m", bundles.put(service.repository, new()), stages)
        assert stages.seen[0] == "waiting for the start of the models of the last run"
        await is_as_it_was(service, new(), NEW)
        await service.close()

    running.run(main())


def test_golden_mismatch_is_told_with_its_figures(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(tmp_path) as service:
            with pytest.raises(
                GoldenMismatchError, match=r"output 'x_out' of golden case \d comes back at -?\d+\.\d dB"
            ):
                await activate(service, new(golden="wrong"))
            assert service.dataplane.models == {}
            assert service.repository.records() == {}
            assert not running.children()

    running.run(main())
