"""What a board builds itself: when, why, and what it takes that is there already."""

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import bundles
import pytest
import running
from building import NONE_YET, deployed, engines, serving, states, work
from bundles import BUILDS, Bundle
from measuring import Bench
from versions import NEW, OLD, SPEC, Stages, ask, is_as_it_was, new, old

from agent import service as module
from agent.engines import ENGINE
from agent.jobs import KEPT_LINES
from agent.service import Service
from contract.tensors import TensorSpec


def test_the_first_deploy_builds_what_is_loaded_and_says_why(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async def main() -> None:
        async with serving(tmp_path, start=None) as service:
            stages, bundle = Stages(), new().to_build(precision="fp16")
            build = await deployed(service, bundle, stages=stages)
            assert stages.seen == [
                "asking the runtime what it is",
                "asking the board's parser (null 1)",
                f"building the engine: {NONE_YET}",
                "loading",
                "running the golden inputs",
            ]
            [folder] = engines(tmp_path)
            assert build.model_dump() == {
                "key": folder.name,
                "reason": NONE_YET,
                "build_s": build.build_s,
                "engine_bytes": len(bundle.files["model.json"]),
                "build_peak_bytes": build.build_peak_bytes,
                "runtime_version": "1",
                "architecture": "null_0",
                "unmet": {},
            }
            assert 0 < build.build_s < 30
            assert build.build_peak_bytes
            assert 1_000_000 < build.build_peak_bytes < 1_000_000_000
            assert sorted(path.name for path in folder.iterdir()) == ["made.json", ENGINE, "tiny.engine"]
            assert service.dataplane.pick("m").supervisor.deployment.artifact == folder / ENGINE
            await is_as_it_was(service, bundle, NEW)  # and the worker that has built is gone

    running.run(main())
    assert f"m: building an engine: {NONE_YET}" in caplog.text


def test_again_it_is_there_under_any_name(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path) as service:
            bundle, stages = old().to_build(), Stages()
            first = await deployed(service, bundle)
            again = first.model_copy(update={"reason": None})
            assert await deployed(service, bundle) == again  # served, and not even asked for
            assert await deployed(service, bundle, "n", stages) == again
            assert stages.seen == ["asking the runtime what it is", "loading", "running the golden inputs"]
            await service.activator.remove("m")
            assert await deployed(service, bundle) == again
            assert (await service.activator.load("n", Stages())).build == again
            assert len(engines(tmp_path)) == 1
            assert await ask(service, "n") == OLD

    running.run(main())


def test_a_model_that_the_runtime_loads_as_it_is_is_not_built(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path) as service:
            stages = Stages()
            activation = await service.activator.activate("m", bundles.put(service.repository, old()), stages)
            assert activation.build is None
            assert stages.seen == ["loading", "running the golden inputs"]
            assert engines(tmp_path) == []

    running.run(main())


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (old().to_build(precision="fp16"), "precision is fp16, it was fp32"),
        (old().to_build(typed=True), "typed is True, it was False"),
        (old(version=2).to_build(), "runtime version is 2, it was 1"),
        (old(architecture=87).to_build(), "architecture is null_87, it was null_0"),
        (bundles.null(TensorSpec(name="x", dtype="uint8", shape=(5,))).to_build(), NONE_YET),
    ],
    ids=["precision", "typed", "runtime version", "architecture", "another model"],
)
def test_what_it_depends_on_has_changed(tmp_path: Path, changed: Bundle, reason: str) -> None:
    async def main() -> None:
        async with serving(tmp_path) as service:
            before = await deployed(service, old().to_build())
            after = await deployed(service, changed)
            assert after.reason == reason
            assert after.key != before.key
            assert len(engines(tmp_path)) == 2
            back = await service.activator.rollback("m", Stages())  # what is needed again is there
            assert back.build == before.model_copy(update={"reason": None})

    running.run(main())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"build": BUILDS.model_copy(update={"workspace_mib": 32})}, "workspace bytes is 33554432, it was 16777216"),
        ({"release": "L4T 36.4.4"}, "release is L4T 36.4.4, it was L4T 36.4.0"),
    ],
    ids=["workspace", "release"],
)
def test_after_a_restart_on_a_changed_board_it_is_built_anew_and_the_log_says_why(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, Any],
    reason: str,
) -> None:
    caplog.set_level("INFO")
    release(monkeypatch, "L4T 36.4.0")

    async def first() -> None:
        async with serving(tmp_path, {"m": old().to_build()}):
            pass

    async def second() -> None:
        async with serving(tmp_path, **changes) as service:
            await is_as_it_was(service, old().to_build())
            assert len(engines(tmp_path)) == 2
            assert (await deployed(service, old().to_build())).reason is None

    running.run(first())
    caplog.clear()
    if "release" in changes:
        release(monkeypatch, changes.pop("release"))
    running.run(second())
    assert f"m: building an engine: {reason}" in caplog.text


