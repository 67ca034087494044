"""Models that are there for a while: asked by name, kept in memory alone, removed when nobody names them any more."""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bundles
import pytest
import rogue
import running
from measuring import Bench
from versions import NEW, OLD, Stages, ask, is_as_it_was, new, old, serving

from agent.errors import InputError, NameTakenError, NotFoundError, NothingToRollBackError, RecentTrafficError
from agent.service import Service
from agent.settings import Settings
from contract.api import Activation, BenchRequest, JobState, ModelState

AGES_S = 1e6


async def lend(service: Service, bundle: bundles.Bundle, name: str = "t") -> Activation:
    """Deploys it as a temporary model."""
    wanted = bundles.put(service.repository, bundle)
    return await service.activator.activate(name, wanted, lambda _stage: None, temporary=True)


def forget(service: Service, *names: str) -> None:
    """As if nobody had named them for ages."""
    for name in names:
        service.dataplane.models[name].named_at -= AGES_S


def short_lived(data_dir: Path) -> Settings:
    return Settings(host="127.0.0.1", port=0, data_dir=data_dir, profile="desktop", temporary_idle_s=0.1)


def test_it_is_served_by_its_name_and_by_nothing_else(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path) as service:
            await lend(service, new())
            pick = service.dataplane.pick
            assert (await ask(service), await ask(service, "t")) == (OLD, NEW)
            assert pick(None).name == "m"
            await bundles.activate(service, old(), "n")
            with pytest.raises(InputError, match="2 models are deployed") as told:
                pick(None)
            assert told.value.hint == "choose one with ?model=: m, n"
            for name in ("m", "n"):
                await service.activator.remove(name)
            with pytest.raises(NotFoundError, match="no model is deployed"):
                pick(None)
            assert await ask(service, "t") == NEW

    running.run(main())


def test_it_ends_with_the_agent_which_keeps_nothing_of_it_on_disk(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path) as service:
            await lend(service, new())
            records = {path.name: path.read_text() for path in (tmp_path / "models").iterdir()}  # also after a kill
            assert list(records) == ["m.json"]
            assert "temporary" not in records["m.json"]  # which an agent from before would not know
        async with bundles.serving(tmp_path, start=rogue.obedient(tmp_path)) as again:
            await is_as_it_was(again, old())
            assert list(again.dataplane.models) == ["m"]
            assert list(again.repository.records()) == ["m"]

    running.run(main())


def test_its_bundle_stays_as_long_as_it_does_and_no_longer(tmp_path: Path) -> None:
    def collected(service: Service) -> bool:
        for folder in (tmp_path / "bundles").iterdir():
            os.utime(folder, (time.time() - 7200,) * 2)
        service.repository.remove_unused()
        return not (tmp_path / "bundles" / new().id).exists()

    async def main() -> None:
        async with serving(tmp_path) as service:
            await lend(service, new())
            assert not collected(service)
            await service.activator.remove("t")
            assert collected(service)
            await is_as_it_was(service, old())

    running.run(main())


def test_it_cannot_take_the_place_of_a_model_that_is_to_stay(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path) as service:
            for bundle in (new(), old()):
                with pytest.raises(NameTakenError, match="'m' is a model that is to stay"):
                    await lend(service, bundle, "m")
            await is_as_it_was(service, old())
            await service.dataplane.pick("m").supervisor.stop()
            with pytest.raises(NameTakenError):
                await lend(service, old(), "m")

    running.run(main())


@pytest.mark.parametrize(("bundle", "version"), [(old(), OLD), (new(), NEW)])
def test_deployed_to_stay_it_stays(tmp_path: Path, bundle: bundles.Bundle, version: str) -> None:
    async def main() -> None:
        async with bundles.serving(tmp_path, start=rogue.obedient(tmp_path)) as service:
            await lend(service, old(), "m")
            activation = await bundles.activate(service, bundle)
            assert activation.unchanged is (version == OLD)
            forget(service, "m")
            assert not service.expiry.is_due("m")
            assert service.dataplane.pick(None).name == "m"
            await is_as_it_was(service, bundle, version)
        async with bundles.serving(tmp_path, start=rogue.obedient(tmp_path)) as again:
            await is_as_it_was(again, bundle, version)

    running.run(main())


