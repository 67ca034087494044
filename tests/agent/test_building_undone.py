"""Builds that are refused, fail, are cancelled or killed: what was served still is, and no half of one is taken."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import bundles
import pytest
import running
import zoo
from building import deployed, engines, serving, work
from bundles import BUILDS, Bundle
from versions import NEW, Stages, ask, is_as_it_was, new, old

from agent.building import _Site
from agent.engines import Ingredients
from agent.errors import WorkerCrashedError, WorkerFailedError, WorkerRefusedError, WorkerTimeoutError
from agent.worker.runtimes.null import OUT_OF_NVMAP
from contract.api import JobState, ModelState

KILLED_BUILDS = Path(__file__).parent / "killed_builds.py"
ROOT = Path(__file__).parents[2]
LESS_MEMORY = "stop other programs and the desktop, add swap for the build, or lower workspace_mib in the profile"


async def refused(service: Any, bundle: Bundle) -> WorkerFailedError:
    """What its deploy is told; the old version is served as before, and there is no engine."""
    with pytest.raises(WorkerFailedError) as told:
        await deployed(service, bundle)
    await is_as_it_was(service, old())
    return told.value


@pytest.mark.parametrize(
    ("bundle", "kind", "code", "message", "hint"),
    [
        (
            new(nodes=[("act", "Fancy"), ("", "Odd")]),
            WorkerRefusedError,
            "model_refused",
            "null 1 refuses the model: Fancy (node act): an echo has no nodes; Odd: an echo has no nodes",
            "export the model without these operators, or end it before them",
        ),
        (new(fail_build=True), WorkerRefusedError, "build_failed", "told to fail", "take the option fail_build away"),
        (
            new(crash_on_build=True),
            WorkerCrashedError,
            "worker_crashed",
            "while building, the worker crashed (SIGSEGV)",
            LESS_MEMORY,
        ),
        (
            new(kill_on_build=True),
            WorkerCrashedError,
            "worker_crashed",
            "while building, the worker was killed (SIGKILL): most likely the board ran out of memory",
            LESS_MEMORY,
        ),
        (
            new(nvmap_full=True),
            WorkerRefusedError,
            "out_of_memory",
            "nothing was built; the driver printed: NvMapMemAllocInternalTagged: 1075072515 error 12",
            LESS_MEMORY,
        ),
    ],
    ids=["parser", "builder", "crash", "kill", "NvMap"],
)
def test_a_build_that_fails_says_why_and_leaves_what_was(
    tmp_path: Path, bundle: Bundle, kind: type[WorkerFailedError], code: str, message: str, hint: str
) -> None:
    async def main() -> None:
        async with serving(tmp_path, {"m": old()}, start=None) as service:
            error = await refused(service, bundle.to_build())
            assert (type(error), error.code, error.message, error.hint) == (kind, code, message, hint)
            assert engines(tmp_path) == []

    running.run(main())
    assert list(tmp_path.glob("engines/*/model.engine")) == []


def test_what_the_driver_has_printed_is_read_to_its_end_first(tmp_path: Path) -> None:
    """The reply and the output come by two ways, and either may be the quicker one."""

    class Slow:
        """A worker whose output is all there when it has ended."""

        ended = False

        async def request(self, *_: Any, **__: Any) -> None:
            raise WorkerRefusedError("nothing was built", "look", "build_failed")

        async def kill(self) -> None:
            self.ended = True

        def printed(self, pattern: re.Pattern[str]) -> str | None:
            found = pattern.search(OUT_OF_NVMAP.decode())
            return found.group() if found and self.ended else None

    ingredients = Ingredients(
        model="0" * 64,
        runtime="trt",
        runtime_version="8.2.1",
        architecture="sm_53",
        release="L4T 32.7.1",
        precision="fp16",
        typed=False,
        workspace_bytes=1,
    )
    site = _Site(cast("Any", Slow()), bundles.deployment(tmp_path, new().to_build()), ingredients, BUILDS)
    with pytest.raises(WorkerRefusedError, match=r"the driver printed: NvMapMemAlloc.* error 12$") as told:
        running.run(site.build(tmp_path / "model.engine", tmp_path / "cache", "why not", print))
    assert told.value.code == "out_of_memory"


def test_a_load_too_is_told_what_the_driver_has_printed(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, {"m": old()}, start=None) as service:
            error = await refused(service, new(nvmap_full=True))
            assert error.code == "out_of_memory"
            assert "nothing was loaded; the driver printed: NvMapMemAlloc" in error.message

    running.run(main())


def test_of_many_nodes_that_are_refused_the_first_are_named(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, {"m": old()}, start=None) as service:
            bundle = new(nodes=[(f"node_{number}", "Fancy") for number in range(12)])
            message = (await refused(service, bundle.to_build())).message
            assert "node_4" in message
            assert "node_5" not in message
            assert message.endswith("; and 7 more")

    running.run(main())


def test_a_file_that_is_no_model_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, {"m": old()}, start=None) as service:
            error = await refused(service, new().with_file("model.json", b"rubbish").to_build())
            assert error.code == "model_refused"
            assert error.message.startswith("null 1 refuses the model: not a null model: ")
            assert list((tmp_path / "engines").iterdir()) == []

    running.run(main())


def test_a_board_or_a_runtime_that_builds_nothing_says_so(tmp_path: Path) -> None:
    of_ort = bundles.ort(zoo.identity()).to_build()

    async def main() -> None:
        async with bundles.serving(tmp_path, {"m": old()}) as service:
            error = await refused(service, new().to_build())
            assert error.code == "unsupported"
            assert error.message == "this board builds nothing, and 'm' is to be built on it"
        async with serving(tmp_path, start=None) as service:
            error = await refused(service, of_ort)
            assert (error.code, error.message) == (
                "unsupported",
                "this runtime builds nothing: it loads the model as it is",
            )

    running.run(main())


def test_a_builder_that_says_nothing_for_too_long_is_ended_and_one_that_speaks_is_not(tmp_path: Path) -> None:
    quick = BUILDS.model_copy(update={"timeout_s": 0.7})

    async def main() -> None:
        async with serving(tmp_path, {"m": old()}, start=None, build=quick) as service:
            error = await refused(service, new(build_delay_ms=60_000).to_build())
            assert isinstance(error, WorkerTimeoutError)
            assert "'build' within 0.7 s" in error.message
            assert (await deployed(service, new(build_delay_ms=1500, build_lines=9).to_build())).build_s > 1.5

    running.run(main())


def test_an_engine_that_the_runtime_does_not_load_is_built_anew_by_the_next_deploy(tmp_path: Path) -> None:
    bundle = new().to_build()

    async def first() -> None:
        async with serving(tmp_path, {"m": old()}, start=None) as service:
            await deployed(service, bundle, "n")
            await service.activator.remove("n")
            damage()
            assert (await refused(service, bundle)).code == "load_failed"
            assert (await deployed(service, bundle)).reason == "the one that was there is damaged"
            await is_as_it_was(service, bundle, NEW)

    async def second() -> None:
        async with serving(tmp_path, start=None) as service:
            assert service.dataplane.pick("m").supervisor.state is ModelState.FAILED
            assert (await service.activator.load("m", Stages())).build.reason == "the one that was there is damaged"
            await is_as_it_was(service, bundle, NEW)

    def damage() -> None:
        [folder] = engines(tmp_path)
        (folder / "model.engine").write_bytes(b"x" * len(bundle.files["model.json"]))

    running.run(first())
    damage()
    running.run(second())


def test_what_fails_before_the_load_is_the_runtimes_word_too(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, {"m": old()}, start=None) as service:
            error = await refused(service, new(fail_warm_up=True).to_build())
            assert (error.code, error.message) == ("load_failed", "told to fail before loading")

    running.run(main())


def test_a_rebuild_that_fails_after_a_restart_leaves_the_model_failed_with_the_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = old().to_build()

    async def first() -> None:
        async with serving(tmp_path, {"m": bundle, "n": new().to_build()}):
            pass

    async def second() -> None:
        changed = BUILDS.model_copy(update={"workspace_mib": 99})
        async with serving(tmp_path, start=None, build=changed) as service:
            supervisor = service.dataplane.pick("m").supervisor
            assert supervisor.state is ModelState.FAILED
            assert str(supervisor.reason).startswith("null 1 refuses the model: not a null model")
            assert await ask(service, "n") == NEW

    running.run(first())
    model = tmp_path / "bundles" / bundle.id / "model.json"
    model.unlink()  # its blob is the other's, too
    model.write_bytes(b"x" * len(bundle.files["model.json"]))
    running.run(second())
    assert "m is not served: null 1 refuses the model" in caplog.text


def test_cancelled_while_it_builds_it_leaves_no_worker_and_no_engine(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, {"m": old()}, start=None) as service:
            bundle = new(build_lines=1, build_delay_ms=60_000).to_build()
            job = service.jobs.get(service.jobs.start("activate", "m", work(service, bundle)).id)
            await running.until(lambda: job.state.stage.startswith("building the engine"))
            service.jobs.cancel(job.state.id)
            while not job.state.is_over:
                await job.changed_since(job.state.revision, 10)
            assert job.state.state is JobState.CANCELLED
            await is_as_it_was(service, old())
            assert engines(tmp_path) == []
            assert (await deployed(service, new().to_build())).reason == "the board has none of this model yet"

    running.run(main())


def test_cancelled_at_any_moment_it_is_the_one_or_the_other(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, {"m": old()}) as service:
            bundle = new(build_delay_ms=50).to_build()
            bundles.put(service.repository, bundle)
            cancelled = 0
            for number in range(12):
                task = asyncio.create_task(service.activator.activate("m", bundle.id, print))
                await asyncio.sleep(number * 0.02)
                task.cancel()
                await asyncio.wait({task})
                if not task.cancelled():
                    await is_as_it_was(service, bundle, NEW)
                    break
                cancelled += 1
                await is_as_it_was(service, old())
            assert cancelled > 1

    running.run(main())


def test_an_agent_killed_in_its_builds_never_finds_half_an_engine(tmp_path: Path) -> None:
    tests = Path(bundles.__file__).parent
    done = subprocess.run(
        [sys.executable, KILLED_BUILDS, tmp_path, "8", "0"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tests}"},
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) == 8
    assert found == sorted(found)