def release(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Of the system that agents started from now on find on their board."""
    described = module.describe

    def describe(*arguments: Any) -> Any:
        return replace(described(*arguments), os_image=name)

    monkeypatch.setattr(module, "describe", describe)


def test_after_a_restart_the_engine_is_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async def first() -> None:
        async with serving(tmp_path, {"m": old().to_build()}):
            pass

    async def second() -> None:
        async with serving(tmp_path) as service:
            await is_as_it_was(service, old().to_build())
            deployment = service.dataplane.pick("m").supervisor.deployment
            assert deployment.artifact == engines(tmp_path)[0] / ENGINE
            assert await asyncio.to_thread((engines(tmp_path)[0] / ENGINE).stat) == kept

    running.run(first())
    caplog.clear()
    kept = (engines(tmp_path)[0] / ENGINE).stat()
    running.run(second())
    assert "building an engine" not in caplog.text


@pytest.mark.parametrize(
    ("count", "options"), [(3, {}), (3, {"build_thread": True}), (5_000, {})], ids=["few", "from a thread", "many"]
)
def test_what_the_builder_says_is_read_with_the_job(tmp_path: Path, count: int, options: dict[str, bool]) -> None:
    async def main() -> None:
        async with serving(tmp_path, start=None) as service:
            job = service.jobs.start("activate", "m", work(service, old(build_lines=count, **options).to_build()))
            last = (await states(service, job.id))[-1]
            assert last.activation
            assert last.line_count == count
            kept = range(max(0, count - KEPT_LINES), count)
            assert last.lines == tuple(f"line {number + 1} of {count}" for number in kept)

    running.run(main())


def test_lines_are_read_while_it_builds(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, start=None) as service:
            bundle = old(build_lines=4, build_delay_ms=500).to_build()
            job = service.jobs.start("activate", "m", work(service, bundle))
            building = [each for each in await states(service, job.id) if each.stage.startswith("building")]
            counts = [each.line_count for each in building]
            assert set(counts) == {0, 1, 2, 3, 4}
            assert counts == sorted(counts)

    running.run(main())


def test_what_is_served_goes_on_while_another_is_built(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, {"m": old().to_build(), "n": new()}) as service:
            stages, bundle = Stages(), new(version=2, build_delay_ms=300).to_build()
            building = asyncio.create_task(deployed(service, bundle, stages=stages))
            answers = 0
            while "loading" not in stages.seen:
                assert (await ask(service), await ask(service, "n")) == (OLD, NEW)
                answers += 1
            assert answers > 20
            await building
            assert await ask(service) == NEW

    running.run(main())


def test_the_bench_of_a_built_model_has_the_peak_of_its_build(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, start=None) as service:
            build = await deployed(service, old().to_build())
            measurement = await Bench(service).measured()
            assert measurement.memory.build_peak_bytes == build.build_peak_bytes
            assert "build_peak_bytes" not in measurement.unmet
            assert "build_peak_bytes" in (await benched(service, old(), "n")).unmet

    async def benched(service: Service, bundle: Bundle, name: str) -> Any:
        await bundles.activate(service, bundle, name)
        return await Bench(service, model=name).measured()

    running.run(main())


def test_engines_of_models_that_were_removed_go(tmp_path: Path) -> None:
    other = bundles.null(SPEC, TensorSpec(name="y", dtype="uint8", shape=(4,))).to_build()

    async def main() -> None:
        async with serving(tmp_path, {"m": old().to_build(), "other": other}) as service:
            (tmp_path / "engines" / "unfinished").mkdir()
            await service.activator.remove("m")
            assert len(engines(tmp_path)) == 2  # a push may go on: its bundle stays for an hour
            assert not (tmp_path / "engines" / "unfinished").exists()
            aged(tmp_path / "bundles" / old().to_build().id)
            await service.activator.remove("other")
            assert [path.name for path in engines(tmp_path)] == [await key_of(service, other)]

    async def key_of(service: Service, bundle: Bundle) -> str:
        return (await deployed(service, bundle, "again")).key

    running.run(main())


def aged(path: Path) -> None:
    os.utime(path, (time.time() - 7200,) * 2)