def test_another_version_a_roll_back_and_a_load_leave_it_temporary(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path) as service:

            def is_temporary() -> bool:
                return service.dataplane.pick("t").temporary and not (tmp_path / "models" / "t.json").exists()

            await lend(service, old())
            with pytest.raises(NothingToRollBackError):
                await service.activator.rollback("t", print)
            assert (await lend(service, old())).unchanged
            assert is_temporary()
            assert (await lend(service, new())).previous == old().id
            assert is_temporary()
            await service.activator.rollback("t", print)
            assert is_temporary()
            assert await ask(service, "t") == OLD
            await service.dataplane.pick("t").supervisor.fail("five crashes")
            await service.activator.load("t", print)
            assert is_temporary()
            assert service.dataplane.pick("t").supervisor.state is ModelState.READY

    running.run(main())


def test_it_does_not_run_and_is_not_there(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path) as service:
            assert await running.outcome(lend(service, new(golden="wrong"))) == "golden_mismatch"
            assert list(service.repository.records()) == ["m"]
            await is_as_it_was(service, old())

    running.run(main())


class TestBench:
    """As of any other model, but that who measures it is who has asked it."""

    def test_its_own_requests_are_in_nobodys_way(self, tmp_path: Path) -> None:
        async def main() -> None:
            async with serving(tmp_path) as service:
                await lend(service, old())
                await ask(service, "t")
                service.bencher.check(BenchRequest(model="t"))
                with pytest.raises(RecentTrafficError):  # they are in the way of somebody else's
                    service.bencher.check(BenchRequest(model="m"))
                assert (await Bench(service, model="t").measured()).bundle == old().id
                await ask(service, "m")
                with pytest.raises(RecentTrafficError):
                    service.bencher.check(BenchRequest(model="t"))

        running.run(main())

    def test_where_all_models_are_stopped_for_it_they_are_what_they_were(self, tmp_path: Path) -> None:
        async def main() -> None:
            async with serving(tmp_path, shares_memory=True) as service:
                await lend(service, new())
                assert (await Bench(service, model="t").measured()).stopped_models == ("m", "t")
                assert (await ask(service), await ask(service, "t")) == (OLD, NEW)
                assert service.dataplane.pick("t").temporary

        running.run(main())


Act = Callable[[Service], Any]


