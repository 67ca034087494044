"""The times of a model's layers, taken apart from every other measurement: a job that holds the board."""

from functools import partial
from pathlib import Path
from typing import Any

import bundles
import pytest
import rogue
import running
from building import deployed, serving
from bundles import Bundle
from measuring import all_is_back, ask
from versions import new

from agent.errors import BoardHeldError, NotFoundError, RecentTrafficError
from agent.jobs import RunningJob
from agent.service import Service
from contract.api import Job, JobState, LayerProfile, ModelState, ProfileRequest


async def profiled(service: Service, stages: list[str] | None = None, **request: Any) -> Job:
    """The job, once it is over."""

    async def work(asked: ProfileRequest, job: RunningJob) -> LayerProfile:
        told = job.stage

        def stage(text: str) -> None:
            told(text)
            if stages is not None:
                stages.append(text)

        job.stage = stage  # type: ignore[method-assign]  # the test listens
        return await service.bencher.profile_layers(asked, job)

    asked = ProfileRequest(**{"model": "m", "runs": 3, **request})
    job = service.jobs.get(service.jobs.start("profile", asked.model, partial(work, asked)).id)
    while not job.state.is_over:
        await job.changed_since(job.state.revision, 10)
    return job.state


def test_each_layer_has_its_mean(tmp_path: Path) -> None:
    echo = bundles.inspector()

    async def main() -> None:
        async with bundles.serving(tmp_path, {"m": echo}) as service:
            stages: list[str] = []
            profile = (await profiled(service, stages, runs=20)).layer_profile
            assert stages == ["waiting for the requests in flight", "loading", "profiling"]
            assert profile
            [layer] = profile.layers
            assert layer.name == "copy to image_out"
            assert 0 < layer.mean_ms < 1000
            assert (profile.model, profile.bundle, profile.runs) == ("m", echo.id, 20)
            assert (profile.runtime, profile.runtime_version) == ("null", "1")
            await all_is_back(service)

    running.run(main())


def test_a_runtime_that_cannot_tell_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(tmp_path, {"m": bundles.null(no_layers=True)}, shares_memory=True) as service:
            job = await profiled(service)
            assert job.state is JobState.FAILED
            assert job.error
            assert (job.error.code, job.error.error) == (
                "unsupported",
                "the runtime does not tell the times of layers",
            )
            await all_is_back(service)

    running.run(main())


def test_what_was_built_is_what_is_profiled(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, start=None) as service:
            await deployed(service, bundles.null().to_build())
            engine = service.dataplane.pick("m").supervisor.deployment.artifact
            engine.write_bytes(bundles.null().files["model.json"].replace(b'"x_out"', b'"other"'))
            job = await profiled(service)
            assert job.error
            assert job.error.code == "signature_mismatch"

    running.run(main())


def served(data_dir: Path, models: dict[str, Bundle], **profile: Any) -> Any:
    return bundles.serving(data_dir, models, start=rogue.obedient(data_dir), **profile)


@pytest.mark.parametrize("shares_memory", [False, True])
def test_the_board_is_held_and_where_memory_is_shared_emptied(tmp_path: Path, shares_memory: bool) -> None:
    async def main() -> None:
        async with served(tmp_path, {"m": new(), "n": new()}, shares_memory=shares_memory) as service:
            seen = {}

            class Stages(list[str]):
                def append(self, stage: str) -> None:
                    seen[stage] = [served.supervisor.state for served in service.dataplane.models.values()]
                    with pytest.raises(BoardHeldError, match="a profile of 'm'"):
                        service.dataplane.board.check()

            profile = (await profiled(service, Stages())).layer_profile
            assert profile
            assert [(layer.name, layer.mean_ms) for layer in profile.layers] == [("copy", 0.5), ("copy again", 2.0)]
            assert set(seen["profiling"]) == {ModelState.STOPPED if shares_memory else ModelState.READY}
            await all_is_back(service)

    running.run(main())


def test_a_board_in_use_is_not_interrupted_unasked(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path, {"m": new()}) as service:
            await ask(service, "m")
            with pytest.raises(RecentTrafficError):
                service.bencher.check(ProfileRequest(model="m"))
            service.bencher.check(ProfileRequest(model="m", interrupt=True))
            with pytest.raises(NotFoundError):
                service.bencher.check(ProfileRequest(model="o"))

    running.run(main())


def test_many_runs_have_the_time_of_each(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path, {"m": new(delay_ms=150)}, start_timeout_s=1.0, request_timeout_s=1.0) as service:
            assert (await profiled(service, runs=10)).layer_profile

    running.run(main())


def test_cancelled_it_puts_everything_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path, {"m": new(delay_ms=200), "n": new()}, shares_memory=True) as service:

            class Cancelling(list[str]):
                def append(self, stage: str) -> None:
                    if stage == "profiling":
                        service.jobs.cancel_all()

            assert (await profiled(service, Cancelling(), runs=1000)).state is JobState.CANCELLED
            await all_is_back(service)

    running.run(main())
