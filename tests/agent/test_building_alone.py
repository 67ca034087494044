"""Boards without the memory to build beside other models: these are stopped, if the user says so, and started again."""

from pathlib import Path
from typing import Any

import bundles
import pytest
import running
from building import NONE_YET, deployed, engines, serving
from bundles import BUILDS, Bundle
from running import outcome
from versions import NEW, OLD, Stages, ask, is_as_it_was, new, old

from agent.errors import BuildNeedsBoardError, ModelNotReadyError
from agent.service import Service
from contract.api import ModelState
from contract.tensors import TensorSpec

ALONE = BUILDS.model_copy(update={"alone": True})
MODELS = {"m": old(), "n": new()}
OTHER = new(version=2).to_build()


def small(data_dir: Path, models: dict[str, Bundle] | None = None, **options: Any) -> Any:
    return serving(data_dir, models, **{"build": ALONE, **options})


def states(service: Service) -> dict[str, ModelState]:
    return {name: served.supervisor.state for name, served in service.dataplane.models.items()}


async def all_go_on(service: Service) -> None:
    assert (await ask(service, "m"), await ask(service, "n")) == (OLD, NEW)
    await is_as_it_was(service, old())


def test_unasked_nothing_is_stopped_and_nothing_built(tmp_path: Path) -> None:
    async def main() -> None:
        async with small(tmp_path, MODELS) as service:
            pids = [service.dataplane.pick(name).supervisor.pid for name in MODELS]
            with pytest.raises(BuildNeedsBoardError) as told:
                await deployed(service, OTHER, "o")
            assert told.value.code == "build_needs_board"
            assert told.value.message == "building takes most of this board's memory, and it serves m, n"
            assert "--stop-others" in told.value.hint
            assert [service.dataplane.pick(name).supervisor.pid for name in MODELS] == pids
            assert engines(tmp_path) == []
            await all_go_on(service)

    running.run(main())


def test_the_others_are_stopped_while_it_builds_and_started_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with small(tmp_path, MODELS) as service:
            failed = await outcome(deployed(service, new(crash_on_load=True), "failed"))
            assert failed == "worker_crashed"
            seen = {}

            def on_stage(stage: str) -> None:
                if stage.startswith("building"):
                    seen.update(states(service))
                    assert len(running.children()) == 1  # the builder
                    with pytest.raises(ModelNotReadyError, match="an engine is being built for 'o'"):
                        service.dataplane.pick("m").supervisor.take_slot()

            build = await deployed(service, OTHER, "o", on_stage, stop_others=True)
            assert build.reason == NONE_YET
            assert seen == dict.fromkeys(MODELS, ModelState.STOPPED)
            assert states(service) == dict.fromkeys((*MODELS, "o"), ModelState.READY)
            await all_go_on(service)
            assert await ask(service, "o") == NEW

    running.run(main())


@pytest.mark.parametrize("bundle", [new(fail_build=True), new(kill_on_build=True)], ids=["refused", "killed"])
def test_also_after_a_build_that_failed(tmp_path: Path, bundle: Bundle) -> None:
    async def main() -> None:
        async with small(tmp_path, MODELS, start=None) as service:
            ended = await outcome(deployed(service, bundle.to_build(), "o", stop_others=True))
            assert ended in ("build_failed", "worker_crashed")
            assert states(service) == dict.fromkeys(MODELS, ModelState.READY)
            await all_go_on(service)

    running.run(main())


def test_also_after_a_build_that_was_cancelled(tmp_path: Path) -> None:
    async def main() -> None:
        async with small(tmp_path, MODELS) as service:
            stages = Stages()
            bundle = new(build_delay_ms=60_000).to_build()
            building = stages.of(deployed(service, bundle, "o", stages, stop_others=True))
            await running.until(lambda: stages.seen and stages.seen[-1].startswith("building"))
            assert states(service) == dict.fromkeys(MODELS, ModelState.STOPPED)
            building.cancel()
            assert await outcome(building) == "cancelled"
            assert states(service) == dict.fromkeys(MODELS, ModelState.READY)
            await all_go_on(service)

    running.run(main())


def test_a_model_that_the_parser_refuses_stops_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with small(tmp_path, MODELS, start=None) as service:
            pids = [service.dataplane.pick(name).supervisor.pid for name in MODELS]
            refused = new(nodes=[("act", "Fancy")]).to_build()
            assert await outcome(deployed(service, refused, "o", stop_others=True)) == "model_refused"
            assert [service.dataplane.pick(name).supervisor.pid for name in MODELS] == pids

    running.run(main())


def test_where_nothing_is_served_or_the_engine_is_there_nobody_is_asked(tmp_path: Path) -> None:
    async def main() -> None:
        async with small(tmp_path) as service:
            assert (await deployed(service, OTHER)).reason == NONE_YET
            assert (await deployed(service, OTHER, "n")).reason is None
            assert states(service) == dict.fromkeys("mn", ModelState.READY)
            await service.dataplane.pick("m").supervisor.fail("five crashes")
            await service.dataplane.pick("n").supervisor.stop()
            assert (await deployed(service, new().to_build(), "o")).reason == "runtime version is 1, it was 2"
            assert states(service) == {"m": ModelState.FAILED, "n": ModelState.STOPPED, "o": ModelState.READY}

    running.run(main())


def test_a_new_version_of_what_is_served_needs_the_board_too(tmp_path: Path) -> None:
    async def main() -> None:
        async with small(tmp_path, {"m": old()}, switching="stop-first") as service:
            assert await outcome(deployed(service, new().to_build())) == "build_needs_board"
            await is_as_it_was(service, old())
            await deployed(service, new().to_build(), stop_others=True)
            await is_as_it_was(service, new().to_build(), NEW)

    running.run(main())


def test_after_a_restart_what_must_be_built_anew_is_built_one_by_one(tmp_path: Path) -> None:
    other = bundles.null(TensorSpec(name="y", dtype="uint8", shape=(4,))).to_build()
    models = {"a": new().to_build(), "b": other, "m": old()}

    async def first() -> None:
        async with serving(tmp_path, models):
            pass

    async def second() -> None:
        async with small(tmp_path, build=ALONE.model_copy(update={"workspace_mib": 99})) as service:
            assert states(service) == dict.fromkeys(models, ModelState.READY)
            assert (await ask(service, "a"), await ask(service, "b"), await ask(service, "m")) == (NEW, OLD, OLD)

    running.run(first())
    running.run(second())