class TestExpiry:
    """What nobody has named for a while is removed."""

    def test_when_it_is_due(self, tmp_path: Path) -> None:
        async def main() -> None:
            async with serving(tmp_path) as service:
                is_due = service.expiry.is_due
                await lend(service, new())
                assert not is_due("t")
                forget(service, "m", "t")
                assert is_due("t")
                assert not is_due("m")
                assert not is_due("no such model")
                await ask(service)
                with pytest.raises(NotFoundError):
                    service.dataplane.pick("tt")
                assert is_due("t")  # they meant others

        running.run(main())

    @pytest.mark.parametrize(
        "act",
        [
            pytest.param(lambda service: service.dataplane.pick("t"), id="a request"),
            pytest.param(lambda service: service.bencher.check(BenchRequest(model="t")), id="a bench that is refused"),
            pytest.param(lambda service: service.bencher.environment("t"), id="its environment"),
        ],
    )
    def test_who_names_it_keeps_it(self, tmp_path: Path, act: Act) -> None:
        async def main() -> None:
            async with serving(tmp_path) as service:
                await lend(service, new())
                forget(service, "t")
                act(service)
                assert not service.expiry.is_due("t")
                forget(service, "t")
                assert service.expiry.is_due("t")

        running.run(main())

    def test_while_a_request_or_a_job_has_it_the_time_does_not_run(self, tmp_path: Path) -> None:
        async def main() -> None:
            async with serving(tmp_path) as service:
                await lend(service, new())
                with service.dataplane.admit(service.dataplane.pick("t")):
                    forget(service, "t")
                    assert not service.expiry.is_due("t")
                assert not service.expiry.is_due("t")  # it runs from here on
                seen = []

                def look(stage: str, _job: object) -> None:
                    forget(service, "t")
                    seen.append((stage, service.expiry.is_due("t")))

                await Bench(service, look, model="t").measured()
                assert ("running", False) in seen
                assert not any(due for _, due in seen)
                assert not service.expiry.is_due("t")
                forget(service, "t")
                assert service.expiry.is_due("t")

        running.run(main())

    def test_the_agent_removes_it_and_says_so(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        async def main() -> None:
            start = rogue.obedient(tmp_path)
            async with bundles.serving(tmp_path, {"m": old()}, short_lived(tmp_path), start=start) as service:
                await lend(service, new())
                await running.until(lambda: "t" not in service.repository.records())
                assert list(service.dataplane.models) == ["m"]
                await is_as_it_was(service, old())

        with caplog.at_level(logging.INFO, "agent"):
            running.run(main())
        assert "t has expired" in caplog.text

    def test_also_one_that_has_failed(self, tmp_path: Path) -> None:
        async def main() -> None:
            start = rogue.obedient(tmp_path)
            async with bundles.serving(tmp_path, {}, short_lived(tmp_path), start=start) as service:
                await lend(service, new())
                await service.dataplane.models["t"].supervisor.fail("five crashes")
                await running.until(lambda: not service.repository.records())

        running.run(main())

    def test_one_that_is_named_while_its_removal_waits_stays(self, tmp_path: Path) -> None:
        async def main() -> None:
            async with serving(tmp_path) as service:
                await lend(service, new())
                forget(service, "t")
                async with service.dataplane.board.held("a bench of 'm'", print):
                    stages = Stages()
                    removing = asyncio.create_task(service.activator.expire("t", service.expiry.is_due))
                    deploying = asyncio.create_task(service.activator.activate("m", old().id, stages))
                    await running.until(lambda: stages.seen)  # it is in the queue behind the removal
                    service.dataplane.pick("t")
                await asyncio.gather(removing, deploying)
                assert await ask(service, "t") == NEW
                forget(service, "t")
                await service.activator.expire("t", service.expiry.is_due)
                assert list(service.dataplane.models) == ["m"]

        running.run(main())

    def test_one_that_was_removed_meanwhile(self, tmp_path: Path) -> None:
        async def main() -> None:
            async with serving(tmp_path) as service:
                await lend(service, new())
                forget(service, "t")
                await service.activator.remove("t")
                await service.activator.expire("t", service.expiry.is_due)
                await is_as_it_was(service, old())

        running.run(main())

    def test_a_removal_that_fails_is_told_and_tried_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def main() -> None:
            start = rogue.obedient(tmp_path)
            async with bundles.serving(tmp_path, {}, short_lived(tmp_path), start=start) as service:
                remove_record, tried = service.repository.remove_record, []

                def fails_once(name: str) -> None:
                    tried.append(name)
                    if len(tried) == 1:
                        raise OSError(5, "Input/output error")
                    remove_record(name)

                monkeypatch.setattr(service.repository, "remove_record", fails_once)
                await lend(service, new())
                await running.until(lambda: not service.repository.records())
                assert tried == ["t", "t"]

        running.run(main())
        assert "t has expired and could not be removed" in caplog.text
        assert "Input/output error" in caplog.text

    def test_an_agent_that_ends_meanwhile(self, tmp_path: Path) -> None:
        async def main() -> None:
            start = rogue.obedient(tmp_path)
            async with bundles.serving(tmp_path, {}, short_lived(tmp_path), start=start) as service:
                slow = bundles.put(service.repository, old(delay_ms=300))
                await service.activator.activate("t", slow, print, temporary=True)
                job = service.jobs.start("activate", "t", lambda job: service.activator.load("t", job.stage))
            assert service.jobs.get(job.id).state.state in (JobState.CANCELLED, JobState.DONE)

        running.run(main())
